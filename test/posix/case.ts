import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import koffi from 'koffi';
import { close, openAt, openPath } from '../../fs/host/at.ts';
import { AT_FDCWD, O_DIRECTORY, O_PATH } from '../../fs/host/constants.ts';
import { listDirectory } from '../../fs/host/directory.ts';
import { mknodAt } from '../../fs/host/make.ts';
import { inInitialUserNamespace } from '../../fs/host/process.ts';
import { utimensAt } from '../../fs/host/attributes.ts';
import type { XattrTarget } from '../../fs/host/xattr.ts';
import { getXattr, listXattr, removeXattr, setXattr } from '../../fs/host/xattr.ts';

/** What a POSIX file system does, told of one directory; the title, its key in a table, is the promise. The same case runs on any mount. */
export interface PosixCase {
  /** What is in the directory before: the runner puts it there, in whatever layers. */
  fixture?: Fixture;
  /** Needs uid 0: other users, ownership. In a user namespace its root will do. */
  root?: true;
  /** Needs the host's root: devices, trusted xattrs, ids no user namespace has. */
  hostRoot?: true;
  /** Gives a reason where the file system below can't do it at all. */
  run(dir: string): void | string | Promise<void | string>;
}

export type PosixCases = Record<string, PosixCase>;

interface Meta {
  mode?: number;
  uid?: number;
  gid?: number;
  /** Seconds and nanoseconds. */
  mtime?: { sec: number; nsec: number };
  xattrs?: Record<string, Buffer>;
}

export type FixtureEntry = Meta & (
  | { kind: 'file'; content: Buffer; size?: number }
  | { kind: 'directory' }
  | { kind: 'symlink'; target: string }
  | { kind: 'link'; to: string }
  | { kind: 'node'; type: number; major: number; minor: number }
);

/** By path, directories before what is in them; every character is a byte. */
export type Fixture = Record<string, FixtureEntry>;

/** A file; `size` behind the content is a hole. */
export function file(content: string | Buffer = '', meta: Meta & { size?: number } = {}): FixtureEntry {
  return { kind: 'file', content: Buffer.from(content as string), ...meta };
}
export function directory(meta: Meta = {}): FixtureEntry {
  return { kind: 'directory', ...meta };
}
export function symlink(target: string): FixtureEntry {
  return { kind: 'symlink', target };
}
/** One more name of a file before it. */
export function link(to: string): FixtureEntry {
  return { kind: 'link', to };
}
export function node(type: number, major = 0, minor = 0): FixtureEntry {
  return { kind: 'node', type, major, minor };
}

/** Makes a fixture below `root`, which need not exist; `include` may leave out what isn't a directory. */
export function writeFixture(fixture: Fixture, root: string, include: (name: string) => boolean = () => true): void {
  fs.mkdirSync(root, { recursive: true, mode: 0o755 });
  const base = Buffer.from(`${root}/`);
  const made = Object.entries(fixture).filter(([name, entry]) => entry.kind === 'directory' || include(name));
  const at = (name: string): Buffer => Buffer.concat([base, Buffer.from(name, 'latin1')]);
  for (const [name, entry] of made) {
    const target = at(name);
    switch (entry.kind) {
      case 'file':
        fs.writeFileSync(target, entry.content);
        if (entry.size !== undefined) fs.truncateSync(target as unknown as string, entry.size);
        break;
      case 'directory': fs.mkdirSync(target); break;
      case 'symlink': fs.symlinkSync(entry.target, target); break;
      case 'link': fs.linkSync(at(entry.to), target); break;
      case 'node': mknodAt(AT_FDCWD, target.latin1Slice(), entry.type | 0o644, entry.major, entry.minor);
    }
  }
  // Children first, and all after the last name was made: modes may forbid, and times would change.
  for (const [name, entry] of made.reverse()) {
    const target = at(name);
    if (entry.uid !== undefined || entry.gid !== undefined) fs.lchownSync(target, entry.uid ?? 0, entry.gid ?? 0);
    if (entry.kind === 'file' || entry.kind === 'directory') fs.chmodSync(target, entry.mode ?? (entry.kind === 'file' ? 0o644 : 0o755));
    for (const [xattr, value] of Object.entries(entry.xattrs ?? {})) xattrs.set(target.latin1Slice(), xattr, value);
    if (entry.mtime !== undefined) utimensAt(AT_FDCWD, target.latin1Slice(), entry.mtime, entry.mtime);
  }
}

