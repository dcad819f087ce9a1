import { hasCode } from '../errno.ts';
import type { Name } from '../name.ts';
import { S_IFREG } from '../stat.ts';
import { close, openAt, rmdirAt, unlinkAt } from '../host/at.ts';
import { O_DIRECTORY, O_PATH } from '../host/constants.ts';
import { listDirectory } from '../host/directory.ts';
import { mkdirAt, mknodAt } from '../host/make.ts';
import { CAP_DAC_OVERRIDE, hasCapability } from '../host/process.ts';
import { withOwnerRights } from './owner-rights.ts';
import { writeMark, type XattrNamespace } from './overlay-xattr.ts';

/** Opens (O_PATH) where things are built in a work directory, as overlayfs calls it too; it is made if need be. */
export function openWork(outer: number): number {
  try {
    mkdirAt(outer, 'work', 0o700);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  return openAt(outer, 'work', O_PATH | O_DIRECTORY);
}

/** True where files can have marks, and lose them again: the user namespace's need the right to write the file. */
export function canMark(directory: number, namespace: XattrNamespace): boolean {
  if (!hasCapability(CAP_DAC_OVERRIDE)) return false;
  const probe = '#mark';
  mknodAt(directory, probe, S_IFREG | 0o600);
  try {
    writeMark({ directory, name: probe }, namespace, 'metacopy', '');
    return true;
  } catch (error) {
    if (hasCode(error, 'EOPNOTSUPP', 'EPERM')) return false;
    throw error;
  } finally {
    unlinkAt(directory, probe);
  }
}

export function emptyDirectory(directory: number): void {
  for (const { name } of listDirectory(directory)) removeTree(directory, name);
}

export function removeTree(directory: number, name: Name): void {
  try {
    unlinkAt(directory, name);
  } catch (error) {
    if (!hasCode(error, 'EISDIR', 'EPERM')) throw error;
    const fd = openAt(directory, name, O_PATH | O_DIRECTORY);
    try {
      withOwnerRights([fd], () => emptyDirectory(fd));
    } finally {
      close(fd);
    }
    rmdirAt(directory, name);
  }
}
