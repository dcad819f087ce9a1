import type { Name } from './name.ts';
import type { Stat } from './stat.ts';

/**
 * What a transport asks of a file system: one method an operation, node-based as the FUSE protocol is. A method returns its value, or a promise where work
 * goes to a helper thread, and throws (or rejects with) FsError. Node ids are minted by the file system; ROOT_ID is the root's.
 */
export const ROOT_ID = 1;

/** Who makes the request, in the ids of the mount's user namespace. */
export interface Caller {
  uid: number;
  gid: number;
  pid: number;
}

export type MaybePromise<T> = T | Promise<T>;

/** A name's answer. One lookup count is added for each that is returned (also by readdirplus); `forget` takes counts away. */
export interface NodeReply {
  id: number;
  generation: number;
  stat: Stat;
}

/** An open file. `passthrough` is a backing id made by `Kernel.openBacking`, or undefined: then reads and writes come to us. */
export interface OpenReply {
  handle: number;
  keepCache?: boolean;
  directIo?: boolean;
  passthrough?: number;
}

/** What to change; absent means unchanged. 'now' is the server's clock. */
export interface AttributeChange {
  /** Permission bits only. */
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  atime?: 'now' | { sec: number; nsec: number };
  mtime?: 'now' | { sec: number; nsec: number };
  /** From the writeback cache only. */
  ctime?: { sec: number; nsec: number };
  /** FATTR_KILL_SUIDGID: drop setuid and setgid (and capabilities) as a write does. */
  killPrivileges?: boolean;
  /** The open file the change came through. */
  handle?: number;
}

export interface DirectoryEntry {
  name: Name;
  ino: number;
  /** Type bits suffice. */
  mode: number;
  /** The offset to give to continue behind this entry. */
  offset: number;
}

export interface FsStatistics {
  /** Units of `fragmentSize` bytes. */
  blocks: number;
  freeBlocks: number;
  availableBlocks: number;
  files: number;
  freeFiles: number;
  blockSize: number;
  fragmentSize: number;
  nameMax: number;
}

/** What a file system may ask of the kernel connection that serves it. */
export interface Kernel {
  /** True where opens may be answered with a backing id (FUSE_PASSTHROUGH negotiated). */
  readonly passthrough: boolean;
  readonly writebackCache: boolean;
  /** Registers a descriptor as backing file; ids are > 0. Throws FsError. The caller may close `fd` afterwards. */
  openBacking(fd: number): number;
  closeBacking(id: number): void;
  /**
   * Drops cached attributes and, where `length` isn't -1, pages of a node (0: to the end), after the kernel has written back those it hasn't yet. Resolves when
   * that is done, which takes WRITE requests; a request may wait for it, unless the kernel holds pages of the node for it (READ, WRITE). Never rejects.
   */
  invalidateNode(id: number, offset: number, length: number): Promise<void>;
  /** Drops a name; delivered from another thread, in order, later. No request may wait for it. */
  invalidateEntry(parent: number, name: Name): void;
}

export interface CreateOptions {
  /** Permission bits (and, for mknod, type bits) as asked, before the umask. */
  mode: number;
  umask: number;
}

export interface FileSystem {
  /** Called once, when the kernel and the transport have agreed on what the session can do. */
  attach(kernel: Kernel): void;
  /** The session is over: everything open is closed. */
  destroy(): void;

  /** undefined: there is no such name, and the kernel may remember that for ever. */
  lookup(caller: Caller, parent: number, name: Name): MaybePromise<NodeReply | undefined>;
  forget(id: number, count: number): void;
  getattr(id: number, handle?: number): MaybePromise<Stat>;
  setattr(caller: Caller, id: number, change: AttributeChange): MaybePromise<Stat>;
  readlink(id: number): MaybePromise<Name>;

