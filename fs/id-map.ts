import { FsError } from './errno.ts';

/** `size` ids from `inside` on are those from `outside` on, as in user_namespaces(7). */
export interface IdRange {
  inside: number;
  outside: number;
  size: number;
}

/** What is shown of an id nobody has outside: the kernel's overflow id. */
const NOBODY = 65534;

/** Ids of users or groups as they are kept (inside), and as the kernel outside counts them. Without ranges they are the same. */
export class IdMap {
  readonly #ranges: readonly IdRange[];

  constructor(ranges: readonly IdRange[]) {
    this.#ranges = ranges;
  }

  /** What an id that is kept is outside. */
  toOutside(id: number): number {
    if (this.#ranges.length === 0) return id;
    const range = this.#ranges.find(({ inside, size }) => id >= inside && id - inside < size);
    return range === undefined ? NOBODY : range.outside + (id - range.inside);
  }

  /**
   * How an id from outside is kept. Root of the outside, who sets containers up, is root of the inside as well. EOVERFLOW where there is no such id inside, as for
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
  uid: IdMap;
  gid: IdMap;
}
