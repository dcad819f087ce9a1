import { attempt, FsError, hasCode } from '../../errno.ts';
import { checkName, nameToText, type Name } from '../../name.ts';
import { S_IFDIR } from '../../stat.ts';
import { renameAt, unlinkAt } from '../../host/at.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT } from '../../host/constants.ts';
import type { DirectoryMarks, UpperTree } from '../../layer/upper.ts';
import { writeMark, type XattrNamespace } from '../../layer/overlay-xattr.ts';
import { withOwnerRights } from '../../layer/owner-rights.ts';
import { AUFS_PREFIX, makeMark, makeWhiteout } from '../../layer/whiteout.ts';
import { copyUp, copyUpDirectory, cover } from '../copy-up.ts';
import { isEmptyDirectory, lowerHas, lowerHasDirectory } from '../merge.ts';
import type { Node } from '../node.ts';
import type { Union } from '../state.ts';
import { loseName } from './remove.ts';

/** A name with its directory; `node` is what has it. */
interface Place {
  parent: Node;
  name: Name;
  node: Node | undefined;
}

export function rename(union: Union, parentId: number, name: Name, newParentId: number, newName: Name, flags: number): void | Promise<void> {
  union.writable();
  // A whiteout that users see has no form in the upper, where it hides.
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) throw new FsError('EINVAL', `Cannot rename with flags ${flags}`);
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  checkName(newName, 'rename to');
  if (newName.startsWith(AUFS_PREFIX)) throw new FsError('EPERM', `Cannot rename to "${nameToText(newName)}": names with ".wh." are marks of layers`);
  const [parent, newParent] = [union.directory(parentId), union.directory(newParentId)];
  if (newParent.removed) throw new FsError('ENOENT', `Cannot rename to "${nameToText(newName)}": its directory was removed`);
  const node = union.existing(parent, name, 'rename');
  const target = union.child(newParent, newName)?.node;
  try {
    if ((flags & RENAME_NOREPLACE) !== 0 && target !== undefined) throw new FsError('EEXIST', `Cannot rename to "${nameToText(newName)}": it exists`);
    if (exchange && target === undefined) throw new FsError('ENOENT', `Cannot exchange with "${nameToText(newName)}": there is no such file`);
    // Two names of one inode: rename(2) does nothing.
    if (node === target) return undefined;
    if (!exchange && target !== undefined) checkReplaceable(union, node, target, newName);
    const pending = copyUp(union, node, 'name') ?? (exchange ? copyUp(union, target as Node, 'name') : undefined);
    if (pending !== undefined) return pending.then(() => rename(union, parentId, name, newParentId, newName, flags));
    for (const moved of exchange ? [node, target as Node] : [node]) checkMovable(union, moved);
    copyUpDirectory(union, parent);
    copyUpDirectory(union, newParent);
    cover(union, node, parent, name);
    const [from, to] = [{ parent, name, node }, { parent: newParent, name: newName, node: target }];
    if (exchange) swap(union, from, to as Place & { node: Node });
    else move(union, from, to);
    return undefined;
  } finally {
    union.table.release(node);
    if (target !== undefined) union.table.release(target);
  }
}

function checkReplaceable(union: Union, node: Node, target: Node, newName: Name): void {
  const [isDirectory, ontoDirectory] = [node.type === S_IFDIR, target.type === S_IFDIR];
  if (isDirectory && !ontoDirectory) throw new FsError('ENOTDIR', `Cannot rename a directory to "${nameToText(newName)}": not a directory`);
  if (!isDirectory && ontoDirectory) throw new FsError('EISDIR', `Cannot rename a file to "${nameToText(newName)}": a directory`);
  if (ontoDirectory && !isEmptyDirectory(union, union.sides(target))) throw new FsError('ENOTEMPTY', `Cannot rename to "${nameToText(newName)}": not empty`);
}

/** As overlayfs says it where it writes no redirects: who gets EXDEV copies. */
function checkMovable(union: Union, node: Node): void {
  if (node.type === S_IFDIR && node.lowerPath !== undefined && !union.writable().redirects) throw new FsError('EXDEV', 'Cannot rename a directory of the lower: redirects are off');
}

interface HostPlace {
  fd: number;
  marks: DirectoryMarks;
}

function hostPlace(union: Union, parent: Node): HostPlace {
  return union.sides(parent).upper as HostPlace;
}

