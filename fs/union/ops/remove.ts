import { FsError } from '../../errno.ts';
import { nameToText, type Name } from '../../name.ts';
import { S_IFDIR } from '../../stat.ts';
import type { DirectoryMarks } from '../../layer/upper.ts';
import { copyUpDirectory } from '../copy-up.ts';
import { isEmptyDirectory, lowerHas } from '../merge.ts';
import type { Node } from '../node.ts';
import type { Union } from '../state.ts';

export function unlink(union: Union, parentId: number, name: Name): void {
  union.writable();
  const parent = union.directory(parentId);
  const node = union.existing(parent, name, 'remove');
  if (node.type === S_IFDIR) throw new FsError('EISDIR', `Cannot unlink "${nameToText(name)}": a directory`);
  removeName(union, parent, name, node);
}

export function rmdir(union: Union, parentId: number, name: Name): void {
  union.writable();
  const parent = union.directory(parentId);
  const node = union.existing(parent, name, 'remove');
  if (node.type !== S_IFDIR) throw new FsError('ENOTDIR', `Cannot remove the directory "${nameToText(name)}": not one`);
  if (!isEmptyDirectory(union, union.sides(node))) throw new FsError('ENOTEMPTY', `Cannot remove the directory "${nameToText(name)}": not empty`);
  removeName(union, parent, name, node);
}

/** What is only in the lower is hidden, and nothing of it is copied. */
function removeName(union: Union, parent: Node, name: Name, node: Node): void {
  const upper = union.writable();
  copyUpDirectory(union, parent);
  const sides = union.sides(parent);
  const { fd, marks } = sides.upper as { fd: number; marks: DirectoryMarks };
  const inUpper = upper.find(fd, marks, name).at === 'file';
  const present = !inUpper ? 'nothing' : node.type === S_IFDIR ? 'directory' : 'file';
  union.keep(node);
  try {
    if (lowerHas(union, sides, name)) upper.hide(fd, marks, name, present);
    else if (present !== 'nothing') upper.remove(fd, name, present);
  } catch (error) {
    union.unkeep(node);
    union.table.release(node);
    throw error;
  }
  forgetName(union, node, parent, name, inUpper);
}

function changedNow(): { ctimeSec: number; ctimeNsec: number } {
  const now = Date.now();
  return { ctimeSec: Math.floor(now / 1000), ctimeNsec: (now % 1000) * 1_000_000 };
}

/** A name is gone on disk: so it is for the node, and for the count of its names. `inUpper`: the upper had it. */
export function forgetName(union: Union, node: Node, parent: Node, name: Name, inUpper: boolean): void {
  const { linkKey } = node;
  if (linkKey !== undefined) {
    const { index } = union.writable();
    if (!inUpper) index.setLeft(linkKey, (index.left(linkKey) ?? union.lower.stat(node.lower).nlink) - 1);
    const names = (index.left(linkKey) ?? 0) + (node.upper ? union.hostStat(node).nlink - (index.has(linkKey) ? 1 : 0) : 0);
    if (names === 0) {
      index.drop(linkKey);
      union.table.dropKeys(node);
      node.linkKey = undefined;
    }
    // Losing a name is a change of the inode.
    if (!node.upper) node.times = { ...node.times, ...changedNow() };
  }
  union.unlinked(node, parent, name);
}
