import { FsError } from '../../fs/errno.ts';
import {
  ROOT_ID, type AttributeChange, type Caller, type CreateOptions, type DirectoryEntry, type FileSystem, type FsStatistics, type Kernel, type NodeReply,
  type OpenReply,
} from '../../fs/file-system.ts';
import type { Name } from '../../fs/name.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, isDirectory, type Stat } from '../../fs/stat.ts';

export interface MemoryNode {
  id: number;
  stat: Stat;
  lookups: number;
  parent: number;
  data: Buffer;
  target: Name;
  children: Map<Name, MemoryNode>;
  xattrs: Map<Name, Buffer>;
}

const OPEN: OpenReply = { handle: 7, keepCache: true };

/** A small file system in memory: a real one for its callers, plain enough to be read in a minute. */
export class MemoryFileSystem implements FileSystem {
  readonly nodes = new Map<number, MemoryNode>();
  /** The methods called, by name. */
  readonly calls: string[] = [];
  kernel: Kernel | undefined;
  destroyed = 0;
  /** Answers of read and fsync come as promises that settle when these do. */
  delay: (() => Promise<void>) | undefined;
  private nextId = ROOT_ID;

  constructor() {
    this.make(0, S_IFDIR | 0o755, { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, pid: 0 });
  }

  attach(kernel: Kernel): void {
    this.kernel = kernel;
  }

  destroy(): void {
    this.destroyed += 1;
  }

  lookup(_caller: Caller, parent: number, name: Name): NodeReply | undefined {
    this.calls.push('lookup');
    const child = this.directory(parent).children.get(name);
    return child === undefined ? undefined : this.reply(child);
  }

  forget(id: number, count: number): void {
    const node = this.node(id);
    node.lookups -= count;
    if (node.lookups < 0) throw new Error(`node ${id} forgotten too often`);
  }

  getattr(id: number): Stat {
    this.calls.push('getattr');
    return this.node(id).stat;
  }

  setattr(_caller: Caller, id: number, change: AttributeChange): Stat {
    const node = this.node(id);
    const { stat } = node;
    if (change.mode !== undefined) stat.mode = (stat.mode & S_IFMT) | change.mode;
    if (change.uid !== undefined) stat.uid = change.uid;
    if (change.gid !== undefined) stat.gid = change.gid;
    if (change.size !== undefined) this.resize(node, change.size);
    if (change.atime !== undefined) [stat.atimeSec, stat.atimeNsec] = timeOf(change.atime);
    if (change.mtime !== undefined) [stat.mtimeSec, stat.mtimeNsec] = timeOf(change.mtime);
    return stat;
  }

  readlink(id: number): Name {
    return this.node(id).target;
  }

  mknod(caller: Caller, parent: number, name: Name, options: CreateOptions & { rdevMajor: number; rdevMinor: number }): NodeReply {
    const node = this.add(caller, parent, name, options.mode & ~options.umask);
    node.stat.rdevMajor = options.rdevMajor;
    node.stat.rdevMinor = options.rdevMinor;
    return this.reply(node);
  }

  mkdir(caller: Caller, parent: number, name: Name, options: CreateOptions): NodeReply {
    return this.reply(this.add(caller, parent, name, S_IFDIR | (options.mode & ~options.umask & 0o7777)));
  }

  symlink(caller: Caller, parent: number, name: Name, target: Name): NodeReply {
    const node = this.add(caller, parent, name, S_IFLNK | 0o777);
    node.target = target;
    node.stat.size = target.length;
    return this.reply(node);
  }

  link(_caller: Caller, id: number, newParent: number, newName: Name): NodeReply {
    const node = this.node(id);
    this.free(newParent, newName);
    this.directory(newParent).children.set(newName, node);
    node.stat.nlink += 1;
    return this.reply(node);
  }

  unlink(_caller: Caller, parent: number, name: Name): void {
    this.child(parent, name).stat.nlink -= 1;
    this.directory(parent).children.delete(name);
  }

  rmdir(_caller: Caller, parent: number, name: Name): void {
    if (this.child(parent, name).children.size > 0) throw new FsError('ENOTEMPTY', `Cannot remove "${name}"`);
    this.directory(parent).children.delete(name);
  }

