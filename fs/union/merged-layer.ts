import { FsError } from '../errno.ts';
import type { Name } from '../name.ts';
import { CAPABILITY } from '../xattr-names.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, type Stat } from '../stat.ts';
import { close, openAt } from '../host/at.ts';
import { O_RDONLY } from '../host/constants.ts';
import { preadFull } from '../host/file.ts';
import type { XattrTarget } from '../host/xattr.ts';
import type { Layer, LayerEntry } from '../layer/layer.ts';
import { type SavedAttributes, withSaved } from '../layer/file-marks.ts';
import { DirectoryDescriptors } from '../layer/directory-descriptors.ts';
import { LinkIndex } from '../layer/link-index.ts';
import { readOverriddenLink } from '../layer/override-stat.ts';
import { type DirectoryMarks, UpperTree } from '../layer/upper.ts';
import { getUsersXattr, listUsersXattrs } from '../layer/users-xattr.ts';
import { type DirectorySides, type Found, mergeDirectory, resolve, type Sides } from './merge.ts';

/** A file of the merged tree: where it is in the upper, or in the lower only. */
export interface MergedNode {
  /** The name it was found by; of the root, none. */
  readonly link: { parent: MergedNode; name: Name } | undefined;
  readonly type: number;
  readonly upper: boolean;
  /** Of a metadata-only copy: its data is that of `lower`. */
  readonly bare: boolean;
  /** Attributes a crash left changed. */
  readonly saved: SavedAttributes | undefined;
  readonly lower: unknown;
  readonly lowerPath: Name | undefined;
  readonly ino: number | undefined;
  readonly linkKey: Name | undefined;
  marks?: DirectoryMarks;
}

const ELF_MAGIC = 0x7f454c46;

/**
 * What a mount of an upper directory over a layer shows, without a mount, and without changing anything: for what a container changed, and to make a layer
 * of it. Nothing else may change the upper meanwhile where the answers have to agree with each other.
 */
export class MergedLayer implements Layer<MergedNode>, Sides {
  readonly root: MergedNode;
  readonly upper: UpperTree;
  readonly lower: Layer;
  readonly #descriptors: DirectoryDescriptors<MergedNode>;

  /** `lower` stays the caller's, to be closed after this. */
  constructor(options: { lower: Layer; upper: { directory: Name | number; work: Name | number } }) {
    this.lower = options.lower;
    this.upper = new UpperTree(options.upper.directory, options.upper.work, { readOnly: true });
    this.#descriptors = new DirectoryDescriptors((node) => node.link ?? this.upper.root, 256);
    const marks = this.upper.readMarks(this.upper.root);
    const common = { link: undefined, type: S_IFDIR, upper: true, bare: false, saved: undefined, ino: undefined, linkKey: undefined, marks };
    this.root = marks.opaque ? { ...common, lower: undefined, lowerPath: undefined } : { ...common, lower: this.lower.root, lowerPath: '' };
  }

  lookup(directory: MergedNode, name: Name): MergedNode | undefined {
    return this.#node(directory, name, resolve(this, this.#sides(directory), name));
  }

