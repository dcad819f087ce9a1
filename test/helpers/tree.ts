import { createHash } from 'node:crypto';
import { close, openAt, openPath, readlinkAt, statAt, statFd } from '../../fs/host/at.ts';
import { O_DIRECTORY, O_PATH, O_RDONLY } from '../../fs/host/constants.ts';
import { listDirectory } from '../../fs/host/directory.ts';
import { pread } from '../../fs/host/file.ts';
import { getXattr, listXattr, type XattrTarget } from '../../fs/host/xattr.ts';
import { joinName, nameFromText, nameToText, type Name } from '../../fs/name.ts';
import { isDirectory, isRegular, isSymlink, S_IFMT, type Stat } from '../../fs/stat.ts';

/** What a tree holds, path by path: everything that must be equal where two trees are. */
export type TreeListing = Map<string, string>;

export interface TreeOptions {
  /** Leave out the times of these kinds of change; by default mtimes are compared to the nanosecond. */
  mtime?: boolean;
  /** Of what to tell the inode numbers too. */
  ino?: (stat: Stat) => boolean;
  /** Names of xattrs to pass over. */
  ignoreXattrs?: RegExp;
}

/**
 * Lists a directory: type, mode, owner, size, mtime in ns, xattrs, link count, device, symlink target and content hash of everything below it (and of itself, as ".").
 * Names in one inode are given by the first of them. Link counts of directories are left out: file systems count them differently.
 */
export function listTree(path: string, options: TreeOptions = {}): TreeListing {
  const listing: TreeListing = new Map();
  const inodes = new Map<string, string>();
  const root = openPath(nameFromText(path), O_PATH | O_DIRECTORY);
  walk(root, '', (directory, name, at) => {
    const stat = name === '' ? statFd(directory) : statAt(directory, name);
    listing.set(at === '' ? '.' : nameToText(at), describe(directory, name, at, stat, inodes, options));
    return isDirectory(stat);
  });
  return listing;
}

/** Visits a tree with parents first; closes every descriptor. `visit` says whether to go into what it saw. */
function walk(root: number, name: Name, visit: (directory: number, name: Name, path: Name) => boolean): void {
  const enter = (directory: number, path: Name): void => {
    try {
      for (const entry of listDirectory(directory).map(({ name }) => name).sort()) {
        const at = joinName(path, entry);
        if (visit(directory, entry, at)) enter(openAt(directory, entry, O_PATH | O_DIRECTORY), at);
      }
    } finally {
      close(directory);
    }
  };
  visit(root, name, '');
  enter(root, '');
}

function describe(directory: number, name: Name, path: Name, stat: Stat & { devMajor: number; devMinor: number }, inodes: Map<string, string>, options: TreeOptions): string {
  const parts = [`${((stat.mode & S_IFMT) >> 12).toString(8)}:${(stat.mode & 0o7777).toString(8)}`, `${stat.uid}:${stat.gid}`];
  if (options.ino?.(stat) === true) parts.push(`inode ${stat.ino}`);
  if (options.mtime !== false) parts.push(`${stat.mtimeSec}.${String(stat.mtimeNsec).padStart(9, '0')}`);
  if (!isDirectory(stat)) {
    parts.push(`size ${stat.size}`, `rdev ${stat.rdevMajor}:${stat.rdevMinor}`, `nlink ${stat.nlink}`);
    if (stat.nlink > 1) {
      const key = `${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
      if (!inodes.has(key)) inodes.set(key, nameToText(path));
      parts.push(`inode of ${inodes.get(key)}`);
    }
  }
  if (isSymlink(stat)) parts.push(`-> ${nameToText(readlinkAt(directory, name))}`);
  if (isRegular(stat)) parts.push(hash(directory, name));
  const target: XattrTarget = name === '' ? directory : { directory, name };
  const hidden = options.ignoreXattrs ?? /^$/;
  for (const xattr of listXattr(target).filter((xattr) => !hidden.test(xattr)).sort()) parts.push(`${xattr}=${getXattr(target, xattr)?.toString('hex')}`);
  return parts.join(' ');
}

const buffer = Buffer.alloc(1 << 20);

function hash(directory: number, name: Name): string {
  const fd = openAt(directory, name, O_RDONLY);
  try {
    const sum = createHash('sha256');
    for (let offset = 0; ; ) {
      const count = pread(fd, buffer, 0, buffer.length, offset);
      if (count === 0) return sum.digest('hex');
      sum.update(buffer.subarray(0, count));
      offset += count;
    }
  } finally {
    close(fd);
  }
}

/** The paths that aren't in both listings or differ, each with what is on either side. Empty where the trees are equal. */
export function treeDifferences(left: TreeListing, right: TreeListing): string[] {
  const differences: string[] = [];
  for (const path of new Set([...left.keys(), ...right.keys()])) {
    const [a, b] = [left.get(path), right.get(path)];
    if (a !== b) differences.push(`${path}\n  left:  ${a ?? 'nothing'}\n  right: ${b ?? 'nothing'}`);
  }
  return differences;
}
