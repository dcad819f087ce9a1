import type { Name } from '../name.ts';

/** A directory that stays looked up. */
export interface Directory {
  readonly id: number;
  /** Operations that use it now: it isn't forgotten under them. */
  users: number;
  dropped: boolean;
}

/** Directories kept at most. */
const LIMIT = 500;

/**
 * The directories used last, by their paths ("a/b"), each holding one lookup: paths are asked for over and over, and looking up each of their directories anew
 * was measured to take three quarters of a stat's time. Directories change only through the mount, so a path is right until `drop` says otherwise.
 */
export class Directories {
  readonly #forget: (id: number) => void;
  /** Least recently used first. */
  readonly #byPath = new Map<Name, Directory>();

  constructor(forget: (id: number) => void) {
    this.#forget = forget;
  }

  /** One that is kept; give it back with `done`. */
  use(path: Name): Directory | undefined {
    const directory = this.#byPath.get(path);
    if (directory === undefined) return undefined;
    this.#byPath.delete(path);
    this.#byPath.set(path, directory);
    directory.users += 1;
    return directory;
  }

  done(directory: Directory): void {
    directory.users -= 1;
    if (directory.dropped && directory.users === 0) this.#forget(directory.id);
  }

  /** Keeps one, taking over one lookup of it; it is in use, as by `use`. */
  keep(path: Name, id: number): Directory {
    const directory: Directory = { id, users: 1, dropped: false };
    const other = this.#byPath.get(path);
    if (other !== undefined) this.#remove(path, other);
    this.#byPath.set(path, directory);
    for (const [oldest, candidate] of this.#byPath) {
      if (this.#byPath.size <= LIMIT) break;
      this.#remove(oldest, candidate);
    }
    return directory;
  }

  /** A path is something else now, with all below it. */
  drop(path: Name): void {
    for (const [kept, directory] of this.#byPath) if (kept === path || kept.startsWith(`${path}/`)) this.#remove(kept, directory);
  }

  #remove(path: Name, directory: Directory): void {
    this.#byPath.delete(path);
    directory.dropped = true;
    if (directory.users === 0) this.#forget(directory.id);
  }
}
