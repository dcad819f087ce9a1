import { attempt, FsError } from '../../errno.ts';
import type { Caller, CreateOptions, NodeReply, OpenReply } from '../../file-system.ts';
import { checkName, nameToText, type Name } from '../../name.ts';
import { PERMISSIONS, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISGID, S_ISUID } from '../../stat.ts';
import { close, openAt, reopen, statAt, type HostStat } from '../../host/at.ts';
import { chmodAt, chmodFd, chownAt, chownFd } from '../../host/attributes.ts';
import { O_CREAT, O_EXCL, O_PATH } from '../../host/constants.ts';
import { mkdirAt, openTemporary, symlinkAt } from '../../host/make.ts';
import { effectiveGid, effectiveUid } from '../../host/process.ts';
import { getXattrIfAny, removeXattr, setXattr, type XattrTarget } from '../../host/xattr.ts';
import type { Owners } from '../../layer/owners.ts';
import type { DirectoryMarks, UpperFound } from '../../layer/upper.ts';
import { AUFS_PREFIX } from '../../layer/whiteout.ts';
import { ACCESS_ACL, DEFAULT_ACL } from '../../xattr-names.ts';
import { inheritAcl, type Inherited } from '../acl.ts';
import { copyUpDirectory } from '../copy-up.ts';
import { lowerHas } from '../merge.ts';
import type { Node } from '../node.ts';
import type { Union } from '../state.ts';
import { backingFlags, opened } from './file.ts';

const [OWN_UID, OWN_GID] = [effectiveUid(), effectiveGid()];

/** Makes a file of these permissions under a name; a descriptor of it, where it was opened for that. */
/** Bytes a new directory takes. */
const DIRECTORY = 4096;

type Build = (directory: number, name: Name, permissions: number) => number | undefined;

interface Making {
  type: number;
  mode: number;
  umask: number;
  rdevMajor?: number;
  rdevMinor?: number;
}

export function mknod(union: Union, caller: Caller, parent: number, name: Name, options: CreateOptions & { rdevMajor: number; rdevMinor: number }): NodeReply {
  const type = options.mode & S_IFMT || S_IFREG;
  const { rdevMajor, rdevMinor } = options;
  if (type === S_IFCHR && rdevMajor === 0 && rdevMinor === 0) throw new FsError('EPERM', `Cannot make the device "${nameToText(name)}": 0:0 is a whiteout`);
  const { owners } = union.writable();
  const { node, stat } = make(union, caller, parent, name, { type, mode: options.mode, umask: options.umask, rdevMajor, rdevMinor }, (directory, at, permissions) => {
    owners.makeNode(directory, at, type | permissions, rdevMajor, rdevMinor);
    return undefined;
  });
  return union.reply(node, stat);
}

export function mkdir(union: Union, caller: Caller, parent: number, name: Name, options: CreateOptions): NodeReply {
  const { node, stat } = make(union, caller, parent, name, { type: S_IFDIR, ...options }, (directory, at, permissions) => {
    mkdirAt(directory, at, permissions);
    return undefined;
  });
  node.marks = { opaque: false, whiteoutFiles: false, aufs: false };
  return union.reply(node, stat);
}

export function symlink(union: Union, caller: Caller, parent: number, name: Name, target: Name): NodeReply {
  const { node, stat } = make(union, caller, parent, name, { type: S_IFLNK, mode: 0o777, umask: 0 }, (directory, at) => {
    symlinkAt(target, directory, at);
    return undefined;
  });
  return union.reply(node, stat);
}

export function create(union: Union, caller: Caller, parent: number, name: Name, flags: number, options: CreateOptions): NodeReply & { open: OpenReply } {
  const wanted = backingFlags(union, flags);
  const { node, stat, fd } = make(union, caller, parent, name, { type: S_IFREG, ...options }, (directory, at, permissions) =>
    openAt(directory, at, wanted | O_CREAT | O_EXCL, permissions));
  return answerOpened(union, node, stat, wanted, fd);
}

export function tmpfile(union: Union, caller: Caller, parentId: number, flags: number, options: CreateOptions): NodeReply & { open: OpenReply } {
  const upper = union.writable();
  const parent = union.directory(parentId);
  copyUpDirectory(union, parent);
  union.usage?.require(0, 1);
  const wanted = backingFlags(union, flags);
  const fd = openTemporary(upper.work, wanted, 0o600);
  let orphan: number;
  let stat: HostStat;
  try {
    finishAttributes(upper.owners, fd, attributesFor(union, caller, parent, { type: S_IFREG, ...options }));
    stat = upper.owners.stat(fd);
    orphan = reopen(fd, O_PATH);
  } catch (error) {
    close(fd);
    throw error;
  }
  const node = union.table.add(S_IFREG);
  node.upper = true;
  node.removed = true;
  node.orphan = orphan;
  return answerOpened(union, node, stat, wanted, fd);
}

function answerOpened(union: Union, node: Node, stat: HostStat, flags: number, fd: number | undefined): NodeReply & { open: OpenReply } {
  try {
    const open = opened(union, node, { flags, fd, exec: false });
    return { ...union.reply(node, stat), open };
  } catch (error) {
    union.table.release(node);
    throw error;
  }
}

