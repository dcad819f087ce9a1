import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryStack } from '../../fs/layer/directory-stack.ts';
import type { Layer } from '../../fs/layer/layer.ts';
import { FsError } from '../../fs/errno.ts';
import { type AttributeChange, type Caller, type Kernel, type NodeReply, ROOT_ID } from '../../fs/file-system.ts';
import { O_RDONLY, O_TRUNC, O_WRONLY } from '../../fs/host/constants.ts';
import { close } from '../../fs/host/at.ts';
import { preadFull } from '../../fs/host/file.ts';
import { nameFromText, type Name } from '../../fs/name.ts';
import { isRegular, isSymlink, isDirectory, PERMISSIONS, S_IFMT, type Stat } from '../../fs/stat.ts';
import type { WhiteoutSpelling } from '../../fs/layer/whiteout.ts';
import { MergedLayer } from '../../fs/union/merged-layer.ts';
import { UnionFs, type UnionOptions } from '../../fs/union/union-fs.ts';

export const ROOT: Caller = { uid: 0, gid: 0, pid: 1 };

/** Directories of one test: a lower, an upper, a work directory, and a plain one to compare with. Removed by `remove`. */
export class Scratch {
  readonly root = mkdtempSync(join(tmpdir(), 'ufs-union-'));
  readonly lower = this.#make('lower');
  readonly upper = this.#make('upper');
  readonly work = this.#make('work');

  /** Fills the lower with a shell script run in it. */
  constructor(script = '') {
    if (script !== '') execFileSync('/bin/sh', ['-e', '-c', script], { cwd: this.lower });
  }

  #make(name: string): string {
    const path = join(this.root, name);
    mkdirSync(path);
    return path;
  }

  remove(): void {
    // Node's own can't remove what is deeper than PATH_MAX.
    execFileSync('rm', ['-rf', this.root]);
  }
}

export interface DriverOptions extends Partial<UnionOptions> {
  whiteouts?: WhiteoutSpelling;
  metacopy?: boolean;
  /** Lowers, the topmost first; else the scratch's. */
  lowers?: readonly string[];
  /** Keeps a number of nodes known, as a kernel's cache does. */
  remembers?: boolean;
}

/** A union over a scratch, driven by paths as a kernel without caches would: every call looks its path up and forgets it. */
export class Driver {
  readonly fs: UnionFs;
  readonly layer: DirectoryStack;
  caller: Caller = ROOT;
  readonly #remembers: boolean;
  readonly #remembered: number[] = [];

  constructor(scratch: Scratch, options: DriverOptions = {}, kernel: Partial<Kernel> = {}) {
    const { whiteouts, metacopy = false, remembers, lowers = [scratch.lower], ...rest } = options;
    this.layer = new DirectoryStack(lowers.map(nameFromText));
    this.#remembers = remembers === true;
    const upper = { directory: nameFromText(scratch.upper), work: nameFromText(scratch.work), metacopy, ...(whiteouts === undefined ? {} : { whiteouts }) };
    this.fs = new UnionFs({ lower: this.layer, upper, ...rest } as UnionOptions);
    this.fs.attach({
      passthrough: false, writebackCache: false, openBacking: () => 1, closeBacking: () => undefined, invalidateNode: () => Promise.resolve(),
      invalidateEntry: () => undefined, ...kernel,
    });
  }

  unmount(): void {
    this.fs.destroy();
    this.layer.close();
  }

  /** The node of a path, with one lookup counted; ENOENT where there is none. */
  find(path: string): NodeReply {
    let node: NodeReply = { id: ROOT_ID, generation: 0, stat: this.fs.getattr(ROOT_ID) };
    for (const name of path.split('/').filter((part) => part !== '')) {
      let next: NodeReply | undefined;
      try {
        next = this.fs.lookup(this.caller, node.id, nameFromText(name));
      } finally {
        this.#forget(node.id);
      }
      if (next === undefined) throw new FsError('ENOENT', `no ${path}`);
      node = next;
    }
    return node;
  }

  /** Calls `use` with a path's node. */
  at<T>(path: string, use: (id: number) => T): T {
    const { id } = this.find(path);
    try {
      return use(id);
    } finally {
      this.#forget(id);
    }
  }

