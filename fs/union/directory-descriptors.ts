import type { Name } from '../name.ts';
import { close, openAt } from '../host/at.ts';
import { O_DIRECTORY, O_PATH } from '../host/constants.ts';

/** A directory as it is found: by its first name in another, by its own descriptor, or, without either, as the root. */
export interface Located {
  links: { parent: Located; name: Name }[];
  orphan: number | undefined;
}

/** Descriptors of a chain of new ones that are kept: enough for what comes next, few enough that depth has no limit. */
const CHAIN = 16;

/**
 * O_PATH descriptors of directories in the upper, opened from the parent's descriptor and one name.
 * A descriptor is good for the operation at hand: one operation asks for at most a handful, and the oldest are closed first.
 */
export class DirectoryDescriptors {
  readonly #root: number;
  readonly #limit: number;
  /** In the order of use, least recent first. */
  readonly #open = new Map<Located, number>();

  constructor(root: number, limit: number) {
    this.#root = root;
    this.#limit = Math.max(limit, 8 * CHAIN);
  }

  get(node: Located): number {
    if (node.orphan !== undefined) return node.orphan;
    if (node.links.length === 0) return this.#root;
    const known = this.#open.get(node);
    if (known !== undefined) {
      this.#open.delete(node);
      this.#open.set(node, known);
      return known;
    }
    const missing: Located[] = [];
    let above: Located = node;
    while (above.links.length > 0 && above.orphan === undefined && !this.#open.has(above)) {
      missing.push(above);
      above = above.links[0].parent;
    }
    let fd = above.links.length === 0 || above.orphan !== undefined ? (above.orphan ?? this.#root) : (this.#open.get(above) as number);
    for (let index = missing.length - 1; index >= 0; index -= 1) {
      const next = openAt(fd, missing[index].links[0].name, O_PATH | O_DIRECTORY);
      // Of a long chain the first ones only lead on.
      if (index + 1 < missing.length && index + 1 >= CHAIN) close(fd);
      fd = next;
      if (index < CHAIN) this.#remember(missing[index], fd);
    }
    return fd;
  }

  /** The node is gone, or what it refers to is. */
  drop(node: Located): void {
    const fd = this.#open.get(node);
    if (fd === undefined) return;
    this.#open.delete(node);
    close(fd);
  }

  close(): void {
    for (const fd of this.#open.values()) close(fd);
    this.#open.clear();
  }

  #remember(node: Located, fd: number): void {
    this.#open.set(node, fd);
    if (this.#open.size <= this.#limit) return;
    const [oldest, oldestFd] = this.#open.entries().next().value as [Located, number];
    this.#open.delete(oldest);
    close(oldestFd);
  }
}
