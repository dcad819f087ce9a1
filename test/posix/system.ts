import koffi from 'koffi';
import { attempt, errnoName, FsError } from '../../fs/errno.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../fs/host/constants.ts';
import { fsync } from '../../fs/host/file.ts';

/** System calls that cases need and neither Node nor `fs/host` has. Names are ASCII; failures throw FsError. */
const c = koffi.load('libc.so.6');
const libc = {
  statx: c.func('int statx(int dir, void *path, int flags, uint mask, void *out)'),
  faccessat: c.func('int faccessat(int dir, str path, int mode, int flags)'),
  truncate: c.func('int truncate(str path, int64 size)'),
  utimensat: c.func('int utimensat(int dir, str path, void *times, int flags)'),
  lgetxattr: c.func('int64 lgetxattr(str path, str name, void *value, size_t size)'),
  llistxattr: c.func('int64 llistxattr(str path, void *list, size_t size)'),
  mmap: c.func('void *mmap(void *address, size_t length, int protection, int flags, int fd, int64 offset)'),
  munmap: c.func('int munmap(void *address, size_t length)'),
  msync: c.func('int msync(void *address, size_t length, int flags)'),
  fcntl: c.func('fcntl', 'int', ['int', 'int', 'void *']),
  fcntlNumber: c.func('fcntl', 'int', ['int', 'int', 'long']),
  setgroups: c.func('syscall', 'long', ['long', 'long', 'void *']),
  getgroups: c.func('int getgroups(int room, void *list)'),
  flock: c.func('int flock(int fd, int operation)'),
  syncfs: c.func('int syncfs(int fd)'),
  posix_fadvise: c.func('int posix_fadvise(int fd, int64 offset, int64 length, int advice)'),
  opendir: c.func('void *opendir(str path)'),
  readdir: c.func('void *readdir(void *directory)'),
  telldir: c.func('long telldir(void *directory)'),
  seekdir: c.func('void seekdir(void *directory, long place)'),
  closedir: c.func('int closedir(void *directory)'),
};

function check(result: number, action: string): number {
  if (result < 0) throw new FsError(errnoName(koffi.errno()), `Cannot ${action}`);
  return result;
}

const AT_STATX_FORCE_SYNC = 0x2000;

/** Makes the kernel ask for a file's attributes, whatever it remembers of them; symlinks aren't followed. */
export function refresh(name: Buffer): void {
  check(libc.statx(AT_FDCWD, Buffer.concat([name, Buffer.from([0])]), AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW, 0xfff, Buffer.alloc(256)), 'stat');
}

const AT_EACCESS = 0x200;

/** access(2) by the ids that `as` sets; `mode` of R_OK, W_OK, X_OK. */
export function accessAs(name: string, mode: number): void {
  check(libc.faccessat(AT_FDCWD, name, mode, AT_EACCESS), 'access');
}

export function truncatePath(name: string, size: number): void {
  check(libc.truncate(name, size), 'truncate');
}

/** utimensat(2) with tv_nsec as it is, symlinks followed. */
export function setTimes(name: string, atimeNsec: number, mtimeNsec: number): void {
  const times = Buffer.alloc(32);
  times.writeBigInt64LE(BigInt(atimeNsec), 8);
  times.writeBigInt64LE(BigInt(mtimeNsec), 24);
  check(libc.utimensat(AT_FDCWD, name, times, 0), 'set times');
}
export const UTIME_NOW = 0x3fff_ffff;
export const UTIME_OMIT = 0x3fff_fffe;

/** The length told for a buffer of `room` bytes. */
export function xattrLength(name: string, xattr: string, room: number): number {
  return check(libc.lgetxattr(name, xattr, Buffer.alloc(Math.max(room, 1)), room), 'get an xattr');
}
export function xattrListLength(name: string, room: number): number {
  return check(libc.llistxattr(name, Buffer.alloc(Math.max(room, 1)), room), 'list xattrs');
}

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_ANONYMOUS = 0x20;

export interface Mapping {
  /** The file's, in place. */
  bytes: Uint8Array;
  sync(): void;
  unmap(): void;
}

/** Maps a file's start; not of a mount this process serves (see `withMapping`). */
export function mapFile(fd: number, length: number, protection: number, flags: number): Mapping {
  const address = libc.mmap(null, length, protection, flags, fd, 0) as unknown;
  if (address === null || koffi.address(address) === 0xffff_ffff_ffff_ffffn) check(-1, 'map a file');
  return {
    bytes: new Uint8Array(koffi.view(address, length)),
    sync: () => void check(libc.msync(address, length, 4), 'sync a mapping'),
    unmap: () => void libc.munmap(address, length),
  };
}