  in<T>(path: string, use: (parent: number, name: Name) => T): T {
    const cut = path.lastIndexOf('/');
    return this.at(path.slice(0, Math.max(0, cut)), (parent) => use(parent, nameFromText(path.slice(cut + 1))));
  }

  #made(reply: NodeReply): void {
    this.#forget(reply.id);
  }

  #forget(id: number): void {
    if (!this.#remembers) this.fs.forget(id, 1);
    else if (this.#remembered.push(id) > 500) for (const gone of this.#remembered.splice(0, 250)) this.fs.forget(gone, 1);
  }

  stat(path: string): Stat {
    return this.at(path, (id) => this.fs.getattr(id));
  }

  exists(path: string): boolean {
    try {
      this.stat(path);
      return true;
    } catch (error) {
      if (error instanceof FsError && error.code === 'ENOENT') return false;
      throw error;
    }
  }

  names(path: string): string[] {
    return this.at(path, (id) => {
      const { handle } = this.fs.opendir(this.caller, id);
      const names: string[] = [];
      this.fs.readdir(id, handle, 0, ({ name }) => names.push(name) > 0);
      this.fs.releasedir(id, handle);
      return names.filter((name) => name !== '.' && name !== '..').sort();
    });
  }

  read(path: string): string {
    return this.at(path, (id) => {
      const { handle } = this.fs.open(this.caller, id, O_RDONLY, { exec: false, killPrivileges: false }) as { handle: number };
      const into = Buffer.alloc(1 << 20);
      const length = this.fs.read(id, handle, 0, into) as number;
      this.fs.release(id, handle);
      return into.latin1Slice(0, length);
    });
  }

  /** Writes into an existing file. */
  write(path: string, data: string, how: { offset?: number; truncate?: boolean } = {}): void {
    this.at(path, (id) => {
      const flags = O_WRONLY | (how.truncate === true ? O_TRUNC : 0);
      const { handle } = this.fs.open(this.caller, id, flags, { exec: false, killPrivileges: false }) as { handle: number };
      this.fs.write(id, handle, how.offset ?? 0, Buffer.from(data, 'latin1'), { killPrivileges: false, fromCache: false });
      this.fs.release(id, handle);
    });
  }

  create(path: string, data = '', mode = 0o644): void {
    this.in(path, (parent, name) => {
      const reply = this.fs.create(this.caller, parent, name, O_WRONLY, { mode, umask: 0 });
      this.fs.write(reply.id, reply.open.handle, 0, Buffer.from(data, 'latin1'), { killPrivileges: false, fromCache: false });
      this.fs.release(reply.id, reply.open.handle);
      this.#made(reply);
    });
  }

  mkdir(path: string, mode = 0o755): void {
    this.in(path, (parent, name) => this.#made(this.fs.mkdir(this.caller, parent, name, { mode, umask: 0 })));
  }

  symlink(target: string, path: string): void {
    this.in(path, (parent, name) => this.#made(this.fs.symlink(this.caller, parent, name, nameFromText(target))));
  }

  link(from: string, to: string): void {
    this.at(from, (id) => this.in(to, (parent, name) => this.#made(this.fs.link(this.caller, id, parent, name) as NodeReply)));
  }

  unlink(path: string): void {
    this.in(path, (parent, name) => this.fs.unlink(this.caller, parent, name));
  }

  rmdir(path: string): void {
    this.in(path, (parent, name) => this.fs.rmdir(this.caller, parent, name));
  }

  rename(from: string, to: string, flags = 0): void {
    this.in(from, (parent, name) => this.in(to, (newParent, newName) => this.fs.rename(this.caller, parent, name, newParent, newName, flags)));
  }

  set(path: string, change: AttributeChange): void {
    this.at(path, (id) => this.fs.setattr(this.caller, id, change));
  }

  setXattr(path: string, name: string, value: string): void {
    this.at(path, (id) => this.fs.setxattr(this.caller, id, name, Buffer.from(value), 0, { killSetgid: false }));
  }

  getXattr(path: string, name: string): string {
    return this.at(path, (id) => this.fs.getxattr(id, name).toString('latin1'));
  }

  /** Everything the union shows, a line a path; checks the invariants, and that readdir, readdirplus and lookup agree. */
  dump(): string[] {
    const lines: string[] = [];
    const inodes = new Map<number, string>();
    const visit = (path: string): void => {
      const stat = this.stat(path);
      const xattrs = this.at(path, (id) => this.fs.listxattr(id).sort().map((name) => `${name}=${this.fs.getxattr(id, name).toString('latin1')}`));
      const content = isRegular(stat) ? this.read(path) : isSymlink(stat) ? this.at(path, (id) => this.fs.readlink(id)) : '';
      lines.push(line(path, stat, content, xattrs, inodes, String(stat.ino)));
      if (!isDirectory(stat)) return;
      const plus = new Map<string, number>();
      this.at(path, (id) => {
        const { handle } = this.fs.opendir(this.caller, id);
        this.fs.readdirplus(id, handle, 0, (entry, node) => {
          plus.set(entry.name, entry.ino);
          if (node !== undefined) this.#forget(node.id);
          return true;
        });
        this.fs.readdir(id, handle, 0, ({ name, ino }) => {
          if (plus.get(name) !== ino) throw new Error(`${path}/${name}: readdir says inode ${ino}, readdirplus ${plus.get(name)}`);
          plus.delete(name);
          return true;
        });
        this.fs.releasedir(id, handle);
        if (plus.size > 0) throw new Error(`${path}: readdirplus has ${[...plus.keys()].join()} more`);
      });
      for (const name of this.names(path)) visit(path === '' ? name : `${path}/${name}`);
    };
    visit('');
    this.fs.check();
    return lines;
  }
}

function line(path: string, stat: Stat, content: string, xattrs: string[], inodes: Map<number | string, string>, identity: string): string {
  const parts = [path, ((stat.mode & S_IFMT) >> 12).toString(8), (stat.mode & PERMISSIONS).toString(8), `${stat.uid}:${stat.gid}`, ...xattrs];
  if (path === '') return parts[1];
  if (!isDirectory(stat)) {
    parts.push(`nlink=${stat.nlink}`, `size=${stat.size}`, `content=${content}`);
    if (stat.nlink > 1) {
      if (!inodes.has(identity)) inodes.set(identity, path);
      parts.push(`inode of ${inodes.get(identity)}`);
    }
  }
  return parts.join(' ');
}

/** The same lines for a layer. */
export function dumpLayer(layer: Layer<unknown>): string[] {
  const lines: string[] = [];
  const inodes = new Map<string, string>();
  const visit = (node: unknown, path: string): void => {
    const stat = layer.stat(node);
    let content = isSymlink(stat) ? layer.readlink(node) : '';
    if (isRegular(stat)) {
      const fd = layer.open(node);
      const into = Buffer.alloc(1 << 20);
      content = into.latin1Slice(0, preadFull(fd, into, 0, into.length, 0));
      close(fd);
    }
    const xattrs = layer.listXattr(node).sort().map((name) => `${name}=${layer.getXattr(node, name)?.toString('latin1')}`);
    lines.push(line(path, stat, content, xattrs, inodes, layer.identity(node)));
    if (isDirectory(stat)) {
      for (const entry of layer.list(node).sort((a, b) => (a.name < b.name ? -1 : 1))) visit(entry.node, path === '' ? entry.name : `${path}/${entry.name}`);
    }
  };
  visit(layer.root, '');
  return lines;
}

export function dumpDirectory(path: string): string[] {
  const layer = new DirectoryStack([nameFromText(path)]);
  try {
    return dumpLayer(layer);
  } finally {
    layer.close();
  }
}

/** What the scratch shows without a mount. */
export function dumpMerged(scratch: Pick<Scratch, 'lower' | 'upper' | 'work'>, lowers: readonly string[] = [scratch.lower]): string[] {
  const lower = new DirectoryStack(lowers.map(nameFromText));
  const merged = new MergedLayer({ lower, upper: { directory: nameFromText(scratch.upper), work: nameFromText(scratch.work) } });
  try {
    return dumpLayer(merged);
  } finally {
    merged.close();
    lower.close();
  }
}
