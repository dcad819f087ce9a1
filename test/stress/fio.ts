import type { Program, Script } from './program.ts';

/** Processes that write, each a file of its own and all at once, and then read all back; every block tells where it belongs, and its checksum. */
interface Run {
  /** Options that all have in common. */
  how: string;
  /** Options of each, by the name of its file. Those of a `lower-` file overwrite one of the lower layer; what a `mixed` one wrote among its reads a later run can't tell. */
  files: Readonly<Record<string, string>>;
  /** Ends the script where the kernel can't. */
  unless?: Script;
}

const NO_IO_URING = 'if [ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)" != 0 ]; then echo "io_uring is switched off"; exit 77; fi';

const RUNS: Readonly<Record<string, Run>> = {
  psync: {
    how: '--ioengine=psync',
    files: {
      sequential: '--rw=write --bs=64k', 'lower-sequential': '--rw=write --bs=4k', 'lower-odd': '--rw=randwrite --bs=3k', 'lower-mixed': '--rw=randrw --bs=8k --fsync=100', 'lower-direct': '--rw=randwrite --direct=1 --bs=4k',
    },
  },
  libaio: {
    how: '--ioengine=libaio --iodepth=16',
    files: { direct: '--rw=randwrite --direct=1 --bs=4k', 'lower-aio-direct': '--rw=randwrite --direct=1 --bs=16k', 'lower-aio-mixed': '--rw=randrw --bs=4k', 'mixed-direct': '--rw=randrw --direct=1 --bs=64k' },
  },
  mmap: {
    how: '--ioengine=mmap',
    files: { mapped: '--rw=write --bs=32k', 'lower-mapped': '--rw=randwrite --bs=4k', 'lower-mapped-mixed': '--rw=randrw --bs=4k' },
  },
  io_uring: {
    unless: NO_IO_URING,
    how: '--ioengine=io_uring --iodepth=16',
    files: { uring: '--rw=randwrite --bs=4k', 'lower-uring': '--rw=randwrite --direct=1 --bs=8k', 'lower-uring-mixed': '--rw=randrw --bs=4k' },
  },
};

/** MiB: of what is written; of what a lower file has behind that. */
const SIZE = 4;
const REST = 1;

const isLower = (file: string): boolean => file.startsWith('lower-');
const lowerFiles = Object.values(RUNS).flatMap(({ files }) => Object.keys(files).filter(isLower));

function script({ unless = ':', how, files }: Run, again: boolean): Script {
  const jobs = Object.entries(files).filter(([file]) => !again || !file.includes('mixed')).map(([file, options]) => `--name=${file} --filename=${file} ${options}`);
  return `${unless}
    log=$(fio --size=${SIZE}m --verify=crc32c --verify_fatal=1 ${again ? '--verify_only=1' : '--do_verify=1'} ${jobs.map((job) => `${job} ${how}`).join(' ')} 2>&1) || { echo "$log"; exit 1; }
    for name in ${Object.keys(files).filter(isLower).join(' ')}; do [ $(tail -c +${(SIZE << 20) + 1} $name | tr -dc x | wc -c) = ${REST << 20} ]; [ $(stat -c %s $name) = ${(SIZE + REST) << 20} ]; done`;
}

const runs = Object.entries(RUNS);

export const fio: Program = {
  needs: ['fio'],
  layers: [`for name in ${lowerFiles.join(' ')}; do head -c ${SIZE + REST}M /dev/zero | tr '\\0' x >$name; done`],
  steps: Object.fromEntries(runs.map(([engine, run]) => [`all that is written through ${engine} is read`, script(run, false)])),
  again: {
    'all that was written is read when it is mounted again': `pids=; ${runs.map(([, run]) => `(${script(run, true)}) & pids="$pids $!"`).join('\n')}
      for pid in $pids; do wait $pid || [ $? = 77 ]; done`,
  },
  plain: false,
};
