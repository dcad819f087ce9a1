import { FsError } from '../errno.ts';
import type { Kernel, NodeReply } from '../file-system.ts';
import type { Name } from '../name.ts';
import { nameToText } from '../name.ts';
import { isDirectory, S_IFDIR, S_IFMT, type Stat } from '../stat.ts';
import type { HostStat } from '../host/at.ts';
import { close, openPath, openTarget, statFd } from '../host/at.ts';
import { O_PATH } from '../host/constants.ts';
import { statfs, type HostStatfs } from '../host/file.ts';
import type { XattrTarget } from '../host/xattr.ts';
import type { Layer } from '../layer/layer.ts';
import { forgetSaved, putBack, withSaved } from '../layer/file-marks.ts';
import { removeMark } from '../layer/overlay-xattr.ts';
import { DirectoryDescriptors } from '../layer/directory-descriptors.ts';
import { LinkIndex } from '../layer/link-index.ts';
import { type DirectoryMarks, type UpperOptions, UpperTree } from '../layer/upper.ts';
import { Handles } from './handles.ts';
import type { Helpers } from './helpers.ts';
import { perform, type Job } from './job.ts';
import { type DirectorySides, type Found, type PartialCopy, resolve, type Sides } from './merge.ts';
import { lowerDirectory, type Node } from './node.ts';
import { isLimited, type OwnLimits, type Room, Usage } from './usage.ts';
import { NodeTable } from './node-table.ts';

export interface UnionOptions {
  /** The read-only tree below; it stays the caller's, to be closed after `destroy`. */
  lower: Layer;
  /**
   * Where changes go: a directory, and an empty one beside it (same file system) to build things in. Paths or descriptors. Whiteouts are written as the host
   * allows unless told. `metacopy`: where owner, mode, times, xattrs or names of a file change, its data stays in the lower (only ufs and overlayfs with
   * metacopy=on understand that). Absent: a read-only mount.
   */
  upper?: { directory: Name | number; work: Name | number } & Omit<UpperOptions, 'readOnly'>;
  /** Threads for long work, shared by the mounts of a server (`new Helpers({ wakeFd: server.wakeFd })`, `onWake: () => helpers.drain()`). Absent: all work is done at once. */
  helpers?: Helpers;
  /** Which files the kernel reads and writes without us; 'auto' unless told. */
  passthrough?: 'auto' | 'always' | 'never';
  /** Nothing is ever synced: for what a crash may take. */
  volatile?: boolean;
  /** Bytes the upper may take; then writes fail with ENOSPC. Its files aren't passed through, so that we see what is written. */
  limit?: number;
  /** How many inodes it may have besides its root, to the same effect. */
  inodes?: number;
  /** What these two are now, where they are given and may be changed meanwhile. */
  limits?: () => OwnLimits;
  /** Room the upper shares with others; it is written to as one with a limit is. */
  room?: Room;
  /** What statfs(2) tells of where there is no upper: a path or descriptor. */
  statistics?: Name | number;
}

/** The state of one mount: its two sides, what the kernel knows and has open. Operations on it are in ops/. */
export class Union implements Sides {
  readonly upper: UpperTree | undefined;
  readonly lower: Layer;
  readonly options: UnionOptions;
  readonly table: NodeTable;
  readonly handles = new Handles();
  /** Where the upper has a limit. */
  readonly usage: Usage | undefined;
  /** Of directories in the upper: one operation asks for at most a handful, so they are good for it. */
  readonly descriptors: DirectoryDescriptors<Node>;
  kernel: Kernel | undefined;

