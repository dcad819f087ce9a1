import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { hasCode } from '../../fs/errno.ts';
import { close, openPath, statFd } from '../../fs/host/at.ts';
import { utimensAt } from '../../fs/host/attributes.ts';
import { AT_FDCWD, O_DIRECTORY, O_PATH } from '../../fs/host/constants.ts';
import { setXattr } from '../../fs/host/xattr.ts';
import { getUsersXattr, listUsersXattrs, storedXattr } from '../../fs/layer/users-xattr.ts';
import { type Name, nameFromText } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';

/** What a root directory is, as an entry says it; xattrs by the names users have for them. */
interface RootLooks {
  mode: number;
  uid: number;
  gid: number;
  mtimeSec: number;
  mtimeNsec: number;
  xattrs: ReadonlyMap<Name, Buffer>;
}

/** Owners aren't in xattrs here. */
const PLAIN = { xattr: undefined };

/** What the directory of an upper is. */
export function rootOfUpper(path: string): RootLooks {
  return withDirectory(path, (fd) => {
    const { mode, uid, gid, mtimeSec, mtimeNsec } = statFd(fd);
    const xattrs = listUsersXattrs(fd, PLAIN).map((name) => [name, getUsersXattr(fd, name, PLAIN)] as const);
    return { mode, uid, gid, mtimeSec, mtimeNsec, xattrs: new Map(xattrs.filter((entry): entry is [Name, Buffer] => entry[1] !== undefined)) };
  });
}

/** The upper's own directory shows as the root of what is mounted, so it looks like the root below it as far as our rights go. */
export function makeUpper(path: string, root: RootLooks | undefined): void {
  mkdirSync(path);
  if (root !== undefined) {
    try {
      chownSync(path, root.uid, root.gid);
    } catch (error) {
      if (!hasCode(error, 'EPERM', 'EINVAL')) throw error;
    }
    withDirectory(path, (fd) => copyXattrs(fd, root.xattrs));
    const time = { sec: root.mtimeSec, nsec: root.mtimeNsec };
    utimensAt(AT_FDCWD, nameFromText(path), time, time);
  }
  // After the owner: chown(2) clears setuid and setgid.
  chmodSync(path, root === undefined ? 0o755 : root.mode & 0o7777);
}

function copyXattrs(fd: number, xattrs: RootLooks['xattrs']): void {
  for (const [name, value] of xattrs) {
    const stored = storedXattr(name, PLAIN);
    try {
      if (stored !== undefined) setXattr(fd, stored, value);
    } catch (error) {
      if (!hasCode(error, 'EOPNOTSUPP', 'EPERM', 'EINVAL')) throw error;
    }
  }
}

function withDirectory<T>(path: string, use: (fd: number) => T): T {
  const fd = openPath(nameFromText(path), O_PATH | O_DIRECTORY);
  try {
    return use(fd);
  } finally {
    close(fd);
  }
}

/** What a root is to be, where it isn't as that of what it stands on. */
export interface RootAttributes {
  mode?: number | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
}

/** UFS_STORE_WRITE where we may not give it to somebody. */
export function dressRoot(path: string, { mode, uid = -1, gid = -1 }: RootAttributes): void {
  const { mode: before } = statSync(path);
  try {
    chownSync(path, uid, gid);
  } catch (cause) {
    const whom = [uid < 0 ? [] : [`user ${uid}`], gid < 0 ? [] : [`group ${gid}`]].flat().join(' and ');
    throw new UfsError('UFS_STORE_WRITE', `Cannot give the root of a container to ${whom}: ${hasCode(cause, 'EPERM') ? 'only root may' : (cause as Error).message}`, { cause });
  }
  // After the owner, as above.
  chmodSync(path, mode ?? before & 0o7777);
}
