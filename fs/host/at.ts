import { constants } from 'node:os';
import type { Name } from '../name.ts';
import type { Stat } from '../stat.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_NOFOLLOW } from './constants.ts';
import { check, cString, failed, lastErrno, libc } from './native.ts';
import type { XattrTarget } from './xattr.ts';

/** A Stat with the device the inode is on. */
export interface HostStat extends Stat {
  devMajor: number;
  devMinor: number;
}

/** Opens one name in a directory, never following a symlink; O_CLOEXEC is always set. */
export function openAt(directory: number, name: Name, flags: number, mode = 0): number {
  return check(libc.openat(directory, cString(name), flags | O_CLOEXEC | O_NOFOLLOW, mode), 'open', name);
}

/** Opens a path as the user gave it: symlinks are followed. */
export function openPath(path: Name, flags: number, mode = 0): number {
  return check(libc.openat(AT_FDCWD, cString(path), flags | O_CLOEXEC, mode), 'open', path);
}

/** Opens what a descriptor (O_PATH too) refers to once more, with other flags. */
export function reopen(fd: number, flags: number): number {
  return check(libc.openat(AT_FDCWD, cString(`/proc/self/fd/${fd}`), flags | O_CLOEXEC, 0), 'reopen descriptor', String(fd));
}

/** Opens a file given by descriptor or by name once more. */
export function openTarget(target: XattrTarget, flags: number): number {
  return typeof target === 'number' ? reopen(target, flags) : openAt(target.directory, target.name, flags);
}

/** The descriptor is gone, whatever close(2) says of what was written through it: what has to be on disk is synced. */
export function close(fd: number): void {
  if (libc.close(fd) !== 0 && lastErrno() === constants.errno.EBADF) throw failed('close descriptor', String(fd));
}

/** STATX_BASIC_STATS | STATX_BTIME. */
const STATX_MASK = 0xfff;
const statBuffer = Buffer.alloc(256);
const view = new DataView(statBuffer.buffer, statBuffer.byteOffset, 256);

function u64(offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000;
}

function i64(offset: number): number {
  return view.getUint32(offset, true) + view.getInt32(offset + 4, true) * 0x1_0000_0000;
}

/** struct statx of linux/stat.h. */
function readStatx(): HostStat {
  return {
    mode: view.getUint16(28, true),
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    size: u64(40),
    blocks: u64(48),
    blockSize: view.getUint32(4, true),
    nlink: view.getUint32(16, true),
    ino: u64(32),
    rdevMajor: view.getUint32(128, true),
    rdevMinor: view.getUint32(132, true),
    atimeSec: i64(64),
    atimeNsec: view.getUint32(72, true),
    btimeSec: i64(80),
    btimeNsec: view.getUint32(88, true),
    ctimeSec: i64(96),
    ctimeNsec: view.getUint32(104, true),
    mtimeSec: i64(112),
    mtimeNsec: view.getUint32(120, true),
    devMajor: view.getUint32(136, true),
    devMinor: view.getUint32(140, true),
  };
}

const STAT_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

/** stat(2) of one name in a directory, symlinks not followed; the name "" is the directory itself. */
export function statAt(directory: number, name: Name): HostStat {
  if (libc.statx(directory, cString(name), name === '' ? STAT_FLAGS | AT_EMPTY_PATH : STAT_FLAGS, STATX_MASK, statBuffer) !== 0) throw failed('stat', name);
  return readStatx();
}

/** As `statAt`; undefined where there is no such name. */
export function statOrUndefined(directory: number, name: Name): HostStat | undefined {
  if (libc.statx(directory, cString(name), STAT_FLAGS, STATX_MASK, statBuffer) === 0) return readStatx();
  if (lastErrno() === constants.errno.ENOENT) return undefined;
  throw failed('stat', name);
}

/** fstat(2); O_PATH descriptors too. */
export function statFd(fd: number): HostStat {
  return statAt(fd, '');
}

export function statTarget(target: XattrTarget): HostStat {
  return typeof target === 'number' ? statFd(target) : statAt(target.directory, target.name);
}

/** stat(2) of a path as the user gave it: symlinks are followed. */
export function statPath(path: Name): HostStat {
  if (libc.statx(AT_FDCWD, cString(path), 0, STATX_MASK, statBuffer) !== 0) throw failed('stat', path);
  return readStatx();
}

export function unlinkAt(directory: number, name: Name): void {
  check(libc.unlinkat(directory, cString(name), 0), 'unlink', name);
}

export function rmdirAt(directory: number, name: Name): void {
  check(libc.unlinkat(directory, cString(name), AT_REMOVEDIR), 'remove directory', name);
}

/** renameat2(2); `flags` are its RENAME_ ones. */
export function renameAt(directory: number, name: Name, newDirectory: number, newName: Name, flags = 0): void {
  check(libc.renameat2(directory, cString(name), newDirectory, cString(newName), flags), `rename to "${newName}"`, name);
}

export function linkAt(directory: number, name: Name, newDirectory: number, newName: Name): void {
  check(libc.linkat(directory, cString(name), newDirectory, cString(newName), 0), `link as "${newName}"`, name);
}

/** Gives what a descriptor (O_PATH, O_TMPFILE too) refers to a name. */
export function linkFd(fd: number, newDirectory: number, newName: Name): void {
  check(libc.linkat(AT_FDCWD, cString(`/proc/self/fd/${fd}`), newDirectory, cString(newName), AT_SYMLINK_FOLLOW), 'link an open file as', newName);
}

/** PATH_MAX, bytes: no symlink target is longer. */
const linkBuffer = Buffer.alloc(4096);

/** The target of a symlink; the name "" is what `directory`, an O_PATH descriptor, refers to. */
export function readlinkAt(directory: number, name: Name): Name {
  const length = check(libc.readlinkat(directory, cString(name), linkBuffer, linkBuffer.length), 'read the symlink', name);
  return linkBuffer.latin1Slice(0, length);
}
