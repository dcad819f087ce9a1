import type { Name } from '../../fs/name.ts';
import { isDirectory, S_IFDIR } from '../../fs/stat.ts';
import type { Attributes, Change, NewInode } from '../tree/change.ts';
import { linkKey, type Entry, type ObjectKey, type Tree, type TreeReader } from '../tree/entry.ts';
import { encodeDirectory, encodeLinks, objectKey } from './directory-object.ts';

export interface BuildOptions {
  parent?: Tree;
  /** The number of the layer that is built. */
  layer: number;
  root: Change;
  /** Reads the parent. */
  reader: TreeReader;
}

export interface BuiltTree {
  tree: Tree;
  /** Every object made, by key: the directories on changed paths, and the link counts. Some may be in the store already. */
  objects: Map<ObjectKey, Buffer>;
  /** The object of `tree.links`; undefined where that is empty. */
  links: ObjectKey | undefined;
}

/** A directory being merged: what is below it, what the layer changes in it, and what came out so far. */
interface Frame {
  entry: Entry;
  children: ReadonlyMap<Name, Change>;
  names: Name[];
  nextName: number;
  lower: readonly Entry[];
  nextLower: number;
  merged: Entry[];
}

const NO_CHILDREN: ReadonlyMap<Name, Change> = new Map();
/** What a directory is that neither the layer nor one below it describes. */
const IMPLICIT: Attributes = { mode: S_IFDIR | 0o755, uid: 0, gid: 0, size: 0, mtimeSec: 0, mtimeNsec: 0, rdevMajor: 0, rdevMinor: 0, xattrs: new Map() };

/**
 * Applies what a layer does to the tree below it. Only directories on changed paths are made anew. Inode numbers are given in the order of a walk by
 * sorted names, parents first, so the same change on the same parent always gives the same objects. The walk keeps its own stack: depth has no limit.
 */
export function buildTree(options: BuildOptions): BuiltTree {
  return new TreeBuilder(options).build();
}

class TreeBuilder {
  readonly #options: BuildOptions;
  readonly #objects = new Map<ObjectKey, Buffer>();
  readonly #stack: Frame[] = [];
  /** Inodes with several names, with the number they got. */
  readonly #linked: Map<NewInode, number>;
  #links: Map<string, number>;
  #linksChanged = false;
  #lastInode = 0;

  constructor(options: BuildOptions) {
    this.#options = options;
    const counts = countNames(options.root);
    this.#linked = new Map([...counts].filter(([, count]) => count > 1).map(([inode]) => [inode, 0]));
    this.#links = new Map(options.parent?.links);
    this.#counts = counts;
  }

  readonly #counts: Map<NewInode, number>;

