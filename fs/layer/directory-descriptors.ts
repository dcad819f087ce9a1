import type { Name } from '../name.ts';
import { close, openAt } from '../host/at.ts';
import { O_DIRECTORY, O_PATH } from '../host/constants.ts';

/** How a directory is found: by its name in another, or by a descriptor that somebody else keeps. */
export type Way<D> = { readonly parent: D; readonly name: Name } | number;

/** Descriptors of a chain of new ones that are kept: enough for what comes next, few enough that depth has no limit. */
const CHAIN = 16;

/**
 * O_PATH descriptors of directories, opened from the parent's descriptor and one name, so that depth has no limit and no symlink is followed.
 * INVARIANT: at most `limit` are open; the least recently used are closed first, each `get` opening at most CHAIN that stay. So a descriptor is good until
 * `get` is called again, and where `limit` is a multiple of CHAIN for as many calls less one; nobody else closes it.
 */
export class DirectoryDescriptors<D> {
  readonly #wayTo: (directory: D) => Way<D>;
  readonly #limit: number;
  /** In the order of use, least recent first. */
  readonly #open = new Map<D, number>();

  constructor(wayTo: (directory: D) => Way<D>, limit: number) {
    this.#wayTo = wayTo;
    // A child is opened before its parent may be evicted: one is enough.
    this.#limit = Math.max(1, limit);
  }

  get(directory: D): number {
    let way = this.#wayTo(directory);
    if (typeof way === 'number') return way;
    const known = this.#open.get(directory);
    if (known !== undefined) {
      this.#open.delete(directory);
      this.#open.set(directory, known);
      return known;
    }
    const missing: { directory: D; name: Name }[] = [];
    let above: D | undefined = directory;
    let fd: number | undefined;
    while (fd === undefined) {
      if (typeof way === 'number') fd = way;
      else {
        missing.push({ directory: above, name: way.name });
        above = way.parent;
        fd = this.#open.get(above);
        way = this.#wayTo(above);
      }
    }
    for (let index = missing.length - 1; index >= 0; index -= 1) {
      const next = openAt(fd, missing[index].name, O_PATH | O_DIRECTORY);
      // Of a long chain the first ones only lead on.
      if (index + 1 < missing.length && index + 1 >= CHAIN) close(fd);
      fd = next;
      if (index < CHAIN) this.#remember(missing[index].directory, fd);
    }
    return fd;
  }

  /** The directory is gone, or what it refers to is. */
  drop(directory: D): void {
    const fd = this.#open.get(directory);
    if (fd === undefined) return;
    this.#open.delete(directory);
    close(fd);
  }

  /** Closes all that it opened itself. */
  close(): void {
    for (const fd of this.#open.values()) close(fd);
    this.#open.clear();
  }

  #remember(directory: D, fd: number): void {
    this.#open.set(directory, fd);
    if (this.#open.size <= this.#limit) return;
    const [oldest, oldestFd] = this.#open.entries().next().value as [D, number];
    this.#open.delete(oldest);
    close(oldestFd);
  }
}
