import { attempt, FsError, hasCode } from '../errno.ts';
import { joinName, type Name } from '../name.ts';
import { CAPABILITY } from '../xattr-names.ts';
import { PERMISSIONS, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, type Stat } from '../stat.ts';
import { close, type HostStat, linkFd, openAt, statAt } from '../host/at.ts';
import { chmodFd, chownFd, utimensAt, utimensFd } from '../host/attributes.ts';
import { O_CREAT, O_EXCL, O_PATH, O_RDWR } from '../host/constants.ts';
import { truncateFd } from '../host/file.ts';
import { mkdirAt, symlinkAt } from '../host/make.ts';
import { setXattr } from '../host/xattr.ts';
import { writeOrigin } from '../layer/file-marks.ts';
import { writeMark } from '../layer/overlay-xattr.ts';
import { withOwnerRights } from '../layer/owner-rights.ts';
import type { UpperTree } from '../layer/upper.ts';
import { storedXattr } from '../layer/users-xattr.ts';
import { copiedAtOnce, copyDataUp, copyJob, emptyCopy, freeOfName, switchHandles } from './copy-data-up.ts';
import { perform } from './job.ts';
import { inodeKey, type Union } from './state.ts';
import type { Node } from './node.ts';

/**
 * What is needed of a file in the upper: all of it; its metadata; that, and to have any name; or all but its data, which is about to be truncated. For what
 * isn't a regular file they are the same.
 */
export type Need = 'data' | 'metadata' | 'name' | 'empty';

/**
 * Brings what is needed of a file to the upper, its directories first. undefined: it is there now. A promise: a helper thread copies its data; what follows
 * must be looked at anew when it settles (`afterCopyUp` does). A failure leaves the union as it was.
 */
export function copyUp(union: Union, node: Node, need: Need): Promise<void> | undefined {
  if (node.copyUp !== undefined) return node.copyUp;
  if (!node.upper) {
    const pending = copyFileUp(union, node, need);
    if (pending !== undefined) return pending;
  }
  if (node.data === undefined || need === 'metadata') return undefined;
  if (need === 'name') return freeOfName(union, node);
  if (need === 'data') return copyDataUp(union, node);
  emptyCopy(union, node);
  return undefined;
}

function copyFileUp(union: Union, node: Node, need: Need): Promise<void> | undefined {
  const upper = union.writable();
  if (node.links.length > 0) copyUpDirectory(union, node.links[0].parent);
  // One that was removed, but is open, is copied as a file is: to where nobody finds it.
  if (node.type === S_IFDIR && !node.removed) {
    copyUpDirectory(union, node);
    return undefined;
  }
  const stat = need === 'empty' ? truncatedNow(union.lower.stat(node.lower)) : union.lower.stat(node.lower);
  const temporary = upper.temporaryName();
  const bare = upper.metacopy && node.type === S_IFREG && stat.size > 0 && (need === 'metadata' || need === 'name');
  union.usage?.require(node.type === S_IFREG && !bare ? Math.min(stat.size, stat.blocks * 512) : 0, 1);
  if (node.type !== S_IFREG || bare || need === 'empty' || copiedAtOnce(union, stat.size)) {
    build(union, node, stat, temporary, (to) => {
      if (bare) markBare(upper, to, stat.size);
      else if (need !== 'empty' && stat.size > 0) copyAll(union, node, to, stat.size);
    });
    finish(union, node, stat, { temporary, bare });
    return undefined;
  }
  node.copyUp = copyUpLater(union, node, stat, temporary);
  return node.copyUp;
}

/** Does `operation` now, or from its start once the file is in the upper. */
export function afterCopyUp<T>(union: Union, node: Node, need: Need, operation: () => T | Promise<T>): T | Promise<T> {
  const pending = copyUp(union, node, need);
  return pending === undefined ? operation() : pending.then(operation);
}

/** A copy without the data is as good as truncated, should the truncation itself not come to pass. */
function truncatedNow(stat: Stat): Stat {
  const now = Date.now();
  return { ...stat, size: 0, mtimeSec: Math.floor(now / 1000), mtimeNsec: (now % 1000) * 1_000_000 };
}

/** The mark comes first, while we certainly may write to the file. */
function markBare(upper: UpperTree, to: number, size: number): void {
  writeMark(to, upper.namespace, 'metacopy', '');
  truncateFd(to, size);
}

