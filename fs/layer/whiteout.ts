import { FsError, hasCode } from '../errno.ts';
import type { Name } from '../name.ts';
import { isCharacterDevice, isRegular, S_IFCHR, S_IFREG } from '../stat.ts';
import type { Stat } from '../stat.ts';
import { statAt, unlinkAt } from '../host/at.ts';
import { mknodAt } from '../host/make.ts';
import { isWhiteoutFile } from './overlay-xattr.ts';

/** ".wh.NAME" says that the layers below show no NAME. */
export const AUFS_PREFIX = '.wh.';
/** A file of this name says that its directory shows nothing of the layers below. */
export const AUFS_OPAQUE = '.wh..wh..opq';

/** True for names with the prefix that mean nothing: aufs's own files, a stray mark fuse-overlayfs 1.10 wrote, and what hides no possible name. */
export function isAufsNoise(name: Name): boolean {
  return name.startsWith('.wh..wh.') || name === '.wh..opq' || name === '.wh.' || name === '.wh..' || name === '.wh...';
}

/** True for overlayfs's usual whiteout: a character device 0:0. */
export function isWhiteoutDevice(stat: Pick<Stat, 'mode' | 'rdevMajor' | 'rdevMinor'>): boolean {
  return isCharacterDevice(stat) && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

/** True for a whiteout that stands under the name it hides: a device 0:0, or in a directory that may hold such an empty file with a mark. */
export function isWhiteout(stat: Pick<Stat, 'mode' | 'size' | 'rdevMajor' | 'rdevMinor'>, target: { directory: number; name: Name }, { whiteoutFiles }: { whiteoutFiles: boolean }): boolean {
  return isWhiteoutDevice(stat) || (whiteoutFiles && isRegular(stat) && stat.size === 0 && isWhiteoutFile(target));
}

/** As `isWhiteout`, for an entry of a directory, of which only the type (S_IFMT bits) is known. */
export function isWhiteoutEntry(type: number, target: { directory: number; name: Name }, marks: { whiteoutFiles: boolean }): boolean {
  return (type === S_IFCHR || (type === S_IFREG && marks.whiteoutFiles)) && isWhiteout(statAt(target.directory, target.name), target, marks);
}

export type WhiteoutSpelling = 'device' | 'aufs';

/** What can be written in a directory: devices where mknod(2) allows them (in a user namespace 0:0 is, since Linux 5.8), else ".wh." files. */
export function probeSpelling(directory: number): WhiteoutSpelling {
  const probe = `#whiteout-${process.pid}`;
  try {
    mknodAt(directory, probe, S_IFCHR, 0, 0);
  } catch (error) {
    if (hasCode(error, 'EPERM', 'EOPNOTSUPP', 'EINVAL', 'ENOSYS')) return 'aufs';
    throw error;
  }
  unlinkAt(directory, probe);
  return 'device';
}

/** The name a whiteout of `name` stands under. */
export function whiteoutName(name: Name, spelling: WhiteoutSpelling): Name {
  if (spelling === 'device') return name;
  if (name.length + AUFS_PREFIX.length > 255) throw new FsError('ENAMETOOLONG', 'Cannot remove a name over 251 bytes: this upper directory has ".wh." whiteouts');
  return AUFS_PREFIX + name;
}

/** Makes a ".wh." mark beside a name; false where there is one. The name itself shows until it is taken away. */
export function makeMark(directory: number, name: Name): boolean {
  try {
    makeWhiteout(directory, whiteoutName(name, 'aufs'), 'aufs');
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Makes a whiteout under exactly this name (see `whiteoutName`). */
export function makeWhiteout(directory: number, at: Name, spelling: WhiteoutSpelling): void {
  mknodAt(directory, at, spelling === 'device' ? S_IFCHR : S_IFREG, 0, 0);
}
