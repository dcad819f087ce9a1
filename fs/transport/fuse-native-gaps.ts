/** Something the kernel asks or is told, that doesn't get through fuse-native. */
export interface Gap {
  /** What of a file system it is about. */
  what: string;
  /** What happens instead, and why. */
  effect: string;
  /** True where programs go on as if nothing had happened: whoever mounts is warned. */
  silent: boolean;
}

/** All that the transport fuse-native can't carry. The README's table, the warnings of `ufs mount` and the skips of tests are made from this. */
export const FUSE_NATIVE_GAPS = {
  owner: {
    what: 'owner of new files', silent: true,
    effect: 'the caller isn\'t told: what is made belongs to the user who mounted, so nobody else gets in unless allow_other is given, and then setuid and setgid bits of new files are dropped',
  },
  times: { what: 'times', silent: true, effect: 'whole milliseconds, and none before 1970: shown and set times are rounded down' },
  oneTime: { what: 'setting one time', silent: true, effect: 'a change of only the access or only the modification time (touch -a, touch -m) never arrives, and seems to succeed' },
  inodes: { what: 'inode numbers', silent: false, effect: '32 bits: larger ones are replaced by others, which last until the mount ends' },
  hardLinks: {
    what: 'hard links', silent: true,
    effect: 'each name is a file of its own to the kernel: what is written through one name shows through another when it is opened again, mappings and locks aren\'t shared',
  },
  names: { what: 'names that aren\'t UTF-8', silent: false, effect: 'names are text: such a file is listed with U+FFFD in its name, and can\'t be used or made (EILSEQ); targets of symlinks and names of xattrs likewise' },
  renameFlags: { what: 'rename flags', silent: false, effect: 'RENAME_NOREPLACE, RENAME_EXCHANGE and RENAME_WHITEOUT are refused (EINVAL)' },
  acls: { what: 'POSIX ACLs', silent: true, effect: 'kept and shown as xattrs, but the kernel checks only modes, and the umask counts where a default ACL should' },
  trusted: { what: 'trusted xattrs', silent: false, effect: 'their names are listed to everybody who gets in, for the caller isn\'t told; their values stay root\'s' },
  tmpfile: { what: 'O_TMPFILE', silent: false, effect: 'refused (EOPNOTSUPP)' },
  removed: { what: 'removed files that are open', silent: false, effect: 'ENOENT once their directory is removed too, and removed directories; no new name by linkat' },
  fallocate: { what: 'fallocate', silent: false, effect: 'refused (EOPNOTSUPP), punching holes too' },
  holes: { what: 'SEEK_DATA, SEEK_HOLE', silent: false, effect: 'a file seems to have no holes' },
  copyRange: { what: 'copy_file_range', silent: false, effect: 'data goes through the caller\'s kernel, never by reflink' },
  ioctl: { what: 'ioctl', silent: false, effect: 'refused (ENOTTY): no file flags (chattr), no FICLONE' },
  syncfs: { what: 'syncfs', silent: false, effect: 'isn\'t asked of the file system: fsync is' },
  birth: { what: 'birth time', silent: false, effect: 'isn\'t shown' },
  cache: { what: 'caching', silent: false, effect: 'attributes are asked for each time and pages dropped at each open, for nothing can be invalidated; so the ctime of a directory shows when something in it is copied up' },
  passthrough: { what: 'passthrough, writeback cache', silent: false, effect: 'all data goes through the server, in requests of at most 128 KiB' },
  devices: { what: 'device numbers', silent: false, effect: 'majors below 4,096, minors below 1,048,576' },
  mountPoints: { what: 'directories that are mount points', silent: false, effect: 'can\'t be mounted on again' },
} as const satisfies Record<string, Gap>;

export type GapName = keyof typeof FUSE_NATIVE_GAPS;

/** Why a test that needs what this gap is about isn't run. */
export function gapReason(name: GapName): string {
  const { what, effect } = FUSE_NATIVE_GAPS[name];
  return `fuse-native, ${what}: ${effect}`;
}

/** What to tell whoever mounts. */
export function gapWarnings(): string[] {
  return Object.values(FUSE_NATIVE_GAPS).filter(({ silent }) => silent).map(({ what, effect }) => `with fuse-native, ${what}: ${effect}`);
}

/** The lines of a Markdown table. */
export function gapTable(): string[] {
  return ['| what | through fuse-native |', '| --- | --- |', ...Object.values(FUSE_NATIVE_GAPS).map(({ what, effect }) => `| ${what} | ${effect} |`)];
}
