import { errnoNumber } from '../errno.ts';
import type { Name } from '../name.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_PATH } from './constants.ts';
import { close, openAt } from './at.ts';
import { check, cString, lastErrno, libc } from './native.ts';

/** Sets permission bits of anything but a symlink, never following one. */
export function chmodAt(directory: number, name: Name, mode: number): void {
  // fchmodat(2) follows symlinks (its flag came with Linux 6.6); an O_PATH descriptor doesn't.
  const fd = openAt(directory, name, O_PATH);
  try {
    chmodFd(fd, mode);
  } finally {
    close(fd);
  }
}

/** fchmod(2); O_PATH descriptors too. */
export function chmodFd(fd: number, mode: number): void {
  if (libc.fchmod(fd, mode) === 0) return;
  if (lastErrno() !== errnoNumber('EBADF')) check(-1, 'change the mode of an open file');
  check(libc.chmod(cString(`/proc/self/fd/${fd}`), mode), 'change the mode of an open file');
}

/** -1 as unsigned: chown(2) leaves that id as it is. */
const UNCHANGED = 0xffff_ffff;

/** Sets owner and group of one name, symlinks not followed; undefined leaves one as it is. */
export function chownAt(directory: number, name: Name, uid: number | undefined, gid: number | undefined): void {
  check(libc.fchownat(directory, cString(name), uid ?? UNCHANGED, gid ?? UNCHANGED, AT_SYMLINK_NOFOLLOW), 'change the owner of', name);
}

/** fchown(2); O_PATH descriptors too. */
export function chownFd(fd: number, uid: number | undefined, gid: number | undefined): void {
  check(libc.fchownat(fd, cString(''), uid ?? UNCHANGED, gid ?? UNCHANGED, 0x1000 /* AT_EMPTY_PATH */), 'change the owner of an open file');
}

export type TimeChange = { sec: number; nsec: number } | 'now' | undefined;

/** UTIME_NOW and UTIME_OMIT of utimensat(2). */
const UTIME_NOW = 0x3fff_ffff;
const UTIME_OMIT = 0x3fff_fffe;

function timespecs(atime: TimeChange, mtime: TimeChange): Buffer {
  const buffer = Buffer.alloc(32);
  for (const [offset, time] of [[0, atime], [16, mtime]] as const) {
    if (time === undefined) buffer.writeBigInt64LE(BigInt(UTIME_OMIT), offset + 8);
    else if (time === 'now') buffer.writeBigInt64LE(BigInt(UTIME_NOW), offset + 8);
    else {
      buffer.writeBigInt64LE(BigInt(time.sec), offset);
      buffer.writeBigInt64LE(BigInt(time.nsec), offset + 8);
    }
  }
  return buffer;
}

/** Sets access and modification time of one name, symlinks not followed. */
export function utimensAt(directory: number, name: Name, atime: TimeChange, mtime: TimeChange): void {
  check(libc.utimensat(directory, cString(name), timespecs(atime, mtime), AT_SYMLINK_NOFOLLOW), 'set the times of', name);
}

/** futimens(3); O_PATH descriptors too (through /proc/self/fd, which does not follow what they refer to). */
export function utimensFd(fd: number, atime: TimeChange, mtime: TimeChange): void {
  check(libc.utimensat(AT_FDCWD, cString(`/proc/self/fd/${fd}`), timespecs(atime, mtime), 0), 'set the times of an open file');
}
