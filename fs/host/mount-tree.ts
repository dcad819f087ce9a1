import type { Name } from '../name.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, O_CLOEXEC } from './constants.ts';
import { check, cString, libc } from './native.ts';

/** Of linux/mount.h. */
const OPEN_TREE_CLONE = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 0x04;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
const MOUNT_ATTR_RDONLY = 1;

/**
 * A mount of what is at a path, in no directory yet: it is gone with the descriptor (which is an O_PATH one) unless it is attached. Symlinks are followed; with `recursive`, the
 * mounts below come along. open_tree(2), since Linux 5.2.
 */
export function cloneTree(path: Name, { recursive }: { recursive: boolean }): number {
  return check(libc.open_tree(AT_FDCWD, cString(path), OPEN_TREE_CLONE | O_CLOEXEC | (recursive ? AT_RECURSIVE : 0)), 'bind', path);
}

/** The same of one name in a directory, with all mounts on and below it; a symlink isn't followed. */
export function cloneTreeAt(directory: number, name: Name): number {
  return check(libc.open_tree(directory, cString(name), OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW), 'bind', name);
}

/** Attaches such a mount to what the descriptor `target` refers to. */
export function attachTree(tree: number, target: number): void {
  check(libc.move_mount(tree, cString(''), target, cString(''), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH), 'attach a mount');
}

/** struct mount_attr: attr_set, attr_clr, propagation, userns_fd. */
const attributes = Buffer.alloc(32);

/** Changes a mount, and with `recursive` all below it: makes it read-only, or gives it a propagation (MS_PRIVATE …). mount_setattr(2), since Linux 5.12. */
export function changeMount(tree: number, change: { readonly?: boolean; propagation?: number; recursive: boolean }): void {
  attributes.fill(0);
  attributes.writeBigUInt64LE(change.readonly === true ? BigInt(MOUNT_ATTR_RDONLY) : 0n, 0);
  attributes.writeBigUInt64LE(BigInt(change.propagation ?? 0), 16);
  check(libc.mount_setattr(tree, cString(''), AT_EMPTY_PATH | (change.recursive ? AT_RECURSIVE : 0), attributes, attributes.length), 'change a mount');
}
