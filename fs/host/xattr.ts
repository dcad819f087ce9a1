import { constants } from 'node:os';
import { errnoNumber, FsError } from '../errno.ts';
import type { Name } from '../name.ts';
import { check, cString, failed, lastErrno, libc } from './native.ts';

/** What xattrs are of: an open file (O_PATH too), or one name in a directory, symlinks not followed. */
export type XattrTarget = number | { directory: number; name: Name };

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h, bytes. */
export const XATTR_MAX = 65536;
const buffer = Buffer.alloc(XATTR_MAX);

// Through /proc/self/fd every call works on O_PATH descriptors and below a directory descriptor, which the f*xattr family can't.
function path(target: XattrTarget): Buffer {
  return cString(typeof target === 'number' ? `/proc/self/fd/${target}` : `/proc/self/fd/${target.directory}/${target.name}`);
}

function label(target: XattrTarget): Name {
  return typeof target === 'number' ? `descriptor ${target}` : target.name;
}

/** undefined where there is none of that name; throws EOPNOTSUPP where the file system has no xattrs (see `getXattrIfAny`). */
export function getXattr(target: XattrTarget, name: Name): Buffer | undefined {
  const get = typeof target === 'number' ? libc.getxattr : libc.lgetxattr;
  const length = get(path(target), cString(name), buffer, buffer.length) as number;
  if (length >= 0) return Buffer.from(buffer.subarray(0, length));
  if (lastErrno() === errnoNumber('ENODATA')) return undefined;
  throw failed(`read the xattr ${name} of`, label(target));
}

export function setXattr(target: XattrTarget, name: Name, value: Buffer, flags = 0): void {
  const set = typeof target === 'number' ? libc.setxattr : libc.lsetxattr;
  check(set(path(target), cString(name), value, value.length, flags), `set the xattr ${name} of`, label(target));
}

/** Names in no order; none where the file system has no xattrs. */
export function listXattr(target: XattrTarget): Name[] {
  const list = typeof target === 'number' ? libc.listxattr : libc.llistxattr;
  const length = list(path(target), buffer, buffer.length) as number;
  if (length < 0) {
    if (lastErrno() === constants.errno.EOPNOTSUPP) return [];
    throw failed('list the xattrs of', label(target));
  }
  return length === 0 ? [] : buffer.latin1Slice(0, length - 1).split('\0');
}

/** ENODATA where there is none of that name. */
export function removeXattr(target: XattrTarget, name: Name): void {
  const remove = typeof target === 'number' ? libc.removexattr : libc.lremovexattr;
  check(remove(path(target), cString(name)), `remove the xattr ${name} of`, label(target));
}

/** As `getXattr`; undefined also where the file system or the file's type can't have that xattr, or we may not read it. */
export function getXattrIfAny(target: XattrTarget, name: Name): Buffer | undefined {
  try {
    return getXattr(target, name);
  } catch (error) {
    if (error instanceof FsError && ['EOPNOTSUPP', 'EPERM', 'EACCES'].includes(error.code)) return undefined;
    throw error;
  }
}
