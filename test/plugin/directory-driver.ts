import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ChangeKind, CreateOptions, GraphDriver, InitOptions } from '../../src/plugin/graph-driver.ts';

interface Change {
  path: Buffer;
  kind: ChangeKind;
}

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * An example of a graph driver, the simplest there is: a layer is a directory which has all of its tree, copied from its parent's (Docker's "vfs" is such). It needs GNU
 * cp and tar. What begins with a dot in its directory is being made or removed; ids never do.
 *
 * Left out for brevity: limits, ids shown as others (`--userns-remap`), hard links of an archive to files of the parent, names that aren't UTF-8.
 */
export class DirectoryDriver implements GraphDriver {
  readonly #root: string;
  #scratch = 0;

  constructor(root: string) {
    this.#root = root;
  }

  async init(_options: InitOptions): Promise<void> {
    for (const name of fs.readdirSync(this.#root)) if (name.startsWith('.')) fs.rmSync(join(this.#root, name), { recursive: true });
  }

  /** An archive made by `diff` isn't the one a layer was made from: Docker keeps what it needs to make that again. */
  capabilities(): { reproducesExactDiffs: boolean } {
    return { reproducesExactDiffs: false };
  }

  async create(id: string, { parent, storageOptions }: CreateOptions): Promise<void> {
    for (const option of Object.keys(storageOptions)) throw new Error(`Unknown option ${option}`);
    if (fs.existsSync(join(this.#root, id))) throw new Error(`Cannot create layer "${id}": there is one of that id`);
    const aside = this.#aside();
    if (parent === undefined) fs.mkdirSync(aside, { mode: 0o755 });
    else await run('cp', ['-a', this.#tree(parent), aside]);
    fs.renameSync(aside, join(this.#root, id));
  }

  async createReadWrite(id: string, options: CreateOptions): Promise<void> {
    await this.create(id, options);
  }

  async remove(id: string): Promise<void> {
    const aside = this.#aside();
    try {
      fs.renameSync(join(this.#root, id), aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    await fs.promises.rm(aside, { recursive: true });
  }

  /** Nothing is mounted, so nothing is counted. */
  async get(id: string): Promise<string> {
    return this.#tree(id);
  }

  async put(): Promise<void> {}

  async exists(id: string): Promise<boolean> {
    return fs.existsSync(join(this.#root, id));
  }

  async status(): Promise<[string, string][]> {
    return [['Root Dir', this.#root]];
  }

  async metadata(id: string): Promise<Record<string, string>> {
    return { Directory: this.#tree(id) };
  }

  async cleanup(): Promise<void> {}

  async diff(id: string, parent: string | undefined): Promise<AsyncIterable<Buffer>> {
    return this.#pack(this.#tree(id), await this.changes(id, parent));
  }

  async changes(id: string, parent: string | undefined): Promise<Change[]> {
    return compare(parent === undefined ? undefined : Buffer.from(this.#tree(parent)), Buffer.from(this.#tree(id)));
  }

  async applyDiff(id: string, _parent: string | undefined, archive: AsyncIterable<Buffer>): Promise<number> {
    const tree = this.#tree(id);
    const aside = this.#aside();
    fs.mkdirSync(aside);
    try {
      await run('tar', ['-x', '--numeric-owner', '-p', '-C', aside], archive);
      const size = sizeOf(aside, fs.readdirSync(aside, { recursive: true, encoding: 'utf8' }));
      prepare(aside, tree);
      await run('cp', ['-a', '--remove-destination', `${aside}/.`, tree]);
      return size;
    } finally {
      fs.rmSync(aside, { recursive: true });
    }
  }

  async diffSize(id: string, parent: string | undefined): Promise<number> {
    const changed = (await this.changes(id, parent)).filter(({ kind }) => kind !== 'deleted');
    return sizeOf(this.#tree(id), changed.map(({ path }) => path.toString()));
  }

  /** Where a layer's tree is; an error where there is no such layer. */
  #tree(id: string): string {
    const path = join(this.#root, id);
    if (!fs.existsSync(path)) throw new Error(`Cannot find layer "${id}"`);
    return path;
  }

  #aside(): string {
    return join(this.#root, `.${process.pid}-${++this.#scratch}`);
  }

  /** What was deleted stands in a layer's archive as an empty file: ".wh.<name>". Where nothing changed the archive is 1024 zero bytes, by which Docker knows such layers. */
  async *#pack(tree: string, changes: readonly Change[]): AsyncGenerator<Buffer> {
    const aside = this.#aside();
    fs.mkdirSync(`${aside}/deleted`, { recursive: true });
    try {
      const deleted = changes.filter(({ kind }) => kind === 'deleted').map(({ path }) => path.toString().replace(/[^/]+$/, `${WHITEOUT}$&`));
      for (const path of deleted) {
        fs.mkdirSync(join(aside, 'deleted', path, '..'), { recursive: true });
        fs.writeFileSync(join(aside, 'deleted', path), '');
      }
      const list = (name: string, paths: readonly (string | Buffer)[]): string => {
        fs.writeFileSync(join(aside, name), Buffer.concat(paths.map((path) => Buffer.concat([Buffer.from('.'), Buffer.from(path), Buffer.of(0)]))));
        return join(aside, name);
      };
      const there = changes.filter(({ kind }) => kind !== 'deleted').map(({ path }) => path);
      yield* output('tar', [
        '-c', '--format=pax', '--blocking-factor=1', '--numeric-owner', '--no-recursion', '--null', '--verbatim-files-from',
        '-C', tree, '-T', list('there', there), '-C', join(aside, 'deleted'), '-T', list('gone', deleted),
      ]);
    } finally {
      fs.rmSync(aside, { recursive: true });
    }
  }
}

/** What leads from one directory to another, sorted by path. A directory in which something changed has changed too, as Docker has it. */
function compare(before: Buffer | undefined, after: Buffer, path: Buffer = Buffer.from('/')): Change[] {
  const changes: Change[] = [];
  const names = (directory: Buffer | undefined): Buffer[] => (directory === undefined ? [] : fs.readdirSync(directory, { encoding: 'buffer' }));
  const all = new Map([...names(before), ...names(after)].map((name) => [name.toString('latin1'), name]));
  const below = (directory: Buffer, name: Buffer): Buffer => Buffer.concat([directory, Buffer.from(directory.at(-1) === 0x2f ? '' : '/'), name]);
  for (const [, name] of [...all].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const at = below(path, name);
    const [old, now] = [before, after].map((directory) => (directory === undefined ? undefined : fs.lstatSync(below(directory, name), { throwIfNoEntry: false })));
    if (now === undefined) {
      changes.push({ path: at, kind: 'deleted' });
      continue;
    }
    const inside = now.isDirectory() ? compare(old?.isDirectory() === true && before !== undefined ? below(before, name) : undefined, below(after, name), at) : [];
    if (old === undefined) changes.push({ path: at, kind: 'added' });
    else if (differ(old, now) || inside.length > 0) changes.push({ path: at, kind: 'modified' });
    changes.push(...inside);
  }
  return changes;
}

function differ(old: fs.Stats, now: fs.Stats): boolean {
  const told = ({ mode, uid, gid, rdev, size, mtimeMs }: fs.Stats, directory: boolean): unknown[] => [mode, uid, gid, rdev, ...(directory ? [] : [size, mtimeMs])];
  return told(old, old.isDirectory()).join() !== told(now, now.isDirectory()).join();
}

/** Makes way in a layer for what an archive has: what it deletes goes, and what is of another type. */
function prepare(from: string, to: string): void {
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const there = fs.lstatSync(join(to, entry.name), { throwIfNoEntry: false });
    if (entry.name === OPAQUE) for (const name of fs.readdirSync(to)) fs.rmSync(join(to, name), { recursive: true });
    else if (entry.name.startsWith(WHITEOUT)) fs.rmSync(join(to, entry.name.slice(WHITEOUT.length)), { recursive: true, force: true });
    else if (there?.isDirectory() === true && entry.isDirectory()) prepare(join(from, entry.name), join(to, entry.name));
    else if (there !== undefined) fs.rmSync(join(to, entry.name), { recursive: true });
    if (entry.name.startsWith(WHITEOUT)) fs.rmSync(join(from, entry.name));
  }
}

function sizeOf(tree: string, paths: readonly string[]): number {
  return paths.map((path) => fs.lstatSync(join(tree, path))).reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
}

async function run(command: string, args: readonly string[], input: AsyncIterable<Buffer> = Readable.from([])): Promise<void> {
  const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'] });
  const ended = once(child, 'close');
  let words = '';
  child.stderr.on('data', (text: Buffer) => (words += String(text)));
  try {
    await pipeline(Readable.from(input), child.stdin);
  } catch (error) {
    // A command stops reading when it fails, and says why, or where the archive ends, before its padding does; any other failure is the input's.
    if (!['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes((error as NodeJS.ErrnoException).code ?? '')) {
      child.kill();
      await ended;
      throw error;
    }
  }
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new Error(`${command}: ${words.trim()}`);
}

async function* output(command: string, args: readonly string[]): AsyncGenerator<Buffer> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  let words = '';
  child.stderr.on('data', (text: Buffer) => (words += String(text)));
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const [code] = (await ended) as [number | null];
    if (code !== 0) throw new Error(`${command}: ${words.trim()}`);
  } finally {
    child.kill();
  }
}
