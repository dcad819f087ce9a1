import { FsError } from './errno.ts';

/** `size` ids from `inside` on are those from `outside` on, as in user_namespaces(7). */
export interface IdRange {
  inside: number;
  outside: number;
  size: number;
}

/** What is shown of an id nobody has outside: the kernel's overflow id. */
const NOBODY = 65534;

/** Ids of users or groups as they are kept (inside), and as the kernel outside counts them. */
export interface IdMapping {
  /** What an id that is kept is outside. */
  toOutside(id: number): number;
  /** How an id from outside is kept. EOVERFLOW where there is no such id inside. */
  toInside(id: number): number;
}

/** All are shown as one, and kept as they are; all as one, too, where only that can be kept. */
export class SquashedIds implements IdMapping {
  readonly #shown: number;
  readonly #kept: number | undefined;

  constructor(shown: number, kept: number | undefined) {
    this.#shown = shown;
    this.#kept = kept;
  }

  toOutside(): number {
    return this.#shown;
  }

  toInside(id: number): number {
    return this.#kept ?? id;
  }
}

/** Ranges of ids. Without any they are the same inside and outside. */
export class IdMap implements IdMapping {
  readonly #ranges: readonly IdRange[];

  constructor(ranges: readonly IdRange[]) {
    this.#ranges = ranges;
  }

  toOutside(id: number): number {
    if (this.#ranges.length === 0) return id;
    const range = this.#ranges.find(({ inside, size }) => id >= inside && id - inside < size);
    return range === undefined ? NOBODY : range.outside + (id - range.inside);
  }

  /**
   * Root of the outside, who sets containers up, is root of the inside as well. EOVERFLOW where there is no such id inside, as for
   * the kernel's own id-mapped mounts.
   */
  toInside(id: number): number {
    if (this.#ranges.length === 0) return id;
    const range = this.#ranges.find(({ outside, size }) => id >= outside && id - outside < size);
    if (range !== undefined) return range.inside + (id - range.outside);
    if (id === 0) return 0;
    throw new FsError('EOVERFLOW', `Cannot keep the id ${id}: it is none of those mapped`);
  }
}

/** The maps of a mount. */
export interface IdMaps {
  uid: IdMapping;
  gid: IdMapping;
}
