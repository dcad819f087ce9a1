import { hasCode } from '../errno.ts';
import { nameFromBytes, type Name } from '../name.ts';
import { CAPABILITY } from '../xattr-names.ts';
import { statFd } from '../host/at.ts';
import { chmodFd, utimensFd } from '../host/attributes.ts';
import type { XattrTarget } from '../host/xattr.ts';
import { getXattrIfAny, listXattr, setXattr } from '../host/xattr.ts';
import { PERMISSIONS, type Stat } from '../stat.ts';
import { markOf, removeMark, writeMark, type XattrNamespace } from './overlay-xattr.ts';

/** Where an upper file was copied from: its inode number there, and its key in the link index if it had several names. */
export interface Origin {
  ino: number;
  key?: Name;
}

/** What copying data into a file changes of it, as it was before. */
export interface SavedAttributes {
  mtimeSec: number;
  mtimeNsec: number;
  /** Permission bits. */
  permissions: number;
  capability: Buffer | undefined;
}

/** What a file of the upper that isn't a directory says of itself. */
export interface FileMarks {
  origin?: Origin;
  /** A copy of metadata only: unless its size is 0, its data is in the lower, */
  metacopy: boolean;
  /** at this path, or else where a file of its name is. */
  redirect?: Name;
  /** Its data was being copied, or is: it may be there in parts, and these attributes be changed. */
  saved?: SavedAttributes;
}

const ORIGIN = 'ufs_origin';
const COPYING = 'ufs_copying';

export function readFileMarks(target: XattrTarget): FileMarks {
  const marks: FileMarks = { metacopy: false };
  for (const name of listXattr(target)) {
    const mark = markOf(name);
    if (mark === 'metacopy') marks.metacopy = true;
    else if (mark === ORIGIN) Object.assign(marks, parsed('origin', parseOrigin(value(target, name))));
    else if (mark === COPYING) Object.assign(marks, parsed('saved', parseSaved(value(target, name))));
    else if (mark === 'redirect') marks.redirect = nameFromBytes(value(target, name));
  }
  // Left behind by a copy that was finished.
  if (!marks.metacopy) delete marks.saved;
  return marks;
}

function value(target: XattrTarget, name: Name): Buffer {
  return getXattrIfAny(target, name) ?? Buffer.alloc(0);
}

function parsed<K extends string, T>(key: K, read: T | undefined): Partial<Record<K, T>> {
  return read === undefined ? {} : ({ [key]: read } as Record<K, T>);
}

function parseOrigin(bytes: Buffer): Origin | undefined {
  const match = /^(\d+)(?: (\S+))?$/.exec(bytes.latin1Slice());
  return match === null ? undefined : { ino: Number(match[1]), ...(match[2] === undefined ? {} : { key: match[2] }) };
}

function parseSaved(bytes: Buffer): SavedAttributes | undefined {
  const match = /^(-?\d+) (\d+) ([0-7]+) ([0-9a-f]*)$/.exec(bytes.latin1Slice());
  if (match === null) return undefined;
  const [mtimeSec, mtimeNsec, permissions] = [Number(match[1]), Number(match[2]), Number.parseInt(match[3], 8)];
  return { mtimeSec, mtimeNsec, permissions, capability: match[4] === '' ? undefined : Buffer.from(match[4], 'hex') };
}

/** Where the file's type or the file system can't have the xattr, the inode number lasts as long as the mount. */
export function writeOrigin(target: XattrTarget, namespace: XattrNamespace, origin: Origin): void {
  try {
    writeMark(target, namespace, ORIGIN, origin.key === undefined ? String(origin.ino) : `${origin.ino} ${origin.key}`);
  } catch (error) {
    if (!hasCode(error, 'EPERM', 'EOPNOTSUPP')) throw error;
  }
}

/** Notes in the file itself what copying data into it will change: whenever it is cut short, `putBack` sets that right. */
export function saveAttributes(fd: number, namespace: XattrNamespace): SavedAttributes {
  const { mtimeSec, mtimeNsec, mode } = statFd(fd);
  const saved = { mtimeSec, mtimeNsec, permissions: mode & PERMISSIONS, capability: getXattrIfAny(fd, CAPABILITY) };
  writeMark(fd, namespace, COPYING, `${mtimeSec} ${mtimeNsec} ${saved.permissions.toString(8)} ${saved.capability?.toString('hex') ?? ''}`);
  return saved;
}

/** Gives a file the attributes it had; `forgetSaved` follows. */
export function putBack(fd: number, saved: SavedAttributes): void {
  if ((statFd(fd).mode & PERMISSIONS) !== saved.permissions) chmodFd(fd, saved.permissions);
  if (saved.capability !== undefined) setXattr(fd, CAPABILITY, saved.capability);
  utimensFd(fd, undefined, { sec: saved.mtimeSec, nsec: saved.mtimeNsec });
}

export function forgetSaved(fd: number): void {
  removeMark(fd, COPYING);
}

/** What users are told of a file while its data is being copied, or after that was cut short. */
export function withSaved<T extends Stat>(stat: T, { mtimeSec, mtimeNsec, permissions }: SavedAttributes): T {
  return { ...stat, mtimeSec, mtimeNsec, mode: (stat.mode & ~PERMISSIONS) | permissions };
}
