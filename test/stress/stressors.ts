import type { Program, Script } from './program.ts';

/**
 * stress-ng's stressors of files, each done by two processes at once: all of its class `filesystem` but those below, and those of other classes that work on files of their own in the
 * directory. As many operations as take some tenths of a second, or what is done of them in two seconds.
 */
const STRESSORS: Readonly<Record<string, string>> = {
  access: '--access-ops 40', chattr: '--chattr-ops 4', chdir: '--chdir-ops 300 --chdir-dirs 100', chmod: '--chmod-ops 20', chown: '--chown-ops 100',
  'copy-file': '--copy-file-ops 60', dentry: '--dentry-ops 300 --dentries 150', dir: '--dir-ops 100 --dir-dirs 100', dirdeep: '--dirdeep-ops 100 --dirdeep-files 2 --dirdeep-bytes 100',
  dirmany: '--dirmany-ops 300', dnotify: '--dnotify-ops 40', fallocate: '--fallocate-ops 8 --fallocate-bytes 1M', fcntl: '--fcntl-ops 500',
  'file-ioctl': '--file-ioctl-ops 50', filename: '--filename-ops 15', flock: '--flock-ops 2000', fsize: '--fsize-ops 20', fstat: '--fstat-ops 500',
  hdd: '--hdd-ops 400 --hdd-bytes 4M --hdd-opts iovec,utimes,wr-rnd,rd-rnd', inotify: '--inotify-ops 1', iomix: '--iomix-ops 200 --iomix-bytes 1M', lease: '--lease-ops 30',
  locka: '--locka-ops 2000', lockf: '--lockf-ops 2000', lockofd: '--lockofd-ops 2000', mknod: '--mknod-ops 200', open: '--open-ops 200', rename: '--rename-ops 500',
  'sync-file': '--sync-file-ops 8 --sync-file-bytes 1M', touch: '--touch-ops 300', utime: '--utime-ops 100 --utime-fsync', verity: '--verity-ops 1', xattr: '--xattr-ops 4',
  aio: '--aio-ops 500', aiol: '--aiol-ops 200', fifo: '--fifo-ops 500', 'io-uring': '--io-uring-ops 200', mmap: '--mmap-ops 4 --mmap-file --mmap-async --mmap-bytes 256K',
  msync: '--msync-ops 100 --msync-bytes 1M', readahead: '--readahead-ops 500 --readahead-bytes 1M', revio: '--revio-ops 500 --revio-bytes 4M', seek: '--seek-ops 50 --seek-punch',
  sendfile: '--sendfile-ops 50 --sendfile-size 256K',
};

/** Of its class `filesystem`; the reason why it is no matter of a mount. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'bind-mount': 'makes mounts in a root directory of its own', binderfs: 'mounts a file system of its own', dup: 'is about descriptors', eventfd: 'is about descriptors without files',
  fanotify: 'watches all mounts of the machine, which can\'t be unmounted meanwhile', fiemap: 'FUSE has no extents to tell', getdent: 'lists /proc, /sys and /dev', handle: 'asks for handles of /dev/zero', io: 'syncs every file system of the machine',
  ioprio: 'is about schedulers', procfs: 'reads /proc',
};

/** A round of these takes seconds, for it is thousands of links or has no end: they go on for a second, all at once. */
const TIMED = ['fpunch', 'inode-flags', 'link', 'symlink'];

function stress(options: string): Script {
  // It succeeds where it leaves everything out, and says so.
  return `log=$(stress-ng --temp-path . --verify ${options} 2>&1) || { echo "$log"; exit 1; }
    if grep fail: <<<"$log"; then exit 1; fi
    left_out=$(grep -E 'skipping (the )?(stress|test)|will be skipped' <<<"$log" | sed 's/.*] //') || exit 0
    echo "$left_out"; exit 77`;
}

export const stressors: Program = {
  needs: ['stress-ng'],
  layers: [':'],
  steps: {
    'all stressors of files are known': `known=" ${[...Object.keys(STRESSORS), ...Object.keys(LEFT_OUT), ...TIMED].join(' ')} "
      for name in $(stress-ng --class filesystem? 2>&1 | sed -n "s/^class 'filesystem' stressors: //p"); do [[ $known = *" $name "* ]] || { echo "unknown: $name"; exit 1; }; done`,
    ...Object.fromEntries(Object.entries(STRESSORS).map(([name, options]) => [name, stress(`--${name} 2 ${options} --timeout 2`)])),
    [TIMED.join(', ')]: stress(`${TIMED.map((name) => `--${name} 1`).join(' ')} --timeout 1`),
  },
  plain: false,
  leaves: { mtime: false },
};