  rename(_caller: Caller, parent: number, name: Name, newParent: number, newName: Name, flags: number): void {
    const node = this.child(parent, name);
    const target = this.directory(newParent).children.get(newName);
    if (target !== undefined && flags === 1) throw new FsError('EEXIST', `Cannot rename to "${newName}"`);
    if (flags > 1) throw new FsError('EINVAL', `Cannot rename "${name}" with flags ${flags}`);
    if (target !== undefined) target.stat.nlink -= 1;
    this.directory(parent).children.delete(name);
    this.directory(newParent).children.set(newName, node);
    node.parent = newParent;
  }

  open(_caller: Caller, id: number, flags: number): OpenReply {
    this.calls.push('open');
    if ((flags & 0o1000) !== 0) this.resize(this.node(id), 0);
    return OPEN;
  }

  create(caller: Caller, parent: number, name: Name, _flags: number, options: CreateOptions): NodeReply & { open: OpenReply } {
    return { ...this.reply(this.add(caller, parent, name, S_IFREG | (options.mode & ~options.umask & 0o7777))), open: OPEN };
  }

  tmpfile(caller: Caller, parent: number, _flags: number, options: CreateOptions): NodeReply & { open: OpenReply } {
    const node = this.make(parent, S_IFREG | (options.mode & ~options.umask & 0o7777), caller);
    node.stat.nlink = 0;
    return { ...this.reply(node), open: OPEN };
  }

  read(id: number, _handle: number, offset: number, into: Buffer): number | Promise<number> {
    this.calls.push('read');
    const fill = (): number => this.node(id).data.copy(into, 0, offset, Math.min(offset + into.length, this.node(id).stat.size));
    return this.delay === undefined ? fill() : this.delay().then(fill);
  }

  write(id: number, _handle: number, offset: number, data: Buffer): number {
    const node = this.node(id);
    if (offset + data.length > node.stat.size) this.resize(node, offset + data.length);
    data.copy(node.data, offset);
    return data.length;
  }

  flush(): void {}
  release(): void {
    this.calls.push('release');
  }

  fsync(): void | Promise<void> {
    this.calls.push('fsync');
    return this.delay?.();
  }

  fallocate(id: number, _handle: number, mode: number, offset: number, length: number): void {
    if (mode !== 0) throw new FsError('EOPNOTSUPP', `Cannot allocate with mode ${mode}`);
    const node = this.node(id);
    if (offset + length > node.stat.size) this.resize(node, offset + length);
  }

  lseek(id: number, _handle: number, offset: number, whence: number): number {
    const { size } = this.node(id).stat;
    if (offset >= size) throw new FsError('ENXIO', `Cannot seek to ${offset}`);
    return whence === 3 ? offset : size;
  }

  copyFileRange(source: { id: number; offset: number }, target: { id: number; offset: number }, length: number): number {
    this.calls.push('copyFileRange');
    const from = this.node(source.id);
    return this.write(target.id, 0, target.offset, Buffer.from(from.data.subarray(source.offset, Math.min(from.stat.size, source.offset + length))));
  }

  ioctl(_id: number, _handle: number, command: number, argument: Buffer, outSize: number): Buffer {
    if (command !== 0x8008_6601) throw new FsError('ENOTTY', `Cannot do ioctl ${command}`);
    return Buffer.alloc(outSize, argument.length + 1);
  }

  opendir(): { handle: number } {
    return { handle: 9 };
  }

  readdir(id: number, _handle: number, offset: number, add: (entry: DirectoryEntry) => boolean): void {
    for (const { entry } of this.entries(id).slice(offset)) if (!add(entry)) return;
  }

  readdirplus(id: number, _handle: number, offset: number, add: (entry: DirectoryEntry, node: NodeReply | undefined) => boolean): void {
    for (const { entry, node } of this.entries(id).slice(offset)) {
      if (!add(entry, node === undefined ? undefined : { id: node.id, generation: 0, stat: node.stat })) return;
      if (node !== undefined) node.lookups += 1;
    }
  }

  releasedir(): void {}
  fsyncdir(): void {}

