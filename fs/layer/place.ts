import type { Name } from '../name.ts';
import { close, openAt } from '../host/at.ts';
import { O_DIRECTORY, O_PATH } from '../host/constants.ts';

/** One file of one raw layer: a name in a directory of it. Only a layer's root has no parent (and no name). */
export interface Place {
  readonly layer: number;
  readonly parent: Place | undefined;
  readonly name: Name;
}

/**
 * Descriptors of directories, opened from the parent's descriptor and one name, so that depth has no limit and no symlink is followed.
 * INVARIANT: at most `limit` are open besides the roots. A descriptor is good until `directory` is called again; nobody else closes it.
 */
export class DirectoryDescriptors {
  readonly #roots: readonly number[];
  readonly #limit: number;
  /** In the order of use, least recent first. */
  readonly #open = new Map<Place, number>();

  constructor(roots: readonly number[], limit: number) {
    this.#roots = roots;
    // A child is opened before its parent may be evicted: one is enough.
    this.#limit = Math.max(1, limit);
  }

  /** An O_PATH descriptor of the directory at a place. */
  directory(place: Place): number {
    if (place.parent === undefined) return this.#roots[place.layer];
    const known = this.#open.get(place);
    if (known !== undefined) {
      this.#open.delete(place);
      this.#open.set(place, known);
      return known;
    }
    const missing: Place[] = [];
    let above: Place = place;
    while (above.parent !== undefined && !this.#open.has(above)) {
      missing.push(above);
      above = above.parent;
    }
    let fd = above.parent === undefined ? this.#roots[above.layer] : (this.#open.get(above) as number);
    for (const next of missing.reverse()) {
      fd = openAt(fd, next.name, O_PATH | O_DIRECTORY);
      this.#remember(next, fd);
    }
    return fd;
  }

  close(): void {
    for (const fd of this.#open.values()) close(fd);
    for (const fd of this.#roots) close(fd);
    this.#open.clear();
  }

  #remember(place: Place, fd: number): void {
    this.#open.set(place, fd);
    if (this.#open.size <= this.#limit) return;
    const [oldest, oldestFd] = this.#open.entries().next().value as [Place, number];
    this.#open.delete(oldest);
    close(oldestFd);
  }
}