  list(directory: MergedNode): LayerEntry<MergedNode>[] {
    const entries: LayerEntry<MergedNode>[] = [];
    for (const { name, type } of mergeDirectory(this, this.#sides(directory))) {
      const node = this.lookup(directory, name);
      if (node !== undefined) entries.push({ name, node, ino: this.stat(node).ino, mode: type });
    }
    return entries;
  }

  stat(node: MergedNode): Stat {
    const { linkKey } = node;
    if (!node.upper) {
      const stat = this.lower.stat(node.lower);
      const left = linkKey === undefined ? undefined : this.upper.index.left(linkKey);
      return left === undefined ? stat : { ...stat, nlink: left };
    }
    let stat: Stat = { ...this.upper.owners.stat(this.#target(node)) };
    if (node.saved !== undefined) stat = withSaved(stat, node.saved);
    if (node.bare && node.lower !== undefined) stat.blocks = this.lower.stat(node.lower).blocks;
    if (node.ino !== undefined) stat.ino = node.ino;
    if (linkKey !== undefined) stat.nlink += (this.upper.index.left(linkKey) ?? 0) - 1;
    else if (node.type === S_IFDIR && node.lower !== undefined) stat.nlink = 1;
    return stat;
  }

  identity(node: MergedNode): string {
    if (node.linkKey !== undefined) return `linked ${node.linkKey}`;
    return node.upper ? `upper ${this.stat({ ...node, ino: undefined }).ino}` : this.lower.identity(node.lower);
  }

  readlink(node: MergedNode): Name {
    if (!node.upper) return this.lower.readlink(node.lower);
    if (node.type !== S_IFLNK) throw new FsError('EINVAL', 'Cannot read a symlink: it isn\'t one');
    const { directory, name } = this.#target(node) as { directory: number; name: Name };
    return readOverriddenLink(directory, name);
  }

  listXattr(node: MergedNode): Name[] {
    if (!node.upper) return this.lower.listXattr(node.lower);
    const names = listUsersXattrs(this.#target(node), this.upper.owners);
    return node.saved?.capability === undefined || names.includes(CAPABILITY) ? names : [...names, CAPABILITY];
  }

  getXattr(node: MergedNode, name: Name): Buffer | undefined {
    if (!node.upper) return this.lower.getXattr(node.lower, name);
    return (name === CAPABILITY ? node.saved?.capability : undefined) ?? getUsersXattr(this.#target(node), name, this.upper.owners);
  }

  open(node: MergedNode): number {
    if (!node.upper) return this.lower.open(node.lower);
    if (node.type !== S_IFREG) throw new FsError('EINVAL', 'Cannot open a file of a layer: not a regular one');
    if (node.bare) {
      if (node.lower === undefined) throw new FsError('EIO', 'Cannot open a file of a layer: the lower file that has its data is missing');
      return this.lower.open(node.lower);
    }
    const { directory, name } = this.#target(node) as { directory: number; name: Name };
    return openAt(directory, name, O_RDONLY);
  }

  isElf(node: MergedNode): boolean {
    if (!node.upper || (node.bare && node.lower !== undefined)) return this.lower.isElf(node.lower);
    if (node.type !== S_IFREG) return false;
    const fd = this.open(node);
    try {
      const head = Buffer.alloc(4);
      return preadFull(fd, head, 0, 4, 0) === 4 && head.readUInt32BE(0) === ELF_MAGIC;
    } finally {
      close(fd);
    }
  }

  /** A directory the upper doesn't have is the lower's, unless a file somewhere below was changed by another of its names. */
  subtreeKey(node: MergedNode): string | undefined {
    return node.upper || !this.upper.index.isEmpty ? undefined : this.lower.subtreeKey(node.lower);
  }

  origin(node: MergedNode): string {
    return node.upper ? 'upper' : this.lower.origin(node.lower);
  }

  close(): void {
    this.#descriptors.close();
    this.upper.close();
  }

  #node(parent: MergedNode, name: Name, found: Found): MergedNode | undefined {
    const link = { parent, name };
    switch (found.at) {
      case 'nowhere':
      case 'whiteout':
        return undefined;
      case 'upper': {
        const { stat, origin, lower, data, saved } = found;
        const linkKey = origin?.key !== undefined && this.upper.index.has(origin.key) ? origin.key : undefined;
        const ino = lower === undefined ? origin?.ino : this.lower.stat(lower.node).ino;
        return { link, type: stat.mode & S_IFMT, upper: true, bare: data !== undefined, saved, lower: (data ?? lower)?.node, lowerPath: lower?.path, ino, linkKey };
      }
      case 'linked': {
        const stat = this.lower.stat(found.node);
        return { link, type: stat.mode & S_IFMT, upper: true, bare: found.data !== undefined, saved: found.saved, lower: found.data?.node, lowerPath: undefined, ino: stat.ino, linkKey: found.key };
      }
      case 'lower': {
        const stat = this.lower.stat(found.node);
        const type = stat.mode & S_IFMT;
        const linkKey = type !== S_IFDIR && stat.nlink > 1 && !this.upper.index.isEmpty ? LinkIndex.key(this.lower.identity(found.node)) : undefined;
        const lowerPath = type === S_IFDIR ? found.path : undefined;
        return { link, type, upper: false, bare: false, saved: undefined, lower: found.node, lowerPath, ino: stat.ino, linkKey };
      }
    }
  }

  #sides(node: MergedNode): DirectorySides {
    if (node.type !== S_IFDIR) throw new FsError('ENOTDIR', 'Cannot look into a file of a layer: not a directory');
    const lower = node.lowerPath === undefined ? undefined : { node: node.lower, path: node.lowerPath };
    if (!node.upper) return { upper: undefined, lower };
    const fd = this.#descriptors.get(node);
    node.marks ??= this.upper.readMarks(fd);
    return { upper: { fd, marks: node.marks }, lower };
  }

  #target(node: MergedNode): XattrTarget {
    const { index } = this.upper;
    if (node.linkKey !== undefined && index.has(node.linkKey)) return { directory: index.directory, name: node.linkKey };
    const { link } = node;
    return link === undefined ? this.upper.root : { directory: this.#descriptors.get(link.parent), name: link.name };
  }
}
