import { closeSync, constants, existsSync, fsyncSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { flock, LOCK_EX, LOCK_UN } from '../../fs/host/file.ts';
import { UfsError } from '../errors.ts';
import { writeNewFile } from './durable.ts';

/*
 * The file of a store's pool: what all of the store may take, and what each part of it takes. Every process that serves mounts of the store has it open, and takes
 * room in it with the file locked (flock): so the limit holds without anybody being asked, and while nobody has the store open. All numbers are u64, little-endian:
 *
 *     "ufspool1"
 *     limit             bytes, 0: none
 *     keep free         bytes that new layers leave free
 *     keep free, part   the same in millionths of all there is
 *     boot              16 bytes: of which run of the machine what stands here is
 *     owner, bytes      a slot for each part: the number of a container or of a layer that is being made; 0 in the first slot is the content of all layers,
 *                       and 0 in any other an empty slot
 */
const MAGIC = Buffer.from('ufspool1');
const BOOT = 32;
const HEADER = 48;
const SLOT = 16;
/** The owner of what layers have. */
export const CONTENT = 0;
/** Bytes that are taken at once: less often is the file looked at. */
const PIECE = 256 * 1024;

export interface KeepFree {
  bytes: number;
  /** Of all there is, 0 to 1. */
  part: number;
}

interface Slots {
  limit: number;
  keepFree: KeepFree;
  bytes: number;
  /** Where in the buffer each owner's slot is. */
  at: Map<number, number>;
  empty: number | undefined;
}

/** Thread- and process-safe by its lock; every use of it has a descriptor of its own. */
export class PoolFile {
  readonly #fd: number;
  readonly #path: string;
  #buffer = Buffer.alloc(4096);
  #length = 0;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /** Makes it where it isn't there. UFS_STORE_DAMAGED. */
  static open(path: string): PoolFile {
    if (!existsSync(path)) {
      const empty = Buffer.alloc(HEADER + SLOT);
      MAGIC.copy(empty);
      try {
        writeNewFile(path, empty);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
    const file = new PoolFile(path, openSync(path, constants.O_RDWR | constants.O_NOFOLLOW));
    try {
      file.#read();
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Bytes; undefined where there is none. */
  get limit(): number | undefined {
    const { limit } = this.#read();
    return limit === 0 ? undefined : limit;
  }

  get keepFree(): KeepFree {
    return this.#read().keepFree;
  }

  /** Bytes taken by all. */
  get used(): number {
    return this.#read().bytes;
  }

  /** Sets the limit where `allowed` doesn't throw at what is taken then. */
  setLimit(limit: number | undefined, allowed: (used: number) => void): void {
    this.#locked(({ bytes }) => {
      allowed(bytes);
      this.#writeNumbers(MAGIC.length, limit ?? 0);
      fsyncSync(this.#fd);
    });
  }

  setKeepFree({ bytes, part }: KeepFree): void {
    this.#locked(() => this.#writeNumbers(MAGIC.length + 8, bytes, Math.round(part * 1e6)));
  }

  /** False where what stands here may be older than a power cut; from then on it is of this run of the machine. */
  keepBoot(): boolean {
    const boot = Buffer.from(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').replaceAll(/[^0-9a-f]/g, ''), 'hex');
    return this.#locked(() => {
      if (this.#buffer.subarray(BOOT, HEADER).equals(boot)) return true;
      writeSync(this.#fd, boot, 0, boot.length, BOOT);
      return false;
    });
  }

  /** What a part takes; undefined for one that has no slot. */
  taken(owner: number): number | undefined {
    const { at } = this.#read();
    const slot = at.get(owner);
    return slot === undefined ? undefined : this.#number(slot + 8);
  }

  /** Notes what a part takes, whatever the limit. */
  set(owner: number, bytes: number): void {
    this.#locked((slots) => this.#put(slots, owner, bytes));
  }

  /** As `set`, but not for a part that was dropped. */
  update(owner: number, bytes: number): void {
    this.#locked((slots) => {
      if (slots.at.has(owner)) this.#put(slots, owner, bytes);
    });
  }

  /** A part is gone, and what it took. */
  drop(owner: number): void {
    this.#locked(({ at }) => {
      const slot = at.get(owner);
      if (slot !== undefined) this.#writeNumbers(slot, 0, 0);
    });
  }

  /** Drops the parts that aren't there (any more). */
  keepOnly(owners: ReadonlySet<number>): void {
    this.#locked(({ at }) => {
      for (const [owner, slot] of at) if (owner !== CONTENT && !owners.has(owner)) this.#writeNumbers(slot, 0, 0);
    });
  }

  /**
   * Told that a part takes `used` bytes and is to take up to `more`: what it may take in all, which is no less than `used`, and noted for it. A part that was dropped may take no more.
   * `spare`: bytes that are to stay free besides.
   */
  claim(owner: number, used: number, more: number, spare = 0): number {
    return this.#locked((slots) => {
      const { limit, bytes, at } = slots;
      const slot = at.get(owner);
      if (slot === undefined) return used;
      const others = bytes - this.#number(slot + 8);
      const left = limit === 0 ? Infinity : Math.max(used, limit - spare - others);
      const granted = Math.min(left, used + more + PIECE);
      this.#put(slots, owner, granted);
      return granted;
    });
  }

  #locked<T>(act: (slots: Slots) => T): T {
    flock(this.#fd, LOCK_EX);
    try {
      return act(this.#read());
    } finally {
      flock(this.#fd, LOCK_UN);
    }
  }

  #read(): Slots {
    for (;;) {
      this.#length = readSync(this.#fd, this.#buffer, 0, this.#buffer.length, 0);
      if (this.#length < this.#buffer.length) break;
      this.#buffer = Buffer.alloc(this.#buffer.length * 2);
    }
    if (this.#length < HEADER + SLOT || this.#length % SLOT !== 0 || !this.#buffer.subarray(0, MAGIC.length).equals(MAGIC)) {
      throw new UfsError('UFS_STORE_DAMAGED', `Cannot read ${this.#path}: it isn't the file of a store's pool; without it the store has no limit`);
    }
    const slots: Slots = { limit: this.#number(8), keepFree: { bytes: this.#number(16), part: this.#number(24) / 1e6 }, bytes: 0, at: new Map(), empty: undefined };
    for (let slot = HEADER; slot < this.#length; slot += SLOT) {
      const owner = this.#number(slot);
      if (owner !== 0 || slot === HEADER) {
        slots.at.set(owner, slot);
        slots.bytes += this.#number(slot + 8);
      } else slots.empty ??= slot;
    }
    return slots;
  }

  #put(slots: Slots, owner: number, bytes: number): void {
    this.#writeNumbers(slots.at.get(owner) ?? slots.empty ?? this.#length, owner, bytes);
  }

  #number(at: number): number {
    return this.#buffer.readUInt32LE(at) + this.#buffer.readUInt32LE(at + 4) * 2 ** 32;
  }

  #writeNumbers(at: number, ...numbers: number[]): void {
    const bytes = Buffer.alloc(8 * numbers.length);
    for (const [index, number] of numbers.entries()) bytes.writeBigUInt64LE(BigInt(number), 8 * index);
    writeSync(this.#fd, bytes, 0, bytes.length, at);
  }
}