/**
 * Maps a file's start and gives its bytes, in place, to `use`, with a way to sync them. For files of mounts this process serves too: unmapping writes what
 * isn't on disk with the address space locked, and threads that serve may wait for that lock, so it is synced before.
 */
export function withMapping<T>(fd: number, length: number, protection: number, flags: number, use: (bytes: Uint8Array, sync: () => void) => T): T {
  const { bytes, sync, unmap } = mapFile(fd, length, protection, flags);
  try {
    return use(bytes, sync);
  } finally {
    sync();
    // All of the file, where `use` hasn't closed it.
    attempt(() => fsync(fd));
    unmap();
  }
}

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;
export function flock(fd: number, operation: number): void {
  check(libc.flock(fd, operation), 'lock');
}

export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;
const [F_GETLK, F_SETLK, F_OFD_SETLK] = [5, 6, 37];

/** Takes or gives up a record lock of a process, or of the open file ('description'), on bytes of a file; doesn't wait. */
export function lockRange(fd: number, owner: 'process' | 'description', type: number, start = 0, length = 0): void {
  check(libc.fcntl(fd, owner === 'process' ? F_SETLK : F_OFD_SETLK, range(type, start, length)), 'lock a range');
}

/** The process whose lock is in the way; undefined: none. */
export function lockHolder(fd: number, type: number, start = 0, length = 0): number | undefined {
  const lock = range(type, start, length);
  check(libc.fcntl(fd, F_GETLK, lock), 'ask for a lock');
  return lock.readInt16LE(0) === F_UNLCK ? undefined : lock.readInt32LE(24);
}

/** struct flock of 64-bit Linux. */
function range(type: number, start: number, length: number): Buffer {
  const lock = Buffer.alloc(32);
  lock.writeInt16LE(type, 0);
  lock.writeBigInt64LE(BigInt(start), 8);
  lock.writeBigInt64LE(BigInt(length), 16);
  return lock;
}

const F_SETFL = 4;
export function setStatusFlags(fd: number, flags: number): void {
  check(libc.fcntlNumber(fd, F_SETFL, flags), 'set flags');
}

/** Does something with other supplementary groups, in this thread only. */
export function withGroups<T>(groups: number[], action: () => T): T {
  const SYS_SETGROUPS = process.arch === 'arm64' ? 159 : 116;
  const set = (ids: number[]): void => {
    const list = Buffer.alloc(4 * Math.max(ids.length, 1));
    for (const [index, id] of ids.entries()) list.writeUInt32LE(id, 4 * index);
    check(libc.setgroups(SYS_SETGROUPS, ids.length, list) as number, 'set groups');
  };
  const list = Buffer.alloc(65_536 * 4);
  const count = check(libc.getgroups(65_536, list), 'get groups');
  const before = Array.from({ length: count }, (_, index) => list.readUInt32LE(4 * index));
  set(groups);
  try {
    return action();
  } finally {
    set(before);
  }
}

const POSIX_FADV_DONTNEED = 4;

/** Has the pages of a file that are on disk dropped from memory. */
export function dropPages(fd: number): void {
  const errno = libc.posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  if (errno !== 0) throw new FsError(errnoName(errno), 'Cannot drop pages');
}

export function syncFileSystem(fd: number): void {
  check(libc.syncfs(fd), 'sync a file system');
}

/** A directory as libc reads it, in buffers of 32 KiB; a place is what telldir(3) tells. */
export class DirectoryStream {
  readonly #stream: unknown;

  constructor(name: string) {
    this.#stream = libc.opendir(name);
    if (this.#stream === null) check(-1, 'open a directory');
  }

  /** The next name; undefined at the end. */
  next(): string | undefined {
    const entry = libc.readdir(this.#stream) as unknown;
    // d_name of struct dirent.
    return entry === null ? undefined : (koffi.decode(entry, 19, 'char', -1) as string);
  }

  tell(): number {
    return libc.telldir(this.#stream) as number;
  }

  seek(place: number): void {
    libc.seekdir(this.#stream, place);
  }

  close(): void {
    libc.closedir(this.#stream);
  }
}
