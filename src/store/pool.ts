import { statfsSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import { CONTENT, type KeepFree, PoolFile } from './pool-file.ts';
import { humanSize } from './size-text.ts';

/** What a store takes and may take, in bytes. */
export interface PoolFigures {
  /** Absent: all that its file system has. */
  limit?: number;
  /** What layers and containers take; without a limit, what is taken of the file system, by whomever. */
  used: number;
  total: number;
  /** What is left, of the limit and in the file system. */
  available: number;
  /** What new layers leave free of that. */
  keepFree: number;
}

/** Bytes a layer that is being made may grow by before somebody looks again. */
const STEP = 8 << 20;

/**
 * The space of a store: a limit of all that its layers' file data and its containers' upper directories take, and what new layers are to leave free. Without a limit nothing is
 * counted, and the file system's space is what there is.
 */
export class Pool {
  readonly #root: string;
  readonly #file: PoolFile;

  constructor(root: string, path: string) {
    this.#root = root;
    this.#file = PoolFile.open(path);
  }

  get limit(): number | undefined {
    return this.#file.limit;
  }

  /** What new layers and containers leave free: bytes, or a part (0 to 1) of all there is, whichever is more. It stays with the store. */
  get keepFree(): KeepFree {
    return this.#file.keepFree;
  }

  set keepFree(wanted: KeepFree) {
    this.#file.setKeepFree(wanted);
  }

  figures(): PoolFigures {
    const { bsize, blocks, bfree, bavail } = statfsSync(this.#root);
    const { limit, keepFree } = this.#file;
    const total = limit ?? blocks * bsize;
    const used = limit === undefined ? (blocks - bfree) * bsize : this.#file.used;
    const available = Math.min(bavail * bsize, limit === undefined ? Infinity : Math.max(0, limit - used));
    return { ...(limit === undefined ? {} : { limit }), used, total, available, keepFree: kept(keepFree, total) };
  }

  /** Refuses what takes so many bytes more than there are, with UFS_STORE_FULL. `what`: what can't be done then. */
  require(bytes: number, what: string): void {
    const { available, keepFree } = this.figures();
    if (available >= bytes + keepFree) return;
    throw new UfsError('UFS_STORE_FULL', `Cannot ${what}: ${this.#words(keepFree > 0 ? `, and ${humanSize(keepFree)} are to stay free` : '')}`);
  }

  /** Says what there is, for an error. */
  #words(besides: string): string {
    const { limit, used, available } = this.figures();
    const where = limit === undefined ? `${humanSize(available)} are free in ${this.#root}` : `${humanSize(used)} of the pool's ${humanSize(limit)} are used, ${humanSize(available)} are free`;
    return `${where}${besides}; remove images or containers${besides === '' ? '' : ', or change min_free_space'}${limit === undefined ? '' : ', or enlarge the pool (ufs pool resize)'}`;
  }

  /** Says what there is, as the reason why something failed for want of space. */
  get reason(): string {
    return this.#words('');
  }

  /**
   * Sets the limit, or takes it away. UFS_POOL_TOO_SMALL where less than what is used, and what new layers leave free, would be left; a larger one than before is always taken.
   * The caller has counted what is there where there was no limit.
   */
  resize(limit: number | undefined): void {
    const before = this.limit;
    this.#file.setLimit(limit, (used) => {
      if (limit === undefined || (before !== undefined && limit >= before)) return;
      const keepFree = kept(this.#file.keepFree, limit);
      if (limit >= used + keepFree) return;
      throw new UfsError('UFS_POOL_TOO_SMALL', `Cannot resize the pool to ${humanSize(limit)}: ${humanSize(used)} are used${keepFree === 0 ? '' : `, and ${humanSize(keepFree)} are to stay free`}`);
    });
  }

  /** False where containers have to be counted anew: see PoolFile. */
  keepBoot(): boolean {
    return this.#file.keepBoot();
  }

  /** Notes what the content of all layers takes. */
  setContent(bytes: number): void {
    this.#file.set(CONTENT, bytes);
  }

  /** Notes what a container's upper directory takes. */
  setContainer(number: number, bytes: number): void {
    this.#file.set(number, bytes);
  }

  /** What a container's upper directory took when that was last noted; undefined where it never was. */
  container(number: number): number | undefined {
    return this.#file.taken(number);
  }

  drop(number: number): void {
    this.#file.drop(number);
  }

  keepOnly(numbers: ReadonlySet<number>): void {
    this.#file.keepOnly(numbers);
  }

  /** The space of a layer that is being made. */
  growing(number: number): GrowingLayer {
    return new GrowingLayer(this, this.#file, number);
  }

  close(): void {
    this.#file.close();
  }
}

/** What a layer that is being made takes, until it is one: then its content is counted with that of all others. */
export class GrowingLayer {
  readonly #pool: Pool;
  readonly #file: PoolFile;
  readonly #number: number;
  #taken = 0;
  #granted = 0;

  constructor(pool: Pool, file: PoolFile, number: number) {
    this.#pool = pool;
    this.#file = file;
    this.#number = number;
  }

  /** So many bytes are to be written; UFS_STORE_FULL where they don't fit. */
  take(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken <= this.#granted) return;
    this.#pool.require(bytes, 'store the layer');
    const { limit } = this.#pool;
    if (limit === undefined) {
      this.#granted = this.#taken + STEP;
      return;
    }
    if (this.#file.taken(this.#number) === undefined) this.#file.set(this.#number, 0);
    const before = this.#taken - bytes;
    this.#granted = this.#file.claim(this.#number, before, bytes, kept(this.#file.keepFree, limit));
    if (this.#granted < this.#taken) throw new UfsError('UFS_STORE_FULL', `Cannot store the layer: ${this.#pool.reason}`);
  }

  /** It is a layer now, or nothing. */
  end(): void {
    this.#file.drop(this.#number);
  }
}

function kept({ bytes, part }: KeepFree, total: number): number {
  return Math.max(bytes, Math.floor(part * total));
}
