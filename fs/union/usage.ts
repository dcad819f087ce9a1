import { FsError } from '../errno.ts';
import { isDirectory } from '../stat.ts';
import { close, type HostStat, openAt, statAt, statFd } from '../host/at.ts';
import { O_DIRECTORY, O_PATH } from '../host/constants.ts';
import { listDirectory } from '../host/directory.ts';

/** st_blocks are of this many bytes, whatever the file system's. */
const BLOCK = 512;
/** What a file system gives at least. */
const UNIT = 4096;

/**
 * How much of its limit an upper directory takes: the blocks of its inodes, each once. Exact for what is told to it, and that is all that is written through the
 * mount but directories that grow, and mappings, whose pages come when the file was written to already; it is counted anew at each mount.
 */
export class Usage {
  /** Bytes. */
  readonly limit: number;
  #used = 0;
  /** By inode number: an upper is one file system. */
  readonly #blocks = new Map<number, number>();

  /** Counts what is there. `root`: a descriptor of the upper. */
  constructor(root: number, limit: number) {
    this.limit = limit;
    this.#count(root);
  }

  get used(): number {
    return this.#used;
  }

  get free(): number {
    return Math.max(0, this.limit - this.#used);
  }

  /** Refuses what would take more than there is: ENOSPC. */
  require(bytes: number): void {
    if (bytes > this.free) throw new FsError('ENOSPC', `Cannot write: the limit of ${this.limit} bytes is reached`);
  }

  /** How many of `length` bytes may be written to a file at an offset; ENOSPC for none. */
  allowed(fd: number, offset: number, length: number): number {
    if (length + UNIT <= this.free) return length;
    const { size, blocks } = statFd(fd);
    // Of a file without holes what is there is only overwritten.
    const held = blocks * BLOCK >= size ? Math.ceil(size / UNIT) * UNIT : offset;
    const fits = Math.max(0, Math.min(length, Math.max(0, held - offset) + Math.floor(this.free / UNIT) * UNIT));
    if (fits === 0 && length > 0) this.require(length);
    return fits;
  }

  /** What an inode takes now. */
  measured({ ino, blocks }: Pick<HostStat, 'ino' | 'blocks'>): void {
    this.#used += (blocks - (this.#blocks.get(ino) ?? 0)) * BLOCK;
    this.#blocks.set(ino, blocks);
  }

  /** An inode is gone. */
  gone({ ino }: Pick<HostStat, 'ino'>): void {
    this.#used -= (this.#blocks.get(ino) ?? 0) * BLOCK;
    this.#blocks.delete(ino);
  }

  #count(root: number): void {
    this.measured(statFd(root));
    const pending = [openAt(root, '.', O_PATH | O_DIRECTORY)];
    try {
      for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
        try {
          for (const { name } of listDirectory(directory)) {
            const stat = statAt(directory, name);
            this.measured(stat);
            if (isDirectory(stat)) pending.push(openAt(directory, name, O_PATH | O_DIRECTORY));
          }
        } finally {
          close(directory);
        }
      }
    } finally {
      for (const left of pending) close(left);
    }
  }
}
