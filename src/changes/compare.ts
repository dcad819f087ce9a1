import { FsError } from '../../fs/errno.ts';
import { close, statFd } from '../../fs/host/at.ts';
import { preadFull } from '../../fs/host/file.ts';
import type { Layer } from '../../fs/layer/layer.ts';
import { isDirectory, isRegular, isSymlink, type Stat } from '../../fs/stat.ts';

/** One file of one layer. */
export interface Side<N> {
  layer: Layer<N>;
  node: N;
  stat: Stat;
}

/**
 * Whether a file differs from what was below it, in anything an archive would carry: type, mode, owner, device, modification time, size, symlink target, xattrs,
 * and the data itself. Access, change and creation times and inode numbers don't count. Children of directories are not looked at.
 */
export function differs<A, B>(before: Side<A>, after: Side<B>, { directoryTimes = true, wholeSeconds = false }: { directoryTimes?: boolean; wholeSeconds?: boolean } = {}): boolean {
  const [old, now] = [before.stat, after.stat];
  if (old.mode !== now.mode || old.uid !== now.uid || old.gid !== now.gid) return true;
  if ((directoryTimes || !isDirectory(now)) && !isSameTime(old, now, wholeSeconds)) return true;
  if (old.rdevMajor !== now.rdevMajor || old.rdevMinor !== now.rdevMinor) return true;
  if (!isDirectory(now) && old.size !== now.size) return true;
  if (isSymlink(now) && before.layer.readlink(before.node) !== after.layer.readlink(after.node)) return true;
  if (differentXattrs(before, after)) return true;
  // A copy-up alone changes nothing, and a program may have put the old mtime back over new data: only the bytes tell.
  return isRegular(now) && now.size > 0 && differentData(before, after);
}

function isSameTime(a: Stat, b: Stat, wholeSeconds: boolean): boolean {
  return a.mtimeSec === b.mtimeSec && (a.mtimeNsec === b.mtimeNsec || (wholeSeconds && (a.mtimeNsec === 0 || b.mtimeNsec === 0)));
}

function differentXattrs<A, B>(before: Side<A>, after: Side<B>): boolean {
  const names = before.layer.listXattr(before.node).sort();
  const others = after.layer.listXattr(after.node).sort();
  if (names.length !== others.length) return true;
  return names.some((name, index) => {
    if (name !== others[index]) return true;
    const value = before.layer.getXattr(before.node, name);
    const other = after.layer.getXattr(after.node, name);
    return value === undefined || other === undefined || !value.equals(other);
  });
}

const PIECE = 256 * 1024;

function differentData<A, B>(before: Side<A>, after: Side<B>): boolean {
  const old = before.layer.open(before.node);
  try {
    const now = after.layer.open(after.node);
    try {
      return !isSameFile(old, now) && differentBytes(old, now, after.stat.size);
    } finally {
      close(now);
    }
  } finally {
    close(old);
  }
}

/** A file of which only metadata was copied has the data it had. */
function isSameFile(a: number, b: number): boolean {
  const [left, right] = [statFd(a), statFd(b)];
  return left.ino === right.ino && left.devMajor === right.devMajor && left.devMinor === right.devMinor;
}

function differentBytes(old: number, now: number, size: number): boolean {
  const length = Math.min(PIECE, size);
  const [left, right] = [Buffer.allocUnsafe(length), Buffer.allocUnsafe(length)];
  for (let offset = 0; offset < size; offset += length) {
    const [a, b] = [preadFull(old, left, 0, length, offset), preadFull(now, right, 0, length, offset)];
    if (a !== b) throw new FsError('EIO', `Cannot compare two files: they hold ${a} and ${b} bytes at ${offset}, not ${length}`);
    if (left.compare(right, 0, b, 0, a) !== 0) return true;
  }
  return false;
}
