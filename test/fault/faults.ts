import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FsError } from '../../fs/errno.ts';
import { type NodeReply, ROOT_ID } from '../../fs/file-system.ts';
import { O_RDONLY } from '../../fs/host/constants.ts';
import { clearUmask } from '../../fs/host/make.ts';
import { nameFromText } from '../../fs/name.ts';
import type { WhiteoutSpelling } from '../../fs/layer/whiteout.ts';
import { isDirectory, isRegular, isSymlink, type Stat } from '../../fs/stat.ts';
import { Driver, dumpDirectory, Scratch } from '../union/driver.ts';
import { type Fault, type FaultKind, withFault } from './host-faults.ts';
import { LOWER, type Operation, prepare } from './operations.ts';

/** What an operation that failed may say: each errno a disk that fills up or breaks gives, in turn. */
const CODES = ['ENOSPC', 'EIO', 'EDQUOT', 'EROFS', 'EINTR'];

/** Calls that change nothing: where only they fail, what was to be done may have been. */
const LOOKS = ['statx', 'openat', 'close'];

interface Held {
  path: string;
  id: number;
  handle: number | undefined;
  content: string | undefined;
}

export interface CaseOptions {
  kind: FaultKind;
  whiteouts: WhiteoutSpelling;
  /** The kernel knows the names, and has the files open. */
  held: boolean;
}

/** Thousands of uppers are made and removed: in memory that is quick. */
const MEMORY = '/dev/shm';

function takesXattrs(directory: string): boolean {
  const path = join(directory, `ufs-probe-${process.pid}`);
  const { status } = spawnSync('/bin/sh', ['-c', 'mkdir "$0" && setfattr -n user.a -v b "$0"; status=$?; rmdir "$0"; exit $status', path]);
  return status === 0;
}

/** One lower, and an upper made anew for each case on it. */
export class FaultBench {
  readonly scratch: Scratch;
  readonly #lower: string[];

  constructor() {
    clearUmask();
    if (takesXattrs(MEMORY)) process.env['TMPDIR'] = MEMORY;
    this.scratch = new Scratch(LOWER);
    this.#lower = dumpDirectory(this.scratch.lower);
  }

  remove(): void {
    assert.deepEqual(dumpDirectory(this.scratch.lower), this.#lower, 'the lower is as it was');
    this.scratch.remove();
  }

  /** Runs an operation with its first host call failing, then its second, until it comes through; the number of calls. */
  run(operation: Operation, options: CaseOptions): number {
    this.#renew(options);
    const { before, after } = this.#outcomes(operation, options);
    for (let at = 1; ; at += 1) {
      this.#renew(options);
      const fault: Fault = { kind: options.kind, at, code: options.kind === 'once' ? CODES[at % CODES.length] : options.kind === 'full' ? 'ENOSPC' : 'EIO' };
      try {
        if (!this.#once(operation, options, fault, before, after)) return at - 1;
      } catch (error) {
        if (error instanceof Error) error.message = `call ${at} fails with ${fault.code}: ${error.message}`;
        throw error;
      }
    }
  }

  #mount(whiteouts: WhiteoutSpelling): Driver {
    const { upper, work } = this.scratch;
    return new Driver(this.scratch, { upper: { directory: nameFromText(upper), work: nameFromText(work), whiteouts, metacopy: true } });
  }

  #renew({ whiteouts }: CaseOptions): void {
    for (const path of [this.scratch.upper, this.scratch.work]) {
      rmSync(path, { recursive: true });
      mkdirSync(path);
    }
    const driver = this.#mount(whiteouts);
    prepare(driver);
    driver.unmount();
  }

