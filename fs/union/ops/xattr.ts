import { FsError } from '../../errno.ts';
import type { Caller } from '../../file-system.ts';
import { nameFromText, nameToBytes, nameToText, type Name } from '../../name.ts';
import { PERMISSIONS, S_ISGID } from '../../stat.ts';
import { removeXattr as hostRemove, setXattr as hostSet } from '../../host/xattr.ts';
import { getUsersXattr, listUsersXattrs, storedXattr } from '../../layer/users-xattr.ts';
import { DEFAULT_ACL } from '../../xattr-names.ts';
import { afterCopyUp } from '../copy-up.ts';
import type { Node } from '../node.ts';
import type { Union } from '../state.ts';

/**
 * Answers which layer a file comes from; listed nowhere, and nobody can set it. The first name is for tools that insist on a namespace; symlinks, devices, fifos and
 * sockets, of which the kernel asks for no user.* xattr, have only the second.
 */
const LAYER_XATTRS: readonly Name[] = ['user.ufs.layer', 'ufs.layer'];

export function getxattr(union: Union, id: number, name: Name): Buffer {
  const node = union.table.get(id);
  if (LAYER_XATTRS.includes(name)) return nameToBytes(nameFromText(node.upper ? 'upper' : union.lower.origin(node.lower)));
  const value = valueOf(union, node, name);
  if (value === undefined) throw noAttribute(id, name);
  return value;
}

function valueOf(union: Union, node: Node, name: Name): Buffer | undefined {
  return node.upper ? getUsersXattr(union.target(node), name, union.writable().owners) : union.lower.getXattr(node.lower, name);
}

function noAttribute(id: number, name: Name): FsError {
  return new FsError('ENODATA', `Cannot find the xattr ${nameToText(name)} of node ${id}`);
}

/** Without a caller all are listed. */
export function listxattr(union: Union, id: number, caller?: Caller): Name[] {
  const node = union.table.get(id);
  const names = node.upper ? listUsersXattrs(union.target(node), union.writable().owners) : union.lower.listXattr(node.lower);
  // The kernel refuses to read these without CAP_SYS_ADMIN, but lists what we list.
  return caller === undefined || caller.uid === 0 ? names : names.filter((name) => !name.startsWith('trusted.'));
}

export function setxattr(union: Union, id: number, name: Name, value: Buffer, flags: number, how: { killSetgid: boolean }): void | Promise<void> {
  const { node, stored } = changeable(union, id, name);
  // `value` is only valid until we return.
  const copy = node.upper && node.copyUp === undefined ? value : Buffer.from(value);
  return afterCopyUp(union, node, 'metadata', () => {
    hostSet(union.target(node), stored, copy, flags);
    node.unprivileged = false;
    if (name === DEFAULT_ACL) node.defaultAcl = undefined;
    if (how.killSetgid) union.withDescriptor(node, (fd) => dropSetgid(union, fd));
  });
}

export function removexattr(union: Union, id: number, name: Name): void | Promise<void> {
  const { node, stored } = changeable(union, id, name);
  if (!node.upper && valueOf(union, node, name) === undefined) throw noAttribute(id, name);
  return afterCopyUp(union, node, 'metadata', () => {
    hostRemove(union.target(node), stored);
    if (name === DEFAULT_ACL) node.defaultAcl = undefined;
  });
}

function changeable(union: Union, id: number, name: Name): { node: Node; stored: Name } {
  const stored = LAYER_XATTRS.includes(name) ? undefined : storedXattr(name, union.writable().owners);
  if (stored === undefined) throw new FsError('EPERM', `Cannot change the xattr ${nameToText(name)}: it belongs to the file system`);
  return { node: union.table.get(id), stored };
}

function dropSetgid(union: Union, fd: number): void {
  const { owners } = union.writable();
  const { mode } = owners.stat(fd);
  if ((mode & S_ISGID) !== 0) owners.change(fd, { permissions: mode & PERMISSIONS & ~S_ISGID });
}