  constructor(options: UnionOptions) {
    this.options = options;
    this.lower = options.lower;
    this.upper = options.upper === undefined ? undefined : new UpperTree(options.upper.directory, options.upper.work, options.upper);
    const root = this.upper?.root ?? -1;
    this.usage = this.upper === undefined || !isLimited(options) ? undefined : new Usage(root, options);
    this.descriptors = new DirectoryDescriptors((node) => node.orphan ?? node.links[0] ?? root, 256);
    this.table = new NodeTable((node) => this.#dropped(node));
    const top = this.table.root;
    top.upper = this.upper !== undefined;
    top.lower = this.lower.root;
    top.lowerPath = '';
    if (this.upper !== undefined) {
      top.marks = this.upper.readMarks(root);
      if (top.marks.opaque) top.lower = top.lowerPath = undefined;
    }
  }

  /** The upper; EROFS where there is none. */
  writable(): UpperTree {
    if (this.upper === undefined) throw new FsError('EROFS', 'Cannot change a read-only mount');
    return this.upper;
  }

  directory(id: number): Node {
    const node = this.table.get(id);
    if (node.type !== S_IFDIR) throw new FsError('ENOTDIR', `Cannot look into node ${id}: not a directory`);
    return node;
  }

  /** A directory as it is on both sides now. The descriptor is good for the operation at hand. */
  sides(node: Node): DirectorySides {
    if (node.removed) return { upper: undefined, lower: undefined };
    return { upper: node.upper ? { fd: this.descriptors.get(node), marks: this.marks(node) } : undefined, lower: lowerDirectory(node) };
  }

  marks(node: Node): DirectoryMarks {
    node.marks ??= (this.upper as UpperTree).readMarks(this.descriptors.get(node));
    return node.marks;
  }

  /** The node of a name, made where the kernel didn't know it. `stat` is what was learnt of the upper file on the way. */
  child(parent: Node, name: Name): { node: Node; stat?: HostStat } | undefined {
    const known = parent.children?.get(name);
    if (known !== undefined) return { node: known };
    const found = resolve(this, this.sides(parent), name);
    const node = this.enter(parent, name, found);
    return node === undefined ? undefined : found.at === 'upper' ? { node, stat: found.stat } : { node };
  }

  existing(parent: Node, name: Name, action: string): Node {
    const found = this.child(parent, name);
    if (found === undefined) throw new FsError('ENOENT', `Cannot ${action} "${nameToText(name)}": there is no such file`);
    return found.node;
  }

  /** Gives what was found a node: the one it has by another name, or a new one. */
  enter(parent: Node, name: Name, found: Found): Node | undefined {
    if (found.at === 'nowhere' || found.at === 'whiteout') return undefined;
    const node = found.at === 'upper' ? this.#upperNode(found) : this.#lowerNode(found);
    this.table.attach(node, parent, name);
    if (node.orphan !== undefined) {
      close(node.orphan);
      node.orphan = undefined;
    }
    try {
      if (found.at !== 'lower') this.#enterPartial(node, found);
    } catch (error) {
      this.table.release(node);
      throw error;
    }
    return node;
  }

  #enterPartial(node: Node, { data, saved, emptied }: PartialCopy): void {
    if (emptied === true) this.withDescriptor(node, (fd) => removeMark(fd, 'metacopy'));
    // While data is being copied into it, the node knows better.
    if (node.copyUp !== undefined || !node.upper || data === undefined) return;
    node.lower = data.node;
    node.data = { path: data.path, redirected: data.redirected };
    if (saved === undefined) return;
    // A crash cut the copying short.
    this.withDescriptor(node, (fd) => {
      putBack(fd, saved);
      forgetSaved(fd);
    });
  }