/** The place a new name goes to. Its directory is in the upper afterwards. */
export function vacancy(union: Union, parent: Node, name: Name, action: string): { directory: number; marks: DirectoryMarks; found: UpperFound; hidesLower: boolean } {
  const upper = union.writable();
  checkName(name, action);
  if (name.startsWith(AUFS_PREFIX)) throw new FsError('EPERM', `Cannot ${action} "${nameToText(name)}": names with ".wh." are marks of layers`);
  if (parent.removed) throw new FsError('ENOENT', `Cannot ${action} "${nameToText(name)}": its directory was removed`);
  const exists = (): FsError => new FsError('EEXIST', `Cannot ${action} "${nameToText(name)}": it exists`);
  if (parent.children?.has(name)) throw exists();
  copyUpDirectory(union, parent);
  const sides = union.sides(parent);
  const { fd: directory, marks } = sides.upper as { fd: number; marks: DirectoryMarks };
  const found = upper.find(directory, marks, name);
  const hidesLower = lowerHas(union, sides, name);
  if (found.at === 'file' || (found.at === 'nothing' && hidesLower)) throw exists();
  return { directory, marks, found, hidesLower };
}

function make(union: Union, caller: Caller, parentId: number, name: Name, making: Making, build: Build): { node: Node; stat: HostStat; fd: number | undefined } {
  const upper = union.writable();
  const parent = union.directory(parentId);
  const { directory, found } = vacancy(union, parent, name, 'make');
  union.usage?.require(making.type === S_IFDIR ? DIRECTORY : 0, 1);
  const wanted = attributesFor(union, caller, parent, making);
  // Built in place where one call makes it as it is to be: nothing to replace, no default ACL that the host would apply by itself.
  const direct = found.at === 'nothing' && parent.defaultAcl === null && comesAsWanted(wanted);
  const at = direct ? { directory, name } : { directory: upper.work, name: upper.temporaryName() };
  const fd = build(at.directory, at.name, upper.owners.permissions(making.type, wanted.mode));
  let stat: HostStat;
  try {
    const target = fd ?? at;
    stat = upper.owners.stat(target);
    const changed = finishAttributes(upper.owners, target, wanted, stat);
    if (making.type === S_IFDIR && found.at === 'whiteout') upper.setOpaque(at);
    if (changed || !direct) stat = upper.owners.stat(target);
    if (!direct) upper.settle(at.name, directory, name, { isDirectory: making.type === S_IFDIR, ...(found.at === 'whiteout' ? { spelling: found.spelling } : {}) });
  } catch (error) {
    if (fd !== undefined) close(fd);
    if (direct) upper.remove(directory, name, making.type === S_IFDIR ? 'directory' : 'file');
    else upper.discard(at.name);
    throw error;
  }
  // Its ctime is that of the move.
  if (!direct) attempt(() => (stat = upper.owners.stat(fd ?? { directory, name })));
  union.usage?.measured(stat);
  const node = union.table.add(making.type);
  node.upper = true;
  node.unprivileged = (stat.mode & (S_ISUID | S_ISGID)) === 0;
  union.table.attach(node, parent, name);
  return { node, stat, fd };
}

interface Attributes extends Making {
  uid: number;
  gid: number;
  inherited: Inherited | undefined;
  defaultAcl: Buffer | null;
  /** Its directory has setgid. */
  setgid: boolean;
}

/** True where mknod(2) and its like give a new file owner and mode by themselves. mkdir(2) leaves setuid out, and setgid is the directory's affair. */
function comesAsWanted({ type, uid, gid, mode, setgid }: Attributes): boolean {
  if (uid !== OWN_UID || (!setgid && gid !== OWN_GID)) return false;
  return type !== S_IFDIR || (mode & (S_ISUID | S_ISGID)) === (setgid ? S_ISGID : 0);
}

/** Owner, mode and ACLs a new file has, as Linux decides it. */
function attributesFor(union: Union, caller: Caller, parent: Node, making: Making): Attributes {
  const directory = statAt(union.descriptors.get(parent), '');
  if (parent.defaultAcl === undefined) parent.defaultAcl = getXattrIfAny(union.descriptors.get(parent), DEFAULT_ACL) ?? null;
  const setgid = (directory.mode & S_ISGID) !== 0;
  const { type } = making;
  let mode = making.mode & PERMISSIONS;
  let inherited: Inherited | undefined;
  if (type !== S_IFLNK) {
    if (parent.defaultAcl !== null) inherited = inheritAcl(parent.defaultAcl, mode);
    mode = inherited?.mode ?? mode & ~making.umask;
  }
  if (type === S_IFDIR && setgid) mode |= S_ISGID;
  return { ...making, mode, uid: caller.uid, gid: setgid ? directory.gid : caller.gid, inherited, defaultAcl: parent.defaultAcl, setgid };
}

/** True where anything had to be changed. */
function finishAttributes(owners: Owners, target: XattrTarget, wanted: Attributes, made: HostStat = owners.stat(target)): boolean {
  const given = owners.give(target, { ...wanted, mode: wanted.type | wanted.mode });
  // Owner before mode: chown(2) clears setuid and setgid.
  const owned = given || (made.uid === wanted.uid && made.gid === wanted.gid);
  if (!owned) {
    if (typeof target === 'number') chownFd(target, wanted.uid, wanted.gid);
    else chownAt(target.directory, target.name, wanted.uid, wanted.gid);
  }
  if (wanted.type === S_IFLNK) return !owned;
  if (wanted.inherited?.access !== undefined) setXattr(target, ACCESS_ACL, wanted.inherited.access);
  if (wanted.type === S_IFDIR && wanted.defaultAcl !== null) setXattr(target, DEFAULT_ACL, wanted.defaultAcl);
  // The work directory's own default ACL is nobody's business.
  else if (wanted.type === S_IFDIR && getXattrIfAny(target, DEFAULT_ACL) !== undefined) removeXattr(target, DEFAULT_ACL);
  if (given) return true;
  if ((made.mode & PERMISSIONS) === wanted.mode && wanted.inherited === undefined && owned) return false;
  if (typeof target === 'number') chmodFd(target, wanted.mode);
  else chmodAt(target.directory, target.name, wanted.mode);
  return true;
}