/** What a directory shows of the lower must not change by moving: it says where that is, or that there is nothing. */
function anchor(union: Union, from: Place & { node: Node }, newParent: Node, newName: Name): void {
  const { node } = from;
  if (node.type !== S_IFDIR) return;
  const upper = union.writable();
  const target = { directory: hostPlace(union, from.parent).fd, name: from.name };
  if (node.lowerPath !== undefined) writeRedirect(target, upper.namespace, `/${node.lowerPath}`);
  else if (lowerHasDirectory(union, union.sides(newParent), newName)) upper.setOpaque(target);
}

function writeRedirect(target: { directory: number; name: Name }, namespace: XattrNamespace, path: Name): void {
  try {
    withOwnerRights([target], () => writeMark(target, namespace, 'redirect', path));
  } catch (error) {
    if (!hasCode(error, 'EOPNOTSUPP', 'EPERM')) throw error;
    throw new FsError('EXDEV', 'Cannot rename a directory of the lower: its file system can\'t have the xattr that says where its lower side is');
  }
}

function swap(union: Union, from: Place & { node: Node }, to: Place & { node: Node }): void {
  cover(union, to.node, to.parent, to.name);
  anchor(union, from, to.parent, to.name);
  anchor(union, to, from.parent, from.name);
  renameAt(hostPlace(union, from.parent).fd, from.name, hostPlace(union, to.parent).fd, to.name, RENAME_EXCHANGE);
  union.table.detach(from.node, from.parent, from.name);
  union.table.detach(to.node, to.parent, to.name);
  union.table.attach(from.node, to.parent, to.name);
  union.table.attach(to.node, from.parent, from.name);
}

function move(union: Union, from: Place & { node: Node }, to: Place): void {
  anchor(union, from, to.parent, to.name);
  const [old, next] = [hostPlace(union, from.parent), hostPlace(union, to.parent)];
  const found = union.writable().find(next.fd, next.marks, to.name);
  const hides = lowerHas(union, union.sides(from.parent), from.name);
  const moveOnDisk = (): void => {
    if (from.node.type === S_IFDIR && found.at === 'whiteout' && found.spelling === 'device') exchangeWithWhiteout(old, from.name, next, to.name, hides);
    else if (hides) renameAndHide(union.writable(), old, from.name, next, to.name);
    else renameAt(old.fd, from.name, next.fd, to.name);
  };
  const replaced = to.node;
  if (replaced === undefined) moveOnDisk();
  else {
    loseName(union, { ...to, node: replaced }, found.at === 'file', () => {
      try {
        moveOnDisk();
      } catch (error) {
        if (replaced.type !== S_IFDIR || !hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
        emptyOfMarks(union, next, to.name, replaced);
        moveOnDisk();
      }
    });
  }
  // Only now: what was moved replaces what the lower has there, by its own marks.
  if (next.marks.aufs) union.writable().removeMark(next.fd, to.name);
  union.table.detach(from.node, from.parent, from.name);
  union.table.attach(from.node, to.parent, to.name);
}

/** A directory can't be renamed over a whiteout. They swap places, in one step; then the whiteout is where one is needed, or hides nothing. */
function exchangeWithWhiteout(old: HostPlace, name: Name, next: HostPlace, newName: Name, hides: boolean): void {
  renameAt(old.fd, name, next.fd, newName, RENAME_EXCHANGE);
  if (!hides) attempt(() => unlinkAt(old.fd, name));
}

/** A directory that shows no name may hold whiteouts, and couldn't be replaced. It becomes one that is empty by itself: that looks the same. */
function emptyOfMarks(union: Union, at: HostPlace, name: Name, node: Node): void {
  const upper = union.writable();
  upper.setOpaque({ directory: at.fd, name });
  node.lower = node.lowerPath = node.marks = undefined;
  upper.removeMarksIn(at.fd, at.marks, name);
}

/** Renames, and leaves a whiteout where the lower would show through: in one step, or by a mark that says nothing as long as the name is there. */
function renameAndHide(upper: UpperTree, old: HostPlace, name: Name, next: HostPlace, newName: Name): void {
  if (upper.spelling === 'device') {
    try {
      renameAt(old.fd, name, next.fd, newName, RENAME_WHITEOUT);
      return;
    } catch (error) {
      if (!hasCode(error, 'EINVAL', 'EPERM')) throw error;
    }
  }
  const made = makeMark(old.fd, name);
  old.marks.aufs = true;
  try {
    renameAt(old.fd, name, next.fd, newName);
  } catch (error) {
    if (made) upper.removeMark(old.fd, name);
    throw error;
  }
  if (upper.spelling === 'device') {
    attempt(() => {
      makeWhiteout(old.fd, name, 'device');
      upper.removeMark(old.fd, name);
    });
  }
}