  mknod(caller: Caller, parent: number, name: Name, options: CreateOptions & { rdevMajor: number; rdevMinor: number }): MaybePromise<NodeReply>;
  mkdir(caller: Caller, parent: number, name: Name, options: CreateOptions): MaybePromise<NodeReply>;
  symlink(caller: Caller, parent: number, name: Name, target: Name): MaybePromise<NodeReply>;
  link(caller: Caller, id: number, newParent: number, newName: Name): MaybePromise<NodeReply>;
  unlink(caller: Caller, parent: number, name: Name): MaybePromise<void>;
  rmdir(caller: Caller, parent: number, name: Name): MaybePromise<void>;
  /** `flags` as renameat2(2). */
  rename(caller: Caller, parent: number, name: Name, newParent: number, newName: Name, flags: number): MaybePromise<void>;

  /** `flags` as open(2). `exec`: the kernel opens it to run it. */
  open(caller: Caller, id: number, flags: number, how: { exec: boolean; killPrivileges: boolean }): MaybePromise<OpenReply>;
  create(caller: Caller, parent: number, name: Name, flags: number, options: CreateOptions): MaybePromise<NodeReply & { open: OpenReply }>;
  tmpfile(caller: Caller, parent: number, flags: number, options: CreateOptions): MaybePromise<NodeReply & { open: OpenReply }>;
  /** Fills `into` from its start; the bytes filled, fewer only at the end of the file. */
  read(id: number, handle: number, offset: number, into: Buffer): MaybePromise<number>;
  /** The bytes written. `data` is only valid until the call returns (copy it if the answer comes later). */
  write(id: number, handle: number, offset: number, data: Buffer, how: { killPrivileges: boolean; fromCache: boolean }): MaybePromise<number>;
  flush(id: number, handle: number): MaybePromise<void>;
  release(id: number, handle: number): void;
  fsync(id: number, handle: number, dataOnly: boolean): MaybePromise<void>;
  /** `killPrivileges`: drop setuid and setgid as a write does; so of `copyFileRange`, for its target. */
  fallocate(id: number, handle: number, mode: number, offset: number, length: number, how?: { killPrivileges: boolean }): MaybePromise<void>;
  /** `whence` as lseek(2): SEEK_DATA 3, SEEK_HOLE 4. */
  lseek(id: number, handle: number, offset: number, whence: number): MaybePromise<number>;
  copyFileRange(source: { id: number; handle: number; offset: number }, target: { id: number; handle: number; offset: number }, length: number, flags: number, how?: { killPrivileges: boolean }): MaybePromise<number>;
  /** `argument` is what the kernel copied in; the bytes to copy out. */
  ioctl(id: number, handle: number, command: number, argument: Buffer, outSize: number): MaybePromise<Buffer>;

  opendir(caller: Caller, id: number): MaybePromise<{ handle: number; keepCache?: boolean; cacheDirectory?: boolean }>;
  /**
   * Gives entries behind `offset` (0: from the start) to `add` until it says false (no room: that entry isn't taken). "." and ".." are among them.
   */
  readdir(id: number, handle: number, offset: number, add: (entry: DirectoryEntry) => boolean): void;
  /** As readdir; `add` also gets the node ("." and "..": undefined). Counts a lookup for each entry that was taken. */
  readdirplus(id: number, handle: number, offset: number, add: (entry: DirectoryEntry, node: NodeReply | undefined) => boolean): void;
  releasedir(id: number, handle: number): void;
  fsyncdir(id: number, handle: number, dataOnly: boolean): MaybePromise<void>;

  /** ENODATA where there is none of that name. */
  getxattr(id: number, name: Name): MaybePromise<Buffer>;
  /** Names that `caller` may know of; without one, all. */
  listxattr(id: number, caller?: Caller): MaybePromise<Name[]>;
  /** `flags` as setxattr(2): XATTR_CREATE 1, XATTR_REPLACE 2. */
  setxattr(caller: Caller, id: number, name: Name, value: Buffer, flags: number, how: { killSetgid: boolean }): MaybePromise<void>;
  removexattr(caller: Caller, id: number, name: Name): MaybePromise<void>;

  statfs(id: number): MaybePromise<FsStatistics>;
  syncfs(id: number): MaybePromise<void>;
}
