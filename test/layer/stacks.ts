import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { close } from '../../fs/host/at.ts';
import { preadFull } from '../../fs/host/file.ts';
import { DirectoryStack } from '../../fs/layer/directory-stack.ts';
import type { StackNode } from '../../fs/layer/directory-stack.ts';
import type { Name } from '../../fs/name.ts';
import { joinName } from '../../fs/name.ts';
import { isDirectory, S_IFLNK, S_IFMT, S_IFREG } from '../../fs/stat.ts';

export function content(stack: DirectoryStack, node: StackNode): Buffer {
  const fd = stack.open(node);
  try {
    const bytes = Buffer.alloc(stack.stat(node).size);
    assert.equal(preadFull(fd, bytes, 0, bytes.length, 0), bytes.length);
    return bytes;
  } finally {
    close(fd);
  }
}

/** All paths but the root, checking on the way that lookup and stat agree with list. */
export function paths(stack: DirectoryStack): string[] {
  const all: string[] = [];
  const enter = (directory: StackNode, at: Name): void => {
    for (const { name, node, ino, mode } of stack.list(directory)) {
      const found = stack.lookup(directory, name) as StackNode;
      const stat = stack.stat(found);
      assert.equal(stat.ino, ino, `d_ino of ${name}`);
      assert.equal(stat.mode & S_IFMT, mode & S_IFMT, `d_type of ${name}`);
      assert.equal(stack.identity(found), stack.identity(node));
      all.push(joinName(at, name) + (isDirectory(stat) ? '/' : ''));
      if (isDirectory(stat)) enter(node, joinName(at, name));
    }
  };
  enter(stack.root, '');
  return all.sort();
}

export function withStack<T>(directories: string[], use: (stack: DirectoryStack) => T, options = {}): T {
  const stack = new DirectoryStack(directories, options);
  try {
    return use(stack);
  } finally {
    stack.close();
  }
}

/** The tree in the spelling of `listTree`. */
export function listStack(stack: DirectoryStack): Map<string, string> {
  const listing = new Map<string, string>();
  const inodes = new Map<string, string>();
  const enter = (node: StackNode, at: string): void => {
    const stat = stack.stat(node);
    const parts = [`${((stat.mode & S_IFMT) >> 12).toString(8)}:${(stat.mode & 0o7777).toString(8)}`, `${stat.uid}:${stat.gid}`,
      `${stat.mtimeSec}.${String(stat.mtimeNsec).padStart(9, '0')}`];
    if (!isDirectory(stat)) {
      parts.push(`size ${stat.size}`, `rdev ${stat.rdevMajor}:${stat.rdevMinor}`, `nlink ${stat.nlink}`);
      if (stat.nlink > 1) {
        const key = stack.identity(node);
        if (!inodes.has(key)) inodes.set(key, at);
        parts.push(`inode of ${inodes.get(key)}`);
      }
    }
    if ((stat.mode & S_IFMT) === S_IFLNK) parts.push(`-> ${stack.readlink(node)}`);
    if ((stat.mode & S_IFMT) === S_IFREG) parts.push(createHash('sha256').update(content(stack, node)).digest('hex'));
    for (const xattr of stack.listXattr(node).sort()) parts.push(`${xattr}=${stack.getXattr(node, xattr)?.toString('hex')}`);
    listing.set(at === '' ? '.' : at, parts.join(' '));
    if (!isDirectory(stat)) return;
    const entries = stack.list(node).sort((left, right) => (left.name < right.name ? -1 : 1));
    for (const entry of entries) enter(entry.node, joinName(at, entry.name));
  };
  enter(stack.root, '');
  return listing;
}
