import { FsError, hasCode } from '../errno.ts';
import type { Name } from '../name.ts';
import { isDirectory, PERMISSIONS, S_IFBLK, S_IFCHR, S_IFDIR, S_IFMT, S_IFREG, S_ISGID, S_ISUID, type Stat } from '../stat.ts';
import { type HostStat, statTarget } from '../host/at.ts';
import { chmodFd, chownFd } from '../host/attributes.ts';
import { mknodAt } from '../host/make.ts';
import type { XattrTarget } from '../host/xattr.ts';
import { applyOverrideStat, changeOverrideStat, overrideXattr, type OwnerChange, type OwnersNamespace, readOverrideStat, shownType, writeOverrideStat, XATTR_OF } from './override-stat.ts';

/** Who owns the files of an upper directory, what their modes and types are: their inodes tell, or, where its root has such an xattr, xattrs. */
export class Owners {
  /** The xattr they are kept in, if they are. */
  readonly xattr: Name | undefined;

  /** `keep`: from now on in xattrs, if they aren't. EPERM where these can't be set. */
  constructor(root: number, keep: OwnersNamespace | undefined) {
    this.xattr = overrideXattr(root);
    if (this.xattr !== undefined || keep === undefined) return;
    this.xattr = XATTR_OF[keep];
    try {
      this.give(root, statTarget(root));
    } catch (cause) {
      if (keep !== 'security' || !hasCode(cause, 'EPERM')) throw cause;
      throw new FsError('EPERM', `Cannot keep owners in ${this.xattr}: only root outside of user namespaces can set that, others ${XATTR_OF.user}`, { cause });
    }
  }

  /** What is to be told of a file. */
  stat(target: XattrTarget): HostStat {
    return this.shown(target, statTarget(target));
  }

  /** The same, of what the host says. */
  shown(target: XattrTarget, stat: HostStat): HostStat {
    const override = this.xattr === undefined ? undefined : readOverrideStat(target, this.xattr);
    if (override !== undefined) applyOverrideStat(stat, override);
    return stat;
  }

  /** S_IFMT bits, as shown. */
  shownType(target: XattrTarget, type: number): number {
    return this.xattr === undefined ? type : shownType(target, type, this.xattr);
  }

  /** Changes owner and permission bits of a file that isn't a symlink. */
  change(fd: number, change: OwnerChange): void {
    const { uid, gid, permissions } = change;
    if (this.xattr !== undefined && changeOverrideStat(fd, this.xattr, { uid, gid, permissions: permissions ?? (uid === undefined && gid === undefined ? undefined : withoutPrivileges(this.stat(fd))) })) return;
    // Owner before mode: chown(2) clears setuid, setgid and capabilities, as it should.
    if (uid !== undefined || gid !== undefined) chownFd(fd, uid, gid);
    if (permissions !== undefined) chmodFd(fd, permissions);
  }

  /** Lets a new file say what it is, where it is for xattrs to say. False where it isn't, or its type can't have xattrs. */
  give(target: XattrTarget, shown: Pick<Stat, 'uid' | 'gid' | 'mode'> & Partial<Pick<Stat, 'rdevMajor' | 'rdevMinor'>>): boolean {
    if (this.xattr === undefined) return false;
    const real = statTarget(target).mode & S_IFMT;
    if (real !== S_IFREG && real !== S_IFDIR) return false;
    const { uid, gid, mode, rdevMajor = 0, rdevMinor = 0 } = shown;
    const type = (mode & S_IFMT) === real ? undefined : mode & S_IFMT;
    writeOverrideStat(target, this.xattr, { uid, gid, permissions: mode & PERMISSIONS, type, rdevMajor, rdevMinor });
    return true;
  }

  /** The permission bits a new file is made with on disk: where `give` follows, we have to be able to write it, and nobody else has. */
  permissions(type: number, shown: number): number {
    return this.xattr !== undefined ? (type === S_IFDIR ? 0o700 : 0o600) : shown;
  }

  /** mknod(2). A device we may not make is a regular file, where `give` can say that it is one. */
  makeNode(directory: number, name: Name, mode: number, rdevMajor: number, rdevMinor: number): void {
    try {
      mknodAt(directory, name, mode, rdevMajor, rdevMinor);
    } catch (error) {
      const type = mode & S_IFMT;
      if (this.xattr === undefined || !hasCode(error, 'EPERM') || (type !== S_IFCHR && type !== S_IFBLK)) throw error;
      mknodAt(directory, name, S_IFREG | (mode & PERMISSIONS));
    }
  }
}

/** The permission bits chown(2) leaves, and write(2) by who isn't privileged. */
export function withoutPrivileges(stat: Stat): number {
  const permissions = stat.mode & PERMISSIONS;
  if (isDirectory(stat)) return permissions;
  return permissions & ~S_ISUID & ((permissions & 0o010) === 0 ? -1 : ~S_ISGID);
}