function copyAll(union: Union, node: Node, to: number, size: number): void {
  const from = union.lower.open(node.lower);
  try {
    perform(copyJob(union, { from, to, size }));
  } finally {
    close(from);
  }
}

async function copyUpLater(union: Union, node: Node, stat: Stat, temporary: Name): Promise<void> {
  const upper = union.writable();
  node.busy += 1;
  try {
    const from = union.lower.open(node.lower);
    try {
      const to = openAt(upper.work, temporary, O_RDWR | O_CREAT | O_EXCL, 0o600);
      try {
        await union.run(copyJob(union, { from, to, size: stat.size }));
        dress(union, node, stat, to);
      } finally {
        close(to);
      }
      finish(union, node, stat, { temporary, bare: false });
    } finally {
      close(from);
    }
  } catch (error) {
    upper.discard(temporary);
    throw error;
  } finally {
    node.copyUp = undefined;
    node.busy -= 1;
    union.table.release(node);
  }
}

/** Brings a directory and those above it to the upper: attributes and xattrs, no entries. */
export function copyUpDirectory(union: Union, directory: Node): void {
  const upper = union.writable();
  const missing: Node[] = [];
  for (let at = directory; !at.upper; at = at.links[0].parent) {
    if (at.links.length === 0) throw new FsError('ENOENT', 'Cannot change a directory that was removed');
    missing.push(at);
  }
  for (const node of missing.reverse()) {
    union.usage?.require(0, 1);
    const stat = union.lower.stat(node.lower);
    const temporary = upper.temporaryName();
    build(union, node, stat, temporary, () => undefined);
    finish(union, node, stat, { temporary, bare: false });
    node.marks = { opaque: false, whiteoutFiles: false, aufs: false };
  }
}

/** Makes the copy in the work directory; leaves nothing there where it fails. */
function build(union: Union, node: Node, stat: Stat, temporary: Name, fill: (to: number) => void): void {
  const { work, owners } = union.writable();
  try {
    switch (node.type) {
      case S_IFREG: {
        const to = openAt(work, temporary, O_RDWR | O_CREAT | O_EXCL, 0o600);
        try {
          fill(to);
          dress(union, node, stat, to);
        } finally {
          close(to);
        }
        return;
      }
      case S_IFDIR:
        mkdirAt(work, temporary, 0o700);
        break;
      case S_IFLNK:
        symlinkAt(union.lower.readlink(node.lower), work, temporary);
        break;
      default:
        owners.makeNode(work, temporary, (stat.mode & S_IFMT) | 0o600, stat.rdevMajor, stat.rdevMinor);
    }
    const fd = openAt(work, temporary, O_PATH);
    try {
      dress(union, node, stat, fd);
    } finally {
      close(fd);
    }
  } catch (error) {
    union.writable().discard(temporary);
    throw error;
  }
}

/** Gives a copy the attributes of its original. */
function dress(union: Union, node: Node, stat: Stat, fd: number): void {
  const { owners, namespace } = union.writable();
  // Owner before mode and capabilities: chown(2) clears setuid, setgid and security.capability.
  if (owners.xattr === undefined) chownFd(fd, stat.uid, stat.gid);
  for (const name of union.lower.listXattr(node.lower)) {
    const value = union.lower.getXattr(node.lower, name);
    // What looks like a mark is the user's own, and isn't to be one here.
    const stored = storedXattr(name, owners);
    if (value === undefined || stored === undefined) continue;
    try {
      setXattr(fd, stored, value);
    } catch (error) {
      // What this file system or our rights have no room for is no reason to refuse a write.
      if (!hasCode(error, 'EOPNOTSUPP', 'EPERM', 'EINVAL') || name === CAPABILITY) throw error;
    }
  }
  if (node.type !== S_IFDIR) {
    const key = node.linkKey;
    writeOrigin(fd, namespace, key === undefined ? { ino: stat.ino } : { ino: stat.ino, key });
  }
  // After the xattrs: who isn't root needs the right to write the file for them.
  if (!owners.give(fd, stat)) {
    if (owners.xattr !== undefined) attempt(() => chownFd(fd, stat.uid, stat.gid));
    if (node.type !== S_IFLNK) chmodFd(fd, stat.mode & PERMISSIONS);
  }
  const { mtimeSec = stat.mtimeSec, mtimeNsec = stat.mtimeNsec } = node.times ?? {};
  utimensFd(fd, { sec: stat.atimeSec, nsec: stat.atimeNsec }, { sec: mtimeSec, nsec: mtimeNsec });
}