  #upperNode(found: Found & { at: 'upper' }): Node {
    const { stat, origin, lower } = found;
    const isShared = !isDirectory(stat) && stat.nlink > 1;
    const linkKey = origin?.key !== undefined && this.upper?.index.has(origin.key) ? origin.key : undefined;
    const known = linkKey === undefined ? undefined : this.table.byKey.get(`lower ${linkKey}`);
    // Also the last of several names: the file may be open by one that is gone.
    const mayBeKnown = isShared || (!isDirectory(stat) && this.table.byKey.size > 0);
    const other = known ?? (mayBeKnown ? this.table.byKey.get(inodeKey(stat)) : undefined);
    if (other !== undefined && other.upper) return other;
    const ino = lower === undefined ? origin?.ino : this.lower.stat(lower.node).ino;
    const node = this.table.add(stat.mode & S_IFMT);
    node.upper = true;
    node.ino = ino;
    node.linkKey = linkKey;
    if (lower !== undefined) {
      node.lower = lower.node;
      node.lowerPath = lower.path;
    }
    if (linkKey !== undefined) this.table.setKey(node, `lower ${linkKey}`);
    if (isShared) this.table.setKey(node, inodeKey(stat));
    return node;
  }

  #lowerNode(found: Found & { at: 'lower' | 'linked' }): Node {
    const stat = this.lower.stat(found.node);
    const isShared = !isDirectory(stat) && stat.nlink > 1;
    const key = found.at === 'linked' ? found.key : isShared ? LinkIndex.key(this.lower.identity(found.node)) : undefined;
    const known = key === undefined ? undefined : this.table.byKey.get(`lower ${key}`);
    if (known !== undefined) return known;
    const node = this.table.add(stat.mode & S_IFMT);
    node.ino = stat.ino;
    node.linkKey = key;
    node.lower = found.node;
    if (found.at === 'linked') {
      node.upper = true;
      node.lower = undefined;
    } else if (isDirectory(stat)) {
      node.lowerPath = found.path;
    }
    if (key !== undefined) this.table.setKey(node, `lower ${key}`);
    return node;
  }

  /** Where a file in the upper is: a name in a directory, or a descriptor once it has no name (or always for the root). */
  target(node: Node): XattrTarget {
    if (node.orphan !== undefined) return node.orphan;
    const { index } = this.upper as UpperTree;
    if (node.linkKey !== undefined && index.has(node.linkKey)) return { directory: index.directory, name: node.linkKey };
    if (node.links.length === 0) return this.descriptors.get(node);
    const [{ parent, name }] = node.links;
    return { directory: this.descriptors.get(parent), name };
  }

  /** Opens a file in the upper once more. */
  openUpper(node: Node, flags: number): number {
    return openTarget(this.target(node), flags);
  }

  /** Calls `use` with an O_PATH descriptor of a file in the upper. */
  withDescriptor<T>(node: Node, use: (fd: number) => T): T {
    const target = this.target(node);
    if (typeof target === 'number') return use(target);
    const fd = openTarget(target, O_PATH);
    try {
      return use(fd);
    } finally {
      close(fd);
    }
  }

  /** True where a file's data is in the upper: always, once it is. */
  hasData(node: Node): boolean {
    return node.upper && node.data === undefined;
  }

  /** Opens what is in the lower of a file: all of it, or its data. */
  openLower(node: Node): number {
    if (node.lower === undefined) throw new FsError('EIO', `Cannot open node ${node.id}: the lower file that has its data is missing`);
    return this.lower.open(node.lower);
  }

  hostStat(node: Node): HostStat {
    return (this.upper as UpperTree).owners.stat(this.target(node));
  }

  /** What users are told. `known`: what the host says of the upper file, if that was just asked. */
  stat(node: Node, known?: HostStat): Stat {
    if (!node.upper) {
      const stat = { ...this.lower.stat(node.lower), ...node.times };
      if (node.linkKey !== undefined) stat.nlink = this.upper?.index.left(node.linkKey) ?? stat.nlink;
      else if (node.removed) stat.nlink = 0;
      return stat;
    }
    let stat: Stat = { ...(known ?? this.hostStat(node)) };
    if (node.saved !== undefined) stat = withSaved(stat, node.saved);
    if (node.ctime !== undefined) {
      const { shown, host = node.saved && stat } = node.ctime;
      if (stat.ctimeSec === host?.ctimeSec && stat.ctimeNsec === host.ctimeNsec) Object.assign(stat, shown);
    }
    if (node.data !== undefined && node.lower !== undefined) stat.blocks = this.lower.stat(node.lower).blocks;
    if (node.ino !== undefined) stat.ino = node.ino;
    if (node.linkKey !== undefined) {
      const { index } = this.upper as UpperTree;
      stat.nlink += (index.left(node.linkKey) ?? 0) - (index.has(node.linkKey) ? 1 : 0);
    } else if (node.type === S_IFDIR) {
      if (node.removed) stat.nlink = 0;
      else if (node.lower !== undefined) stat.nlink = 1;
    }
    return stat;
  }

  /** The answer to a lookup, which counts. */
  reply(node: Node, known?: HostStat): NodeReply {
    let stat: Stat;
    try {
      stat = this.stat(node, known);
    } catch (error) {
      this.table.release(node);
      throw error;
    }
    this.table.remember(node);
    return { id: node.id, generation: 0, stat };
  }

  /** Of a name in a directory, from the root. */
  path(parent: Node, name: Name): Name {
    let path = name;
    for (let at = parent; at.links.length > 0; at = at.links[0].parent) path = `${at.links[0].name}/${path}`;
    return path;
  }

  /** Takes a name away that is gone in the upper and hidden in the lower. Call `keep` first. */
  unlinked(node: Node, parent: Node, name: Name): void {
    this.table.detach(node, parent, name);
    if (node.links.length === 0) node.removed = true;
    this.descriptors.drop(node);
    this.table.release(node);
  }

  /** Before a file loses a name: if the kernel still has it, and no other name is known, it is held by a descriptor. */
  keep(node: Node): void {
    if (node.upper && node.orphan === undefined && node.links.length <= 1 && (node.lookups > 0 || node.busy > 0 || (node.handles?.size ?? 0) > 0)) {
      node.orphan = this.openUpper(node, O_PATH);
    }
  }

  /** Undoes `keep` where the removal failed. */
  unkeep(node: Node): void {
    if (node.orphan === undefined || node.links.length === 0) return;
    close(node.orphan);
    node.orphan = undefined;
  }

  /** Does a job in a helper thread, or at once where there are none. */
  run(job: Job): number | Promise<number> {
    return this.options.helpers === undefined ? perform(job) : this.options.helpers.run(job);
  }

  statistics(): HostStatfs | undefined {
    const { statistics } = this.options;
    if (this.upper !== undefined) return statfs(this.upper.root);
    if (statistics === undefined) return undefined;
    if (typeof statistics === 'number') return statfs(statistics);
    const fd = openPath(statistics, O_PATH);
    try {
      return statfs(fd);
    } finally {
      close(fd);
    }
  }

  close(): void {
    this.handles.close();
    for (const node of this.table.byId.values()) {
      if (node.orphan === undefined) continue;
      this.usage?.gone(statFd(node.orphan));
      close(node.orphan);
      node.orphan = undefined;
    }
    this.usage?.end();
    this.descriptors.close();
    this.upper?.close();
  }

  #dropped(node: Node): void {
    this.descriptors.drop(node);
    if (node.orphan !== undefined) {
      if (this.usage !== undefined) this.usage.gone(statFd(node.orphan));
      close(node.orphan);
      node.orphan = undefined;
    }
    this.closeBacking(node);
  }

  /** The kernel's backing file of a node goes with its last passthrough open. */
  closeBacking(node: Node): void {
    if (node.backing === undefined) return;
    this.kernel?.closeBacking(node.backing.id);
    node.backing = undefined;
  }
}

/** What the table finds an upper file with several names by. */
export function inodeKey(stat: HostStat): string {
  return `upper ${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
}
