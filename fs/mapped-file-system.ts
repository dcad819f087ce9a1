import type { AttributeChange, Caller, CreateOptions, DirectoryEntry, FileSystem, FsStatistics, Kernel, MaybePromise, NodeReply, OpenReply } from './file-system.ts';
import type { IdMaps } from './id-map.ts';
import { xattrToInside, xattrToOutside } from './mapped-xattrs.ts';
import type { Name } from './name.ts';
import type { Stat } from './stat.ts';

type Place = { id: number; handle: number; offset: number };

/**
 * A file system whose owners are shown as others: what belongs to a container's root is kept as root's, and shown to the kernel as that of the host's user who is
 * the container's root. Nothing is changed on disk for it, so containers with different maps, or none, share layers.
 */
export class MappedFileSystem implements FileSystem {
  readonly #inner: FileSystem;
  readonly #maps: IdMaps;

  constructor(inner: FileSystem, maps: IdMaps) {
    this.#inner = inner;
    this.#maps = maps;
  }

  attach(kernel: Kernel): void {
    this.#inner.attach(kernel);
  }

  destroy(): void {
    this.#inner.destroy();
  }

  lookup(caller: Caller, parent: number, name: Name): MaybePromise<NodeReply | undefined> {
    return then(this.#inner.lookup(caller, parent, name), (reply) => reply && this.#node(reply));
  }

  forget(id: number, count: number): void {
    this.#inner.forget(id, count);
  }

  getattr(id: number, handle?: number): MaybePromise<Stat> {
    return then(this.#inner.getattr(id, handle), (stat) => this.#stat(stat));
  }

  setattr(caller: Caller, id: number, change: AttributeChange): MaybePromise<Stat> {
    const inside = { ...change };
    if (change.uid !== undefined) inside.uid = this.#maps.uid.toInside(change.uid);
    if (change.gid !== undefined) inside.gid = this.#maps.gid.toInside(change.gid);
    return then(this.#inner.setattr(caller, id, inside), (stat) => this.#stat(stat));
  }

  readlink(id: number): MaybePromise<Name> {
    return this.#inner.readlink(id);
  }

  mknod(caller: Caller, parent: number, name: Name, options: CreateOptions & { rdevMajor: number; rdevMinor: number }): MaybePromise<NodeReply> {
    return then(this.#inner.mknod(this.#maker(caller), parent, name, options), (reply) => this.#node(reply));
  }

  mkdir(caller: Caller, parent: number, name: Name, options: CreateOptions): MaybePromise<NodeReply> {
    return then(this.#inner.mkdir(this.#maker(caller), parent, name, options), (reply) => this.#node(reply));
  }

  symlink(caller: Caller, parent: number, name: Name, target: Name): MaybePromise<NodeReply> {
    return then(this.#inner.symlink(this.#maker(caller), parent, name, target), (reply) => this.#node(reply));
  }

  link(caller: Caller, id: number, newParent: number, newName: Name): MaybePromise<NodeReply> {
    return then(this.#inner.link(caller, id, newParent, newName), (reply) => this.#node(reply));
  }

  unlink(caller: Caller, parent: number, name: Name): MaybePromise<void> {
    return this.#inner.unlink(caller, parent, name);
  }

  rmdir(caller: Caller, parent: number, name: Name): MaybePromise<void> {
    return this.#inner.rmdir(caller, parent, name);
  }

  rename(caller: Caller, parent: number, name: Name, newParent: number, newName: Name, flags: number): MaybePromise<void> {
    return this.#inner.rename(caller, parent, name, newParent, newName, flags);
  }

  open(caller: Caller, id: number, flags: number, how: { exec: boolean; killPrivileges: boolean }): MaybePromise<OpenReply> {
    return this.#inner.open(caller, id, flags, how);
  }

  create(caller: Caller, parent: number, name: Name, flags: number, options: CreateOptions): MaybePromise<NodeReply & { open: OpenReply }> {
    return then(this.#inner.create(this.#maker(caller), parent, name, flags, options), (reply) => this.#node(reply));
  }

  tmpfile(caller: Caller, parent: number, flags: number, options: CreateOptions): MaybePromise<NodeReply & { open: OpenReply }> {
    return then(this.#inner.tmpfile(this.#maker(caller), parent, flags, options), (reply) => this.#node(reply));
  }

  read(id: number, handle: number, offset: number, into: Buffer): MaybePromise<number> {
    return this.#inner.read(id, handle, offset, into);
  }

  write(id: number, handle: number, offset: number, data: Buffer, how: { killPrivileges: boolean; fromCache: boolean }): MaybePromise<number> {
    return this.#inner.write(id, handle, offset, data, how);
  }

  flush(id: number, handle: number): MaybePromise<void> {
    return this.#inner.flush(id, handle);
  }

  release(id: number, handle: number): void {
    this.#inner.release(id, handle);
  }

  fsync(id: number, handle: number, dataOnly: boolean): MaybePromise<void> {
    return this.#inner.fsync(id, handle, dataOnly);
  }

  fallocate(id: number, handle: number, mode: number, offset: number, length: number, how?: { killPrivileges: boolean }): MaybePromise<void> {
    return this.#inner.fallocate(id, handle, mode, offset, length, how);
  }

  lseek(id: number, handle: number, offset: number, whence: number): MaybePromise<number> {
    return this.#inner.lseek(id, handle, offset, whence);
  }

  copyFileRange(source: Place, target: Place, length: number, flags: number, how?: { killPrivileges: boolean }): MaybePromise<number> {
    return this.#inner.copyFileRange(source, target, length, flags, how);
  }

  ioctl(id: number, handle: number, command: number, argument: Buffer, outSize: number): MaybePromise<Buffer> {
    return this.#inner.ioctl(id, handle, command, argument, outSize);
  }

  opendir(caller: Caller, id: number): MaybePromise<{ handle: number; keepCache?: boolean; cacheDirectory?: boolean }> {
    return this.#inner.opendir(caller, id);
  }

  readdir(id: number, handle: number, offset: number, add: (entry: DirectoryEntry) => boolean): void {
    this.#inner.readdir(id, handle, offset, add);
  }

  readdirplus(id: number, handle: number, offset: number, add: (entry: DirectoryEntry, node: NodeReply | undefined) => boolean): void {
    this.#inner.readdirplus(id, handle, offset, (entry, node) => add(entry, node && this.#node(node)));
  }

  releasedir(id: number, handle: number): void {
    this.#inner.releasedir(id, handle);
  }

  fsyncdir(id: number, handle: number, dataOnly: boolean): MaybePromise<void> {
    return this.#inner.fsyncdir(id, handle, dataOnly);
  }

  getxattr(id: number, name: Name): MaybePromise<Buffer> {
    return then(this.#inner.getxattr(id, name), (value) => xattrToOutside(this.#maps, name, value));
  }

  listxattr(id: number, caller?: Caller): MaybePromise<Name[]> {
    return this.#inner.listxattr(id, caller);
  }

  setxattr(caller: Caller, id: number, name: Name, value: Buffer, flags: number, how: { killSetgid: boolean }): MaybePromise<void> {
    return this.#inner.setxattr(caller, id, name, xattrToInside(this.#maps, name, value), flags, how);
  }

  removexattr(caller: Caller, id: number, name: Name): MaybePromise<void> {
    return this.#inner.removexattr(caller, id, name);
  }

  statfs(id: number): MaybePromise<FsStatistics> {
    return this.#inner.statfs(id);
  }

  syncfs(id: number): MaybePromise<void> {
    return this.#inner.syncfs(id);
  }

  #stat(stat: Stat): Stat {
    return { ...stat, uid: this.#maps.uid.toOutside(stat.uid), gid: this.#maps.gid.toOutside(stat.gid) };
  }

  #node<T extends NodeReply>(reply: T): T {
    return { ...reply, stat: this.#stat(reply.stat) };
  }

  /** Who a new file is to belong to. Nothing else asks who does it: permissions are the kernel's business. */
  #maker({ uid, gid, pid }: Caller): Caller {
    return { uid: this.#maps.uid.toInside(uid), gid: this.#maps.gid.toInside(gid), pid };
  }
}

function then<T, U>(value: MaybePromise<T>, use: (value: T) => U): MaybePromise<U> {
  return value instanceof Promise ? value.then(use) : use(value);
}