/** Why a case can't run in this process; false: it can. */
export function cannotRun({ root, hostRoot }: PosixCase): string | false {
  if ((root === true || hostRoot === true) && process.geteuid?.() !== 0) return 'needs root';
  return hostRoot === true && !inInitialUserNamespace() ? 'needs the host\'s root' : false;
}

/** The action throws this errno. */
export function fails(code: string, action: () => unknown): void {
  assert.throws(action, (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, code, error.message);
    return true;
  });
}

/** lstat(2), with nanoseconds. */
export function stat(name: string | Buffer): fs.BigIntStats {
  return fs.lstatSync(name, { bigint: true });
}

export function permissions(name: string): number {
  return Number(stat(name).mode) & 0o7777;
}

/** Names of a directory in order. */
export function names(dir: string): string[] {
  return fs.readdirSync(dir).sort();
}

export function text(name: string | Buffer): string {
  return fs.readFileSync(name, 'utf8');
}

/** What a listing says of each name, without asking for the name. */
export function listed(dir: string): Map<string, { ino: number; type: number }> {
  return withDirectory(dir, (fd) => new Map(listDirectory(fd).map(({ name, ino, type }) => [name, { ino, type }])));
}

export function withFile<T>(name: string, flags: string | number, use: (fd: number) => T): T {
  const fd = fs.openSync(name, flags, 0o644);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

export function withDirectory<T>(dir: string, use: (fd: number) => T): T {
  const fd = openPath(dir, O_PATH | O_DIRECTORY);
  try {
    return use(fd);
  } finally {
    close(fd);
  }
}

/** Makes directories of these names, one in the other, by descriptors; gives the last one's to `use`. */
export function inNested(dir: string, parts: readonly string[], make: (fd: number, name: string) => void, use: (fd: number) => void): void {
  const fds = [openPath(dir, O_PATH | O_DIRECTORY)];
  try {
    for (const part of parts) {
      const above = fds[fds.length - 1];
      make(above, part);
      fds.push(openAt(above, part, O_PATH | O_DIRECTORY));
    }
    use(fds[fds.length - 1]);
  } finally {
    for (const fd of fds) close(fd);
  }
}

function withXattrTarget<T>(name: string, use: (target: XattrTarget) => T): T {
  return withDirectory(path.dirname(name), (fd) => use({ directory: fd, name: path.basename(name) }));
}

/** Extended attributes by path, symlinks not followed. */
export const xattrs = {
  get: (name: string, xattr: string): Buffer | undefined => withXattrTarget(name, (target) => getXattr(target, xattr)),
  set: (name: string, xattr: string, value: Buffer | string, flags = 0): void => withXattrTarget(name, (target) => setXattr(target, xattr, Buffer.from(value as string), flags)),
  list: (name: string): string[] => withXattrTarget(name, (target) => listXattr(target).sort()),
  remove: (name: string, xattr: string): void => withXattrTarget(name, (target) => removeXattr(target, xattr)),
};

const libc = koffi.load('libc.so.6');
const setfsuid = libc.func('int setfsuid(uint uid)');
const setfsgid = libc.func('int setfsgid(uint gid)');

/**
 * Does something as another user, without capabilities over files. Only this thread's file system ids change (setfsuid(2)), so a server in another
 * thread isn't touched; only synchronous calls count.
 */
export function as<T>(uid: number, gid: number, action: () => T): T {
  setfsgid(gid);
  setfsuid(uid);
  try {
    return action();
  } finally {
    setfsuid(0);
    setfsgid(0);
  }
}

/** Lets the clock of inode times move on: it moves in steps of up to 10 ms, and stands still longer on a busy machine. */
export function passTime(): void {
  const probe = path.join(os.tmpdir(), `ufs-clock-${process.pid}`);
  const now = (): bigint => {
    fs.writeFileSync(probe, '');
    return fs.statSync(probe, { bigint: true }).ctimeNs;
  };
  const before = now();
  do Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 12);
  while (now() - before < 10_000_000n);
  fs.rmSync(probe);
}

/** Sets a time no clock shows by chance, and gives it back as nanoseconds. */
export function setOldTime(name: string): bigint {
  utimensAt(AT_FDCWD, name, { sec: 1_000_000_000, nsec: 123_456_789 }, { sec: 1_000_000_000, nsec: 123_456_789 });
  return 1_000_000_000_123_456_789n;
}