  build(): BuiltTree {
    const { parent, root: change } = this.#options;
    const root = this.#directory('', change, parent?.root);
    if (root !== undefined) return this.#result(root);
    for (;;) {
      const frame = this.#stack[this.#stack.length - 1];
      if (!this.#step(frame)) continue;
      this.#finish(frame);
      this.#stack.pop();
      const above = this.#stack[this.#stack.length - 1];
      if (above === undefined) return this.#result(frame.entry);
      above.merged.push(frame.entry);
    }
  }

  #result(root: Entry): BuiltTree {
    const tree = { root, links: this.#links };
    if (this.#links.size === 0) return { tree, objects: this.#objects, links: undefined };
    const bytes = encodeLinks(this.#links);
    const links = objectKey(bytes);
    // Link counts that stay the parent's are the parent's object.
    if (this.#linksChanged) this.#objects.set(links, bytes);
    return { tree, objects: this.#objects, links };
  }

  /** Merges the directory until it is complete (true) or one of its directories has to be merged first (false: that one is on the stack). */
  #step(frame: Frame): boolean {
    const { names, lower, merged } = frame;
    while (frame.nextName < names.length) {
      const name = names[frame.nextName++];
      while (frame.nextLower < lower.length && lower[frame.nextLower].name < name) merged.push(lower[frame.nextLower++]);
      const below = frame.nextLower < lower.length && lower[frame.nextLower].name === name ? lower[frame.nextLower++] : undefined;
      const change = frame.children.get(name) as Change;
      if (change.children !== undefined || (change.inode !== undefined && isDirectory(change.inode.attributes))) {
        const entry = this.#directory(name, change, below);
        if (entry === undefined) return false;
        merged.push(entry);
      } else if (change.inode !== undefined) {
        if (below !== undefined) this.#drop(below);
        merged.push(this.#newEntry(name, change.inode));
      } else if (below !== undefined) {
        if (change.hides) this.#drop(below);
        else merged.push(below);
      }
    }
    for (; frame.nextLower < lower.length; frame.nextLower++) merged.push(lower[frame.nextLower]);
    return true;
  }

  /** The entry of a directory the layer names, where its content stays as it is; else undefined, and a frame for it is on the stack. */
  #directory(name: Name, change: Change, below: Entry | undefined): Entry | undefined {
    const merges = below !== undefined && isDirectory(below) && !change.hides;
    if (below !== undefined && !merges) this.#drop(below);
    const children = change.children ?? NO_CHILDREN;
    if (merges && children.size === 0) {
      if (change.inode === undefined) return below;
      const { object, subdirectories, linksBelow } = below;
      return { ...this.#newEntry(name, change.inode), object, subdirectories, linksBelow };
    }
    // An opaque mark empties a directory; without an entry of the layer for it, the directory itself is the one below.
    const kept = change.inode === undefined && below !== undefined && isDirectory(below) ? below : undefined;
    const entry = kept ? { ...kept } : this.#newEntry(name, change.inode ?? { attributes: IMPLICIT });
    this.#stack.push({
      entry, children, names: [...children.keys()].sort(), nextName: 0, lower: merges ? this.#options.reader.list(below) : [], nextLower: 0, merged: [],
    });
    return undefined;
  }

  #finish({ entry, merged }: Frame): void {
    let subdirectories = 0;
    let linksBelow = false;
    for (const child of merged) {
      if (child.object !== undefined) subdirectories++;
      if (child.linked || child.linksBelow) linksBelow = true;
    }
    const bytes = encodeDirectory(merged);
    const object = objectKey(bytes);
    this.#objects.set(object, bytes);
    Object.assign(entry, { object, subdirectories, linksBelow });
  }

  #newEntry(name: Name, inode: NewInode): Entry {
    const { mode, uid, gid, size, mtimeSec, mtimeNsec, rdevMajor, rdevMinor, xattrs, target } = inode.attributes;
    const { layer } = this.#options;
    const linked = !isDirectory(inode.attributes) && this.#linked.has(inode);
    const number = linked ? this.#linkedNumber(inode) : ++this.#lastInode;
    return {
      name, mode, uid, gid, layer, inode: number, linked, size, mtimeSec, mtimeNsec, rdevMajor, rdevMinor, xattrs,
      content: inode.content, object: undefined, subdirectories: undefined, linksBelow: false, target,
    };
  }

  #linkedNumber(inode: NewInode): number {
    const known = this.#linked.get(inode) as number;
    if (known !== 0) return known;
    const number = ++this.#lastInode;
    this.#linked.set(inode, number);
    this.#links.set(linkKey({ layer: this.#options.layer, inode: number }), this.#counts.get(inode) as number);
    this.#linksChanged = true;
    return number;
  }

  /** Counts down the links of everything at and below an entry that no longer shows. */
  #drop(entry: Entry): void {
    const gone = [entry];
    for (let next = gone.pop(); next !== undefined; next = gone.pop()) {
      if (next.linked) this.#unlink(next);
      if (next.linksBelow) for (const child of this.#options.reader.list(next)) if (child.linked || child.linksBelow) gone.push(child);
    }
  }

  #unlink(entry: Entry): void {
    const key = linkKey(entry);
    const count = this.#links.get(key);
    if (count === undefined) return;
    if (count > 2) this.#links.set(key, count - 1);
    else this.#links.delete(key);
    this.#linksChanged = true;
  }
}

/** How many names each inode of a change has. */
function countNames(root: Change): Map<NewInode, number> {
  const counts = new Map<NewInode, number>();
  const open = [root];
  for (let change = open.pop(); change !== undefined; change = open.pop()) {
    for (const child of change.children?.values() ?? []) {
      if (child.children !== undefined) open.push(child);
      else if (child.inode !== undefined) counts.set(child.inode, (counts.get(child.inode) ?? 0) + 1);
    }
  }
  return counts;
}