/** Moves the finished copy to its place, which may have changed since it was begun, and makes the node one of the upper. */
function finish(union: Union, node: Node, stat: Stat, { temporary, bare }: { temporary: Name; bare: boolean }): void {
  const upper = union.writable();
  let key: string | undefined;
  let copy: HostStat | undefined;
  try {
    if (node.linkKey !== undefined) key = inodeKey(statAt(upper.work, temporary));
    copy = union.usage && statAt(upper.work, temporary);
    if (node.links.length === 0) node.orphan = openAt(upper.work, temporary, O_PATH);
    if (node.linkKey !== undefined) placeLinked(union, node, node.linkKey, stat, temporary);
    else if (node.links.length > 0) place(union, node, temporary);
    if (node.links.length === 0) upper.discard(temporary);
  } catch (error) {
    if (node.orphan !== undefined) close(node.orphan);
    node.orphan = undefined;
    upper.discard(temporary);
    throw error;
  }
  if (copy !== undefined) union.usage?.measured(copy);
  node.upper = true;
  if (bare) node.data = { path: lowerPath(node), redirected: false };
  node.times = undefined;
  if (key !== undefined) union.table.setKey(node, key);
  if (!bare) switchHandles(node);
  // The upper tells of all names that are known, for others than us read it too, who have no index: an engine may make a lower of it.
  for (const { parent, name } of node.links.slice(1)) attempt(() => cover(union, node, parent, name));
}

/** A file of the lower only has the names it has there. */
function lowerPath(node: Node): Name | undefined {
  const link = node.links.find(({ parent }) => parent.lowerPath !== undefined);
  return link === undefined ? undefined : joinName(link.parent.lowerPath as Name, link.name);
}

/** A file with several names in the lower also gets its link in the index, before any name: after a crash all names are still one file. */
function placeLinked(union: Union, node: Node, key: Name, stat: Stat, temporary: Name): void {
  const { index, work } = union.writable();
  const left = index.left(key) ?? stat.nlink;
  const fd = openAt(work, temporary, O_PATH);
  try {
    index.add(key, fd, left);
    if (node.links.length === 0) return;
    const [{ parent, name }] = node.links;
    index.take(key, left, union.path(parent, name), () => place(union, node, temporary));
  } catch (error) {
    index.takeBack(key);
    throw error;
  } finally {
    close(fd);
  }
}

/** Renames the copy in; the directory keeps its times. */
function place(union: Union, node: Node, temporary: Name): void {
  const [{ parent, name }] = node.links;
  if (!parent.upper) copyUpDirectory(union, parent);
  const directory = union.descriptors.get(parent);
  const before = statAt(directory, '');
  union.writable().settle(temporary, directory, name, { isDirectory: node.type === S_IFDIR });
  restoreTimes(directory, before);
}

/** Sets a directory's times back to what they were before something was done in it that users don't see. That is done: it can't fail any more. */
function restoreTimes(directory: number, before: Stat): void {
  attempt(() => utimensAt(directory, '.', { sec: before.atimeSec, nsec: before.atimeNsec }, { sec: before.mtimeSec, nsec: before.mtimeNsec }));
}

/** Gives a name that is only in the lower, of a file that was copied up by another, its link in the upper. */
export function cover(union: Union, node: Node, parent: Node, name: Name): void {
  const upper = union.writable();
  const { linkKey } = node;
  if (linkKey === undefined || !upper.index.has(linkKey)) return;
  copyUpDirectory(union, parent);
  const { fd: directory, marks } = union.sides(parent).upper as { fd: number; marks: Parameters<UpperTree['find']>[1] };
  if (upper.find(directory, marks, name).at !== 'nothing') return;
  const before = statAt(directory, '');
  union.withDescriptor(node, (fd) => {
    upper.index.take(linkKey, upper.index.left(linkKey) ?? 1, union.path(parent, name), () => withOwnerRights([directory], () => linkFd(fd, directory, name)));
  });
  restoreTimes(directory, before);
}
