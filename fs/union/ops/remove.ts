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
  withExisting(union, parent, name, (node) => {
    if (node.type === S_IFDIR) throw new FsError('EISDIR', `Cannot unlink "${nameToText(name)}": a directory`);
    removeName(union, parent, name, node);
  });
}

export function rmdir(union: Union, parentId: number, name: Name): void {
  union.writable();
  const parent = union.directory(parentId);
  withExisting(union, parent, name, (node) => {
    if (node.type !== S_IFDIR) throw new FsError('ENOTDIR', `Cannot remove the directory "${nameToText(name)}": not one`);
    if (!isEmptyDirectory(union, union.sides(node))) throw new FsError('ENOTEMPTY', `Cannot remove the directory "${nameToText(name)}": not empty`);
    removeName(union, parent, name, node);
  });
}

function withExisting(union: Union, parent: Node, name: Name, use: (node: Node) => void): void {
  const node = union.existing(parent, name, 'remove');
  try {
    use(node);
  } finally {
    union.table.release(node);
  }
}

/** What is only in the lower is hidden, and nothing of it is copied. */
function removeName(union: Union, parent: Node, name: Name, node: Node): void {
  const upper = union.writable();
  copyUpDirectory(union, parent);
  const sides = union.sides(parent);
  const { fd, marks } = sides.upper as { fd: number; marks: DirectoryMarks };
  const inUpper = upper.find(fd, marks, name).at === 'file';
  const present = !inUpper ? 'nothing' : node.type === S_IFDIR ? 'directory' : 'file';
  loseName(union, { parent, name, node }, inUpper, () => {
    if (lowerHas(union, sides, name)) upper.hide(fd, marks, name, present);
    else if (present !== 'nothing') upper.remove(fd, name, present);
  });
}

function changedNow(): { ctimeSec: number; ctimeNsec: number } {
  const now = Date.now();
  return { ctimeSec: Math.floor(now / 1000), ctimeNsec: (now % 1000) * 1_000_000 };
}

/** Takes a name from a file: `act` does so on disk, in one step. `inUpper`: the upper has the name. Where it fails, all is as it was. */
export function loseName(union: Union, { parent, name, node }: { parent: Node; name: Name; node: Node }, inUpper: boolean, act: () => void): void {
  const { usage } = union;
  const lost = usage !== undefined && inUpper ? union.hostStat(node) : undefined;
  const links = union.upper?.index.has(node.linkKey ?? '') === true ? 2 : 1;
  union.keep(node);
  try {
    if (node.linkKey === undefined) act();
    else loseLink(union, { parent, name, node }, node.linkKey, inUpper, act);
  } catch (error) {
    union.unkeep(node);
    throw error;
  }
  // What is open goes when it is closed.
  if (lost !== undefined && node.orphan === undefined && (node.type === S_IFDIR || lost.nlink <= links)) usage?.gone(lost);
  union.unlinked(node, parent, name);
}

/** The count of names goes with it. */
function loseLink(union: Union, { parent, name, node }: { parent: Node; name: Name; node: Node }, key: Name, inUpper: boolean, act: () => void): void {
  const { index } = union.writable();
  const inUppers = node.upper ? union.hostStat(node).nlink - (index.has(key) ? 1 : 0) : 0;
  const left = index.left(key) ?? (node.lower === undefined ? 0 : union.lower.stat(node.lower).nlink);
  if (inUpper) act();
  else index.take(key, left, union.path(parent, name), act);
  if (left + inUppers === 1) {
    index.drop(key);
    union.table.dropKeys(node);
    node.linkKey = undefined;
  }
  // Losing a name is a change of the inode.
  if (!node.upper) node.times = { ...node.times, ...changedNow() };
}
