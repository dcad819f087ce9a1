import { hasCode } from '../errno.ts';
import type { Name } from '../name.ts';
import { close, openAt, readlinkAt, statTarget } from '../host/at.ts';
import { O_RDONLY } from '../host/constants.ts';
import { preadFull } from '../host/file.ts';
import { PERMISSIONS, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../stat.ts';
import type { Stat } from '../stat.ts';
import type { XattrTarget } from '../host/xattr.ts';
import { getXattrIfAny, setXattr } from '../host/xattr.ts';

const CONTAINERS: Name = 'user.containers.override_stat';
/** Which only root of the first user namespace can set, and which containers therefore can't either. */
const PRIVILEGED: Name = 'security.fuseoverlayfs.override_stat';

/**
 * Xattrs that say owner, mode and type of a file whose inode can't have them (network homes, `force_mask`): "uid:gid:mode[:type]", mode in octal.
 * A layer uses them where its root directory has one: that one, or the first of these (fuse-overlayfs 1.10 shows no file that lacks it).
 */
export const OVERRIDE_XATTRS: readonly Name[] = [PRIVILEGED, 'user.fuseoverlayfs.override_stat', CONTAINERS];

/** Which xattrs are for keeping owners in, in whose namespace. */
export type OwnersNamespace = 'user' | 'security';

export const XATTR_OF: Readonly<Record<OwnersNamespace, Name>> = { user: CONTAINERS, security: PRIVILEGED };

export interface OverrideStat {
  uid: number;
  gid: number;
  /** Permission bits. */
  permissions: number;
  /** S_IFMT bits; undefined: those of the inode. */
  type: number | undefined;
  rdevMajor: number;
  rdevMinor: number;
}

const TYPES: Readonly<Record<string, number>> = {
  file: S_IFREG, dir: S_IFDIR, symlink: S_IFLNK, pipe: S_IFIFO, socket: S_IFSOCK, block: S_IFBLK, char: S_IFCHR,
};

/** undefined for what isn't such a value. */
export function parseOverrideStat(value: Uint8Array): OverrideStat | undefined {
  const match = /^(\d{1,10}):(\d{1,10}):([0-7]{1,7})(?::([a-z]+)(?:-(\d{1,10})-(\d{1,10}))?)?\0?$/.exec(Buffer.from(value).toString('latin1'));
  if (match === null) return undefined;
  const type = match[4] === undefined ? undefined : TYPES[match[4]];
  if (match[4] !== undefined && type === undefined) return undefined;
  return {
    uid: Number(match[1]), gid: Number(match[2]), permissions: Number.parseInt(match[3], 8) & PERMISSIONS, type,
    rdevMajor: Number(match[5] ?? 0), rdevMinor: Number(match[6] ?? 0),
  };
}

/** What the xattrs of a file say, undefined where it has none (or can't have: symlinks). `first`: the one its layer uses. */
export function readOverrideStat(target: XattrTarget, first: Name): OverrideStat | undefined {
  return findOverride(target, first)?.override;
}

function findOverride(target: XattrTarget, first: Name | undefined): { name: Name; override: OverrideStat } | undefined {
  for (const name of first === undefined ? OVERRIDE_XATTRS : [first, ...OVERRIDE_XATTRS.filter((other) => other !== first)]) {
    const value = getXattrIfAny(target, name);
    const override = value === undefined ? undefined : parseOverrideStat(value);
    if (override !== undefined) return { name, override };
  }
  return undefined;
}

/** The xattr a layer keeps owners in: the one its root has; undefined where it keeps none. */
export function overrideXattr(root: XattrTarget): Name | undefined {
  return findOverride(root, undefined)?.name;
}

/** Owner and permission bits that change; undefined ones stay. */
export interface OwnerChange {
  uid?: number | undefined;
  gid?: number | undefined;
  permissions?: number | undefined;
}

/** Changes what a file says of its owner and permission bits, its type stays; false where it says nothing. */
export function changeOverrideStat(target: XattrTarget, first: Name, change: OwnerChange): boolean {
  const found = findOverride(target, first);
  if (found === undefined) return false;
  const { override } = found;
  writeOverrideStat(target, found.name, { ...override, uid: change.uid ?? override.uid, gid: change.gid ?? override.gid, permissions: change.permissions ?? override.permissions });
  return true;
}

export function writeOverrideStat(target: XattrTarget, xattr: Name, { uid, gid, permissions, type, rdevMajor, rdevMinor }: OverrideStat): void {
  const kind = Object.keys(TYPES).find((word) => TYPES[word] === type);
  const device = kind === 'block' || kind === 'char' ? `-${rdevMajor}-${rdevMinor}` : '';
  // fuse-overlayfs's own have the type of the inode among the bits of the mode.
  const bits = xattr === CONTAINERS ? permissions : (statTarget(target).mode & S_IFMT) | permissions;
  setXattr(target, xattr, Buffer.from(`${uid}:${gid}:${bits.toString(8).padStart(4, '0')}${kind === undefined ? '' : `:${kind}${device}`}`));
}

/** The target of a symlink, which may be the content of a regular file that is shown as one. */
export function readOverriddenLink(directory: number, name: Name): Name {
  try {
    return readlinkAt(directory, name);
  } catch (error) {
    if (!hasCode(error, 'EINVAL')) throw error;
  }
  const fd = openAt(directory, name, O_RDONLY);
  try {
    const bytes = Buffer.alloc(4096);
    return bytes.latin1Slice(0, preadFull(fd, bytes, 0, bytes.length, 0));
  } finally {
    close(fd);
  }
}

/** The type a file is shown with: only a regular file stands for another type, and for a directory none can. */
function overriddenType(type: number, override: OverrideStat): number {
  return type === S_IFREG && override.type !== undefined && override.type !== S_IFDIR ? override.type : type;
}

/** The same, of what a file says; `type` is what it is on disk. */
export function shownType(target: XattrTarget, type: number, first: Name): number {
  const override = type === S_IFREG ? readOverrideStat(target, first) : undefined;
  return override === undefined ? type : overriddenType(type, override);
}

/** Puts the override in place of what the inode says. */
export function applyOverrideStat(stat: Stat, override: OverrideStat): void {
  const was = stat.mode & S_IFMT;
  const type = overriddenType(was, override);
  stat.uid = override.uid;
  stat.gid = override.gid;
  stat.mode = type | override.permissions;
  if (type === was || (type !== S_IFBLK && type !== S_IFCHR)) return;
  stat.rdevMajor = override.rdevMajor;
  stat.rdevMinor = override.rdevMinor;
  stat.size = 0;
  stat.blocks = 0;
}
