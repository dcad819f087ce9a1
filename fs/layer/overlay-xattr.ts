import type { Name } from '../name.ts';
import { nameFromBytes } from '../name.ts';
import { CAP_SYS_ADMIN, hasCapability, inInitialUserNamespace } from '../host/process.ts';
import type { XattrTarget } from '../host/xattr.ts';
import { getXattrIfAny, listXattr, removeXattr, setXattr } from '../host/xattr.ts';

/** Where overlayfs, fuse-overlayfs and we keep marks: the first needs CAP_SYS_ADMIN in the initial user namespace. */
export type XattrNamespace = 'trusted' | 'user';

const NAMESPACES = ['trusted.overlay.', 'user.overlay.', 'user.fuseoverlayfs.'] as const;

/** The namespace marks are written in; all are read. */
export function writableNamespace(): XattrNamespace {
  return inInitialUserNamespace() && hasCapability(CAP_SYS_ADMIN) ? 'trusted' : 'user';
}

/** True for marks of an overlay file system, and for what begins as they do (see `shownXattr`). */
export function isMark(name: Name): boolean {
  return NAMESPACES.some((prefix) => name.startsWith(prefix));
}

/** What a mark is called without its namespace; undefined for other xattrs. */
export function markOf(name: Name): string | undefined {
  const prefix = NAMESPACES.find((at) => name.startsWith(at));
  return prefix === undefined ? undefined : name.slice(prefix.length);
}

/** Marks of a directory: nothing of lower layers shows in it; or it may hold whiteouts that are regular files. */
export interface OpaqueMarks {
  opaque: boolean;
  whiteoutFiles: boolean;
}

const YES = 0x79;
const FILES = 0x78;

export function isOpaqueDirectory(target: XattrTarget): OpaqueMarks {
  const marks = { opaque: false, whiteoutFiles: false };
  for (const prefix of NAMESPACES) {
    const value = getXattrIfAny(target, `${prefix}opaque`);
    if (value?.length !== 1) continue;
    if (value[0] === YES) marks.opaque = true;
    if (value[0] === FILES) marks.whiteoutFiles = true;
  }
  return marks;
}

/** True for the mark that makes an empty regular file a whiteout, in a directory that may hold such. */
export function isWhiteoutFile(target: XattrTarget): boolean {
  return readMark(target, 'whiteout') !== undefined;
}

/** True where a file has only metadata, and its data is in a lower layer. */
export function hasMetacopy(target: XattrTarget): boolean {
  return readMark(target, 'metacopy') !== undefined;
}

/** The path or name a directory (or a metadata-only copy) has in the layers below. */
export function readRedirect(target: XattrTarget): Name | undefined {
  const value = readMark(target, 'redirect');
  return value === undefined ? undefined : nameFromBytes(value);
}

/** A mark in any namespace, the trusted one first. */
export function readMark(target: XattrTarget, mark: string): Buffer | undefined {
  for (const prefix of NAMESPACES) {
    const value = getXattrIfAny(target, prefix + mark);
    if (value !== undefined) return value;
  }
  return undefined;
}

export function writeMark(target: XattrTarget, namespace: XattrNamespace, mark: string, value: Name): void {
  setXattr(target, `${namespace}.overlay.${mark}`, Buffer.from(value, 'latin1'));
}

/** Takes a mark away in every namespace. */
export function removeMark(target: XattrTarget, mark: string): void {
  for (const name of listXattr(target)) if (markOf(name) === mark) removeXattr(target, name);
}
