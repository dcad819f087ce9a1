import type { Name } from '../../fs/name.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from '../../fs/stat.ts';
import type { Attributes } from '../tree/change.ts';
import type { Header } from './header.ts';
import { refused } from './member-name.ts';

/** What a dropped xattr is told to. */
export type Warn = (message: string) => void;

const TYPE_BITS: Readonly<Record<string, number>> = { '0': S_IFREG, '2': S_IFLNK, '3': S_IFCHR, '4': S_IFBLK, '5': S_IFDIR, '6': S_IFIFO };

const ID_MAX = 2 ** 32 - 2;
const DEVICE_MAX = 2 ** 32 - 1;
/** Times from here on, and before 1970, become 0: a header that says so is wrong, and Docker does the same. */
const TIME_END = 2 ** 33;
const XATTR_NAME_MAX = 255;
const XATTR_VALUE_MAX = 65536;
const XATTR_LIST_MAX = 65536;
const TARGET_MAX = 4095;

const NO_XATTRS: ReadonlyMap<Name, Buffer> = new Map();

/** The attributes a member's headers give its inode; throws where they can't be a Linux file's. `size` is its apparent size. */
export function attributesOf(header: Header, size: number, warn: Warn): Attributes {
  const type = TYPE_BITS[header.type];
  if (type === undefined) throw refused(`unhandled tar header type ${header.type.charCodeAt(0)}`);
  const attributes: Attributes = { mode: type | (header.mode & 0o7777), uid: 0, gid: 0, size, mtimeSec: 0, mtimeNsec: 0, rdevMajor: 0, rdevMinor: 0, xattrs: NO_XATTRS };
  if (type === S_IFLNK) {
    if (header.linkName.length === 0 || header.linkName.length > TARGET_MAX || header.linkName.includes('\0')) throw refused(`a symlink's target has 1 to ${TARGET_MAX} bytes, not ${header.linkName.length}`);
    attributes.target = header.linkName;
    attributes.size = header.linkName.length;
  }
  if (type === S_IFCHR || type === S_IFBLK) {
    attributes.rdevMajor = checkedDevice(header.major);
    attributes.rdevMinor = checkedDevice(header.minor);
  }
  setSharedAttributes(attributes, header, warn);
  return attributes;
}

/** Puts over an inode what the header of a further name of it says. */
export function linkAttributes(inode: Attributes, header: Header, warn: Warn): Attributes {
  const attributes = { ...inode };
  if ((inode.mode & S_IFMT) !== S_IFLNK) attributes.mode = (inode.mode & S_IFMT) | (header.mode & 0o7777);
  setSharedAttributes(attributes, header, warn);
  return attributes;
}

function setSharedAttributes(attributes: Attributes, header: Header, warn: Warn): void {
  attributes.uid = checkedId('owner', header.uid);
  attributes.gid = checkedId('group', header.gid);
  const inRange = header.mtimeSec >= 0 && header.mtimeSec < TIME_END;
  attributes.mtimeSec = inRange ? header.mtimeSec : 0;
  attributes.mtimeNsec = inRange ? header.mtimeNsec : 0;
  if (header.pax !== undefined) attributes.xattrs = mergeXattrs(attributes, header.pax, warn);
}

function checkedId(what: string, id: number): number {
  // −1 means "leave it" to chown(2): elsewhere such files end up as root's.
  if (id < 0 || id > ID_MAX) throw refused(`its ${what} ${id} is out of range`);
  return id;
}

function checkedDevice(number: number): number {
  if (number < 0 || number > DEVICE_MAX) throw refused(`its device number ${number} is out of range`);
  return number;
}

const XATTR_KEY = 'SCHILY.xattr.';

function mergeXattrs(attributes: Attributes, records: ReadonlyMap<Name, Buffer>, warn: Warn): ReadonlyMap<Name, Buffer> {
  let xattrs: Map<Name, Buffer> | undefined;
  for (const [key, value] of records) {
    if (!key.startsWith(XATTR_KEY)) continue;
    const name = key.slice(XATTR_KEY.length);
    if (name.length === 0 || name.length > XATTR_NAME_MAX) throw refused(`an xattr's name has 1 to ${XATTR_NAME_MAX} bytes, not ${name.length}`);
    if (value.length > XATTR_VALUE_MAX) throw refused(`xattr ${name} is ${value.length} bytes, over ${XATTR_VALUE_MAX}`);
    const reason = dropReason(name, value, attributes.mode);
    if (reason === undefined) (xattrs ??= new Map(attributes.xattrs)).set(name, value);
    else if (reason !== '') warn(`xattr ${name} dropped: ${reason}`);
  }
  if (xattrs === undefined) return attributes.xattrs;
  let list = 0;
  for (const name of xattrs.keys()) list += name.length + 1;
  if (list > XATTR_LIST_MAX) throw refused(`its xattrs' names are over ${XATTR_LIST_MAX} bytes`);
  return xattrs;
}

/** Why an xattr isn't taken over; '' where that is as it should be, undefined where it is taken. No xattr is interpreted. */
function dropReason(name: Name, value: Buffer, mode: number): string | undefined {
  if (name === 'security.selinux') return '';
  if (name === 'system.posix_acl_access' || name === 'system.posix_acl_default') return isAcl(value) ? undefined : 'it isn\'t an access control list';
  if (name.startsWith('user.')) {
    const type = mode & S_IFMT;
    return type === S_IFREG || type === S_IFDIR ? undefined : 'only files and directories have user xattrs';
  }
  return name.startsWith('trusted.') || name.startsWith('security.') ? undefined : 'its namespace is unknown';
}

/** A version of 2, then entries of 8 bytes (linux/posix_acl_xattr.h). */
function isAcl(value: Buffer): boolean {
  return value.length >= 4 && value.readUInt32LE(0) === 2 && (value.length - 4) % 8 === 0;
}
