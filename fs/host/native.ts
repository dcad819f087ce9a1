import koffi from 'koffi';
import { errnoName, FsError } from '../errno.ts';
import { nameToText, type Name } from '../name.ts';

/**
 * The one file that loads native code: C functions of libc, called through koffi. Every wrapper around them in this folder but `syncfsAside` is synchronous, returns
 * plain values and throws FsError. Path arguments are Buffers that end in NUL (`cString`).
 */
const c = koffi.load('libc.so.6');

export const libc = {
  openat: c.func('int openat(int dir, void *path, int flags, uint mode)'),
  close: c.func('int close(int fd)'),
  statx: c.func('int statx(int dir, void *path, int flags, uint mask, void *out)'),
  unlinkat: c.func('int unlinkat(int dir, void *path, int flags)'),
  renameat2: c.func('int renameat2(int dir, void *path, int newDir, void *newPath, uint flags)'),
  linkat: c.func('int linkat(int dir, void *path, int newDir, void *newPath, int flags)'),
  symlinkat: c.func('int symlinkat(void *target, int dir, void *path)'),
  readlinkat: c.func('int64 readlinkat(int dir, void *path, void *out, size_t size)'),
  mkdirat: c.func('int mkdirat(int dir, void *path, uint mode)'),
  mknodat: c.func('int mknodat(int dir, void *path, uint mode, uint64 device)'),
  fchmodat: c.func('int fchmodat(int dir, void *path, uint mode, int flags)'),
  chmod: c.func('int chmod(void *path, uint mode)'),
  fchmod: c.func('int fchmod(int fd, uint mode)'),
  fchownat: c.func('int fchownat(int dir, void *path, uint uid, uint gid, int flags)'),
  utimensat: c.func('int utimensat(int dir, void *path, void *times, int flags)'),
  lgetxattr: c.func('int64 lgetxattr(void *path, void *name, void *value, size_t size)'),
  getxattr: c.func('int64 getxattr(void *path, void *name, void *value, size_t size)'),
  lsetxattr: c.func('int lsetxattr(void *path, void *name, void *value, size_t size, int flags)'),
  setxattr: c.func('int setxattr(void *path, void *name, void *value, size_t size, int flags)'),
  llistxattr: c.func('int64 llistxattr(void *path, void *list, size_t size)'),
  listxattr: c.func('int64 listxattr(void *path, void *list, size_t size)'),
  lremovexattr: c.func('int lremovexattr(void *path, void *name)'),
  removexattr: c.func('int removexattr(void *path, void *name)'),
  read: c.func('int64 read(int fd, void *buffer, size_t size)'),
  write: c.func('int64 write(int fd, void *buffer, size_t size)'),
  pread: c.func('int64 pread(int fd, void *buffer, size_t size, int64 offset)'),
  preadAddress: c.func('pread', 'int64', ['int', 'uint64', 'size_t', 'int64']),
  preadv2: c.func('int64 preadv2(int fd, void *vectors, int count, int64 offset, int flags)'),
  pwrite: c.func('int64 pwrite(int fd, void *buffer, size_t size, int64 offset)'),
  ftruncate: c.func('int ftruncate(int fd, int64 size)'),
  fsync: c.func('int fsync(int fd)'),
  fdatasync: c.func('int fdatasync(int fd)'),
  syncfs: c.func('int syncfs(int fd)'),
  fallocate: c.func('int fallocate(int fd, int mode, int64 offset, int64 length)'),
  lseek: c.func('int64 lseek(int fd, int64 offset, int whence)'),
  copy_file_range: c.func('int64 copy_file_range(int from, void *fromOffset, int to, void *toOffset, size_t length, uint flags)'),
  ioctl: c.func('int ioctl(int fd, ulong command, void *argument)'),
  ioctlNumber: c.func('ioctl', 'int', ['int', 'ulong', 'long']),
  statfs: c.func('int statfs(void *path, void *out)'),
  fstatfs: c.func('int fstatfs(int fd, void *out)'),
  flock: c.func('int flock(int fd, int operation)'),
  poll: c.func('int poll(void *fds, ulong count, int timeout)'),
  eventfd: c.func('int eventfd(uint initial, int flags)'),
  mount: c.func('int mount(void *source, void *target, void *type, ulong flags, void *data)'),
  umount2: c.func('int umount2(void *target, int flags)'),
  socketpair: c.func('int socketpair(int domain, int type, int protocol, void *fds)'),
  recvmsg: c.func('int64 recvmsg(int fd, void *message, int flags)'),
  getdents64: c.func('int64 getdents64(int fd, void *buffer, size_t size)'),
  // What glibc has no functions for (Debian 12's hasn't for the first); they are numbered alike on all architectures.
  openat2: c.func('syscall', 'int64', ['long', 'int', 'void *', 'void *', 'size_t']).bind(null, 437),
  open_tree: c.func('syscall', 'int64', ['long', 'int', 'void *', 'uint']).bind(null, 428),
  move_mount: c.func('syscall', 'int64', ['long', 'int', 'void *', 'int', 'void *', 'uint']).bind(null, 429),
  mount_setattr: c.func('syscall', 'int64', ['long', 'int', 'void *', 'uint', 'void *', 'size_t']).bind(null, 442),
};

const fcntlNumber = c.func('fcntl', 'int', ['int', 'int', 'long']);

/** fcntl(2) with a number as argument; -1 on failure. */
export function fcntl(fd: number, command: number, argument: number): number {
  return fcntlNumber(fd, command, argument);
}

/** A pointer to a Buffer's bytes as a number, for structs that hold addresses; the caller keeps the Buffer alive and pinned. */
export function addressOf(buffer: Buffer): bigint {
  return BigInt(koffi.address(buffer));
}

/** errno of the last call that failed, on this thread. */
export function lastErrno(): number {
  return koffi.errno();
}

const EMPTY = Buffer.from([0]);

/** A byte string as C wants it. */
export function cString(name: Name): Buffer {
  if (name === '') return EMPTY;
  const bytes = Buffer.allocUnsafe(name.length + 1);
  bytes.latin1Write(name, 0);
  bytes[name.length] = 0;
  return bytes;
}

/** The error of the call that just failed: "Cannot <action> <name>: <errno>". */
export function failed(action: string, name: Name = ''): FsError {
  const code = errnoName(koffi.errno());
  return new FsError(code, name === '' ? `Cannot ${action}` : `Cannot ${action} "${nameToText(name)}"`);
}

/** Gives back a result that isn't -1; else throws what `failed` makes. */
export function check(result: number, action: string, name: Name = ''): number {
  if (result < 0) throw failed(action, name);
  return result;
}
