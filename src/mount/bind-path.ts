import { mkdirSync, rmdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { hasCode } from '../../fs/errno.ts';
import { close, openPath } from '../../fs/host/at.ts';
import { MNT_DETACH, O_PATH, UMOUNT_NOFOLLOW } from '../../fs/host/constants.ts';
import { attachTree, cloneTree } from '../../fs/host/mount-tree.ts';
import { umount2 } from '../../fs/host/process.ts';
import { nameFromText } from '../../fs/name.ts';

/** Gives a file or directory that is held by a descriptor a path: other mount namespaces can't mount what they are given as a descriptor's. There must be nothing there. */
export function bindPath(source: string, path: string): void {
  if (statSync(source).isDirectory()) mkdirSync(path);
  else writeFileSync(path, '', { flag: 'wx' });
  const tree = cloneTree(nameFromText(source), { recursive: true });
  const target = openPath(nameFromText(path), O_PATH);
  try {
    attachTree(tree, target);
  } finally {
    close(target);
    close(tree);
  }
}

/** Takes such a path away. */
export function unbindPath(path: string): void {
  try {
    umount2(nameFromText(path), UMOUNT_NOFOLLOW | MNT_DETACH);
  } catch (error) {
    // It wasn't mounted yet, or isn't any more.
    if (!hasCode(error, 'EINVAL', 'ENOENT')) throw error;
  }
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) rmdirSync(path);
  else if (stat !== undefined) unlinkSync(path);
}
