import { FsError } from '../errno.ts';
import { isDirectory } from '../stat.ts';
import { close, type HostStat, openAt, statAt, statFd } from '../host/at.ts';
import { O_DIRECTORY, O_PATH } from '../host/constants.ts';
import { listDirectory } from '../host/directory.ts';

/** st_blocks are of this many bytes, whatever the file system's. */
const BLOCK = 512;
/** What a file system gives at least. */
const UNIT = 4096;
/** Bytes of room that an upper keeps although it doesn't take them (any more). */
const KEPT = 1 << 20;

/** Room that several uppers share. One gets its part piece by piece, and gives back what it doesn't take. */
export interface Room {
  /** Told that this upper takes `used` bytes, and is to take up to `more`; what it may take in all: no less than `used`. */
  claim(used: number, more: number): number;
  /** Bytes: how large all of it is, and what nobody has. Infinity where it has no limit now. */
  figures(): { total: number; free: number };
  /** Nothing is written any more to this upper, which takes `used` bytes. */
  end(used: number): void;
}

/** What an upper may take. */
export interface OwnLimits {
  /** Bytes. */
  limit?: number | undefined;
  /** Inodes besides its root. */
  inodes?: number | undefined;
}

export interface Limits extends OwnLimits {
  /** What they are now, where they may be changed: asked for before anything is refused. */
  limits?: (() => OwnLimits) | undefined;
  room?: Room | undefined;
}

/** Whether there is anything to be counted. */
export function isLimited({ limit, inodes, room }: Limits): boolean {
  return limit !== undefined || inodes !== undefined || room !== undefined;
}

/**
 * How much of its limits an upper directory takes: the blocks of its inodes, each once. Exact for what is told to it, and that is all that is written through the
 * mount but directories that grow, and mappings, whose pages come when the file was written to already; it is counted anew at each mount.
 */
export class Usage {
  #limit: number;
  #inodes: number;
  readonly #limits: (() => OwnLimits) | undefined;
  readonly #room: Room | undefined;
  /** Bytes it may take of the room. */
  #granted = Infinity;
  #used = 0;
  /** By inode number: an upper is one file system. */
  readonly #blocks = new Map<number, number>();

  /** Counts what is there. `root`: a descriptor of the upper. */
  constructor(root: number, { limit = Infinity, inodes = Infinity, limits, room }: Limits) {
    this.#limit = limit;
    this.#inodes = inodes;
    this.#limits = limits;
    this.#room = room;
    this.#count(root);
    if (room !== undefined) this.#granted = room.claim(this.#used, 0);
  }

  get used(): number {
    return this.#used;
  }

  /** Bytes that could be taken if nothing were; Infinity where there is no limit now. */
  get total(): number {
    return Math.min(this.#limit, this.#room?.figures().total ?? Infinity);
  }

  /** Bytes that can be taken still, as long as no other upper takes them. */
  get free(): number {
    const room = this.#room === undefined ? Infinity : this.#room.figures().free + Math.max(0, this.#granted - this.#used);
    return Math.min(Math.max(0, this.#limit - this.#used), room);
  }

  /** Inodes there could be besides the root; Infinity where there is no limit. */
  get inodes(): number {
    return this.#inodes;
  }

  /** Inodes that can be made still. */
  get freeInodes(): number {
    return Math.max(0, this.#inodes - (this.#blocks.size - 1));
  }

  /** Learns of limits that were changed. */
  refresh(): void {
    if (this.#limits === undefined) return;
    const { limit = Infinity, inodes = Infinity } = this.#limits();
    [this.#limit, this.#inodes] = [limit, inodes];
  }

  /** Refuses what would take more than there is, or make more inodes: ENOSPC. */
  require(bytes: number, inodes = 0): void {
    const fits = (): boolean => bytes <= this.#freeFor(bytes) && inodes <= this.freeInodes;
    if (fits()) return;
    this.refresh();
    if (fits()) return;
    this.#settle();
    throw new FsError('ENOSPC', `Cannot write: the limit of ${inodes > this.freeInodes ? `${this.#inodes} inodes` : `${this.total} bytes`} is reached`);
  }

  /** How many of `length` bytes may be written to a file at an offset; ENOSPC for none. */
  allowed(fd: number, offset: number, length: number): number {
    let free = this.#freeFor(length + UNIT);
    if (length + UNIT > free) {
      this.refresh();
      free = this.#freeFor(length + UNIT);
    }
    if (length + UNIT <= free) return length;
    const { size, blocks } = statFd(fd);
    // Of a file without holes what is there is only overwritten.
    const held = blocks * BLOCK >= size ? Math.ceil(size / UNIT) * UNIT : offset;
    const fits = Math.max(0, Math.min(length, Math.max(0, held - offset) + Math.floor(free / UNIT) * UNIT));
    if (fits === 0 && length > 0) this.require(length);
    return fits;
  }

  /** What an inode takes now. */
  measured({ ino, blocks }: Pick<HostStat, 'ino' | 'blocks'>): void {
    this.#used += (blocks - (this.#blocks.get(ino) ?? 0)) * BLOCK;
    this.#blocks.set(ino, blocks);
    this.#settle();
  }

  /** An inode is gone. */
  gone({ ino }: Pick<HostStat, 'ino'>): void {
    this.#used -= (this.#blocks.get(ino) ?? 0) * BLOCK;
    this.#blocks.delete(ino);
    this.#settle();
  }

  /** The upper is written to no more. */
  end(): void {
    this.#room?.end(this.#used);
  }

  /** What may be taken now, where `wanted` bytes are: its part of the room grows where it can. */
  #freeFor(wanted: number): number {
    const own = Math.max(0, this.#limit - this.#used);
    if (this.#room === undefined) return own;
    if (this.#used + wanted > this.#granted) this.#granted = this.#room.claim(this.#used, Math.min(wanted, own));
    return Math.min(own, this.#granted - this.#used);
  }

  /** Tells of what was taken without asking, and gives back what isn't needed. */
  #settle(): void {
    if (this.#room === undefined || this.#granted === Infinity) return;
    if (this.#used > this.#granted || this.#granted - this.#used > KEPT) this.#granted = this.#room.claim(this.#used, 0);
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
