import { FsError } from '../errno.ts';
import type {
  AttributeChange, Caller, CreateOptions, DirectoryEntry, FileSystem, FsStatistics, Kernel, MaybePromise, NodeReply, OpenReply,
} from '../file-system.ts';
import type { Name } from '../name.ts';
import type { Stat } from '../stat.ts';
import { checkTable } from './node-table.ts';
import { getattr, setattr } from './ops/attributes.ts';
import { create, mkdir, mknod, symlink, tmpfile } from './ops/create.ts';
import { fsyncdir, opendir, readdir, readdirplus, releasedir } from './ops/directory.ts';
import { ioctl, statfs, syncfs } from './ops/file-system.ts';
import { copyFileRange, fallocate, fsync, lseek, read, write } from './ops/data.ts';
import { open, release } from './ops/file.ts';
import { link } from './ops/link.ts';
import { lookup, readlink } from './ops/lookup.ts';
import { rmdir, unlink } from './ops/remove.ts';
import { rename } from './ops/rename.ts';
import { getxattr, listxattr, removexattr, setxattr } from './ops/xattr.ts';
import { Union, type UnionOptions } from './state.ts';

export type { UnionOptions } from './state.ts';

type Place = { id: number; handle: number; offset: number };

/** The union of one writable directory over one read-only layer, as a file system. Operations are in ops/; this is the table of them. */
export class UnionFs implements FileSystem {
  readonly #union: Union;

  constructor(options: UnionOptions) {
    this.#union = new Union(options);
  }

  attach(kernel: Kernel): void {
    this.#union.kernel = kernel;
  }

  destroy(): void {
    this.#union.close();
  }

  /** What it keeps in memory: nodes the kernel knows or that lead to such, open files and directories. */
  counts(): { nodes: number; files: number; directories: number } {
    const { table, handles } = this.#union;
    return { nodes: table.byId.size, files: handles.files.size, directories: handles.directories.size };
  }

  /** Throws where an invariant doesn't hold: for tests. */
  check(): void {
    checkTable(this.#union.table);
  }

  lookup(_caller: Caller, parent: number, name: Name): NodeReply | undefined {
    return lookup(this.#union, parent, name);
  }

  forget(id: number, count: number): void {
    this.#union.table.forget(id, count);
  }

  getattr(id: number): Stat {
    return getattr(this.#union, id);
  }

  setattr(_caller: Caller, id: number, change: AttributeChange): MaybePromise<Stat> {
    return setattr(this.#union, id, change);
  }

  readlink(id: number): Name {
    return readlink(this.#union, id);
  }

  mknod(caller: Caller, parent: number, name: Name, options: CreateOptions & { rdevMajor: number; rdevMinor: number }): NodeReply {
    return mknod(this.#union, caller, parent, name, options);
  }

  mkdir(caller: Caller, parent: number, name: Name, options: CreateOptions): NodeReply {
    return mkdir(this.#union, caller, parent, name, options);
  }

  symlink(caller: Caller, parent: number, name: Name, target: Name): NodeReply {
    return symlink(this.#union, caller, parent, name, target);
  }

  link(_caller: Caller, id: number, newParent: number, newName: Name): MaybePromise<NodeReply> {
    return link(this.#union, id, newParent, newName);
  }

  unlink(_caller: Caller, parent: number, name: Name): void {
    unlink(this.#union, parent, name);
  }

  rmdir(_caller: Caller, parent: number, name: Name): void {
    rmdir(this.#union, parent, name);
  }

  rename(_caller: Caller, parent: number, name: Name, newParent: number, newName: Name, flags: number): MaybePromise<void> {
    return rename(this.#union, parent, name, newParent, newName, flags);
  }

  open(caller: Caller, id: number, flags: number, how: { exec: boolean; killPrivileges: boolean }): MaybePromise<OpenReply> {
    return open(this.#union, caller, id, flags, how);
  }

  create(caller: Caller, parent: number, name: Name, flags: number, options: CreateOptions): NodeReply & { open: OpenReply } {
    return create(this.#union, caller, parent, name, flags, options);
  }

  tmpfile(caller: Caller, parent: number, flags: number, options: CreateOptions): NodeReply & { open: OpenReply } {
    return tmpfile(this.#union, caller, parent, flags, options);
  }

  read(_id: number, handle: number, offset: number, into: Buffer): MaybePromise<number> {
    return read(this.#union, handle, offset, into);
  }

  write(_id: number, handle: number, offset: number, data: Buffer, how: { killPrivileges: boolean; fromCache: boolean }): number {
    return write(this.#union, handle, offset, data, how);
  }

  /** Nothing is held back until close(2): the kernel need not tell. */
  flush(): void {
    throw new FsError('ENOSYS', 'Cannot flush: nothing is held back');
  }

  release(_id: number, handle: number): void {
    release(this.#union, handle);
  }

  fsync(_id: number, handle: number, dataOnly: boolean): MaybePromise<void> {
    return fsync(this.#union, handle, dataOnly);
  }

  fallocate(_id: number, handle: number, mode: number, offset: number, length: number, how?: { killPrivileges: boolean }): MaybePromise<void> {
    return fallocate(this.#union, handle, { mode, offset, length }, how);
  }

  lseek(_id: number, handle: number, offset: number, whence: number): number | Promise<number> {
    return lseek(this.#union, handle, offset, whence);
  }

  copyFileRange(source: Place, target: Place, length: number, _flags: number, how?: { killPrivileges: boolean }): MaybePromise<number> {
    return copyFileRange(this.#union, { source, target, length }, how);
  }

  ioctl(id: number, _handle: number, command: number, argument: Buffer, outSize: number): MaybePromise<Buffer> {
    return ioctl(this.#union, id, command, argument, outSize);
  }

  opendir(_caller: Caller, id: number): { handle: number; keepCache: boolean; cacheDirectory: boolean } {
    return opendir(this.#union, id);
  }

  readdir(_id: number, handle: number, offset: number, add: (entry: DirectoryEntry) => boolean): void {
    readdir(this.#union, handle, offset, add);
  }

  readdirplus(_id: number, handle: number, offset: number, add: (entry: DirectoryEntry, node: NodeReply | undefined) => boolean): void {
    readdirplus(this.#union, handle, offset, add);
  }

  releasedir(_id: number, handle: number): void {
    releasedir(this.#union, handle);
  }

  fsyncdir(id: number): MaybePromise<void> {
    return fsyncdir(this.#union, id);
  }

  getxattr(id: number, name: Name): Buffer {
    return getxattr(this.#union, id, name);
  }

  listxattr(id: number, caller?: Caller): Name[] {
    return listxattr(this.#union, id, caller);
  }

  setxattr(_caller: Caller, id: number, name: Name, value: Buffer, flags: number, how: { killSetgid: boolean }): MaybePromise<void> {
    return setxattr(this.#union, id, name, value, flags, how);
  }

  removexattr(_caller: Caller, id: number, name: Name): MaybePromise<void> {
    return removexattr(this.#union, id, name);
  }

  statfs(): FsStatistics {
    return statfs(this.#union);
  }

  syncfs(): MaybePromise<void> {
    return syncfs(this.#union);
  }
}
