import type { Room } from '../../fs/union/usage.ts';
import { PoolFile } from './pool-file.ts';

/** Which part of a store's pool an upper directory is, for the process that serves its mount. */
export interface RoomOfUpper {
  /** The pool's file. */
  file: string;
  owner: number;
}

/** The pool of a store as the room of one upper directory. */
export class UpperRoom implements Room {
  readonly #file: PoolFile;
  readonly #owner: number;

  constructor({ file, owner }: RoomOfUpper) {
    this.#file = PoolFile.open(file);
    this.#owner = owner;
  }

  claim(used: number, more: number): number {
    return this.#file.claim(this.#owner, used, more);
  }

  figures(): { total: number; free: number } {
    const { limit, used } = this.#file;
    return limit === undefined ? { total: Infinity, free: Infinity } : { total: limit, free: Math.max(0, limit - used) };
  }

  end(used: number): void {
    this.#file.update(this.#owner, used);
    this.close();
  }

  close(): void {
    this.#file.close();
  }
}