  #outcomes(operation: Operation, { whiteouts }: CaseOptions): { before: string[]; after: string[] } {
    const driver = this.#mount(whiteouts);
    const before = look(driver);
    operation.run(driver);
    const after = look(driver);
    driver.unmount();
    return { before, after };
  }

  /** False where the operation has no such call any more. */
  #once(operation: Operation, options: CaseOptions, fault: Fault, before: string[], after: string[]): boolean {
    const descriptors = openDescriptors();
    const driver = this.#mount(options.whiteouts);
    const held = options.held ? hold(driver, operation.names ?? []) : [];
    const { call, error } = withFault(fault, () => operation.run(driver));
    const done = error === undefined;
    if (error !== undefined && call === undefined) throw error;
    if (fault.kind !== 'killed') {
      if (!done) {
        assert(error instanceof FsError, `${call}: ${(error as Error).stack}`);
        assert.equal(error.code, fault.code, `${call} fails: ${error.stack}`);
      }
      const maybe = !done && ((LOOKS.includes(call as string)) || operation.truncates === true);
      const shown = look(driver);
      assertOneOf(shown, done ? [after] : maybe ? [before, after] : [before], `${call} fails, ${done ? 'it is done' : 'it is refused'}`);
      if (!done) assert.deepEqual(readdirSync(join(this.scratch.work, 'work')), [], `${call} fails: nothing is left in the work directory`);
      if (!done && shown.join() === before.join()) for (const { id, handle, content } of held) if (handle !== undefined) assert.equal(readHandle(driver, id, handle), content, 'open files read the same');
      letGo(driver, held);
      driver.fs.check();
    }
    driver.unmount();
    assert.equal(openDescriptors(), descriptors, `${call} fails: all descriptors are closed`);
    this.#again(operation, options, call, { before, after, done: fault.kind === 'killed' ? undefined : done });
    return call !== undefined;
  }

  /** A new mount shows what the old one did, and the operation, if it wasn't done, can be. */
  #again(operation: Operation, { whiteouts }: CaseOptions, call: string | undefined, { before, after, done }: { before: string[]; after: string[]; done: boolean | undefined }): void {
    const driver = this.#mount(whiteouts);
    for (const directory of ['work', 'ufs_index']) {
      const left = readdirSync(join(this.scratch.work, directory)).filter((name) => name.startsWith('#'));
      assert.deepEqual(left, [], 'a new mount sweeps what was being made');
    }
    const shown = look(driver);
    const allowed = done === undefined ? [before, after] : done ? [after] : LOOKS.includes(call as string) || operation.truncates === true ? [before, after] : [before];
    assertOneOf(shown, allowed, `${call} failed, mounted anew`);
    if (shown.join() === before.join() && before.join() !== after.join()) {
      operation.run(driver);
      assertOneOf(look(driver), [after], `${call} failed, done again`);
    }
    driver.unmount();
  }
}

/** All that the union shows, a line a path. Of times only those the lower was given: what is written to gets others each time. */
function look(driver: Driver): string[] {
  const lines: string[] = [];
  const inodes = new Map<number, string>();
  const visit = (id: number, path: string, stat: Stat): void => {
    const xattrs = driver.fs.listxattr(id).sort().map((name) => `${name}=${driver.fs.getxattr(id, name).toString('hex')}`);
    const parts = [path, stat.mode.toString(8), `${stat.uid}:${stat.gid}`, ...xattrs];
    if (!isDirectory(stat)) {
      if (!inodes.has(stat.ino)) inodes.set(stat.ino, path);
      parts.push(`nlink ${stat.nlink}`, `size ${stat.size}`, `inode of ${inodes.get(stat.ino)}`);
      if (stat.mtimeSec < 1_000_000_000) parts.push(`mtime ${stat.mtimeSec}.${stat.mtimeNsec}`);
    }
    if (isSymlink(stat)) parts.push(driver.fs.readlink(id));
    if (isRegular(stat)) parts.push(readFile(driver, id));
    lines.push(parts.join(' '));
    if (!isDirectory(stat)) return;
    const { handle } = driver.fs.opendir(driver.caller, id);
    const children: { name: string; node: NodeReply }[] = [];
    driver.fs.readdirplus(id, handle, 0, ({ name }, node) => {
      if (node !== undefined) children.push({ name, node });
      return true;
    });
    driver.fs.releasedir(id, handle);
    for (const { name, node } of children.sort((a, b) => (a.name < b.name ? -1 : 1))) visit(node.id, `${path}/${name}`, node.stat);
    for (const { node } of children) driver.fs.forget(node.id, 1);
  };
  visit(ROOT_ID, '', driver.fs.getattr(ROOT_ID));
  driver.fs.check();
  return lines;
}

const content = Buffer.alloc(65536);

function readFile(driver: Driver, id: number): string {
  const { handle } = driver.fs.open(driver.caller, id, O_RDONLY, { exec: false, killPrivileges: false }) as { handle: number };
  const length = driver.fs.read(id, handle, 0, content) as number;
  driver.fs.release(id, handle);
  return content.latin1Slice(0, length).replaceAll('\0', '');
}

function assertOneOf(shown: string[], allowed: string[][], what: string): void {
  if (allowed.some((lines) => lines.join('\n') === shown.join('\n'))) return;
  assert.deepEqual(shown, allowed[0], what);
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function hold(driver: Driver, names: string[]): Held[] {
  return names.filter((path) => driver.exists(path)).map((path) => {
    const { id, stat }: NodeReply = driver.find(path);
    if (!isRegular(stat)) return { path, id, handle: undefined, content: undefined };
    const { handle } = driver.fs.open(driver.caller, id, O_RDONLY, { exec: false, killPrivileges: false }) as { handle: number };
    return { path, id, handle, content: readHandle(driver, id, handle) };
  });
}

function readHandle(driver: Driver, id: number, handle: number): string {
  return content.latin1Slice(0, driver.fs.read(id, handle, 0, content) as number);
}

function letGo(driver: Driver, held: Held[]): void {
  for (const { id, handle } of held) {
    driver.fs.getattr(id);
    if (handle !== undefined) driver.fs.release(id, handle);
    driver.fs.forget(id, 1);
  }
}