  getxattr(id: number, name: Name): Buffer {
    const value = this.node(id).xattrs.get(name);
    if (value === undefined) throw new FsError('ENODATA', `Cannot get "${name}"`);
    return value;
  }

  listxattr(id: number): Name[] {
    return [...this.node(id).xattrs.keys()];
  }

  setxattr(_caller: Caller, id: number, name: Name, value: Buffer): void {
    this.node(id).xattrs.set(name, value);
  }

  removexattr(_caller: Caller, id: number, name: Name): void {
    if (!this.node(id).xattrs.delete(name)) throw new FsError('ENODATA', `Cannot remove "${name}"`);
  }

  statfs(): FsStatistics {
    return { blocks: 1000, freeBlocks: 600, availableBlocks: 500, files: 100, freeFiles: 90, blockSize: 4096, fragmentSize: 4096, nameMax: 255 };
  }

  syncfs(): void {}

  private node(id: number): MemoryNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new FsError('ESTALE', `Cannot find node ${id}`);
    return node;
  }

  private directory(id: number): MemoryNode {
    const node = this.node(id);
    if (!isDirectory(node.stat)) throw new FsError('ENOTDIR', `Cannot use node ${id} as directory`);
    return node;
  }

  private child(parent: number, name: Name): MemoryNode {
    const child = this.directory(parent).children.get(name);
    if (child === undefined) throw new FsError('ENOENT', `Cannot find "${name}"`);
    return child;
  }

  private free(parent: number, name: Name): void {
    if (this.directory(parent).children.has(name)) throw new FsError('EEXIST', `Cannot make "${name}"`);
  }

  private reply(node: MemoryNode): NodeReply {
    node.lookups += 1;
    return { id: node.id, generation: 0, stat: node.stat };
  }

  private entries(id: number): { entry: DirectoryEntry; node: MemoryNode | undefined }[] {
    const node = this.directory(id);
    const all: { name: Name; of: MemoryNode; node: MemoryNode | undefined }[] = [
      { name: '.', of: node, node: undefined }, { name: '..', of: this.nodes.get(node.parent) ?? node, node: undefined },
      ...[...node.children].map(([name, child]) => ({ name, of: child, node: child })),
    ];
    return all.map(({ name, of, node: child }, index) => ({ entry: { name, ino: of.id, mode: of.stat.mode, offset: index + 1 }, node: child }));
  }

  private add(caller: Caller, parent: number, name: Name, mode: number): MemoryNode {
    this.free(parent, name);
    const node = this.make(parent, mode, caller);
    this.directory(parent).children.set(name, node);
    return node;
  }

  private make(parent: number, mode: number, caller: Caller): MemoryNode {
    const [sec, nsec] = timeOf('now');
    const id = this.nextId;
    this.nextId += 1;
    const stat: Stat = {
      mode, uid: caller.uid, gid: caller.gid, size: 0, blocks: 0, blockSize: 4096, nlink: 1, ino: id, rdevMajor: 0, rdevMinor: 0, atimeSec: sec,
      atimeNsec: nsec, mtimeSec: sec, mtimeNsec: nsec, ctimeSec: sec, ctimeNsec: nsec, btimeSec: 1_600_000_000, btimeNsec: 5,
    };
    const node: MemoryNode = { id, stat, lookups: 0, parent, data: Buffer.alloc(0), target: '', children: new Map(), xattrs: new Map() };
    this.nodes.set(id, node);
    return node;
  }

  private resize(node: MemoryNode, size: number): void {
    if (size > node.data.length) {
      const data = Buffer.alloc(Math.max(size, node.data.length * 2));
      node.data.copy(data, 0, 0, node.stat.size);
      node.data = data;
    } else if (size < node.stat.size) node.data.fill(0, size, node.stat.size);
    node.stat.size = size;
    node.stat.blocks = Math.ceil(size / 512);
  }
}

function timeOf(time: 'now' | { sec: number; nsec: number }): [number, number] {
  if (time !== 'now') return [time.sec, time.nsec];
  const now = Date.now();
  return [Math.floor(now / 1000), (now % 1000) * 1e6];
}
