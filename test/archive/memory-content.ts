import { createHash } from 'node:crypto';
import { mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyArchive, type AppliedArchive, type ApplyOptions } from '../../src/archive/unpack.ts';
import { RecipeWriter, replay } from '../../src/archive/recipe.ts';
import type { Attributes, Change, Content } from '../../src/tree/change.ts';
import type { ContentSink, ContentSource, ContentWriter, Entry, Tree, TreeReader } from '../../src/tree/entry.ts';
import { S_IFDIR, S_IFMT } from '../../fs/stat.ts';

/** A ContentSink that keeps data in memory, by digest. */
export class MemoryContent implements ContentSink {
  readonly files = new Map<string, Buffer>();
  open_ = 0;

  put(data: Buffer): Content {
    const digest = createHash('sha256').update(data).digest('hex');
    this.files.set(digest, Buffer.from(data));
    return { digest, elf: data.subarray(0, 4).equals(Buffer.from('\x7fELF')) };
  }

  open(): ContentWriter {
    const pieces: Buffer[] = [];
    this.open_++;
    return {
      write: (data) => void pieces.push(Buffer.from(data)),
      skip: (length) => void pieces.push(Buffer.alloc(length)),
      finish: () => {
        this.open_--;
        return this.put(Buffer.concat(pieces));
      },
      abort: () => void this.open_--,
    };
  }

  share(entry: Entry): Content | undefined {
    return entry.content;
  }
}

/** Files of that content on disk, as `replay` reads them. */
export function contentSource(content: MemoryContent, directory: string): ContentSource {
  const written = new Set<string>();
  return {
    open: (digest) => {
      const data = content.files.get(digest);
      if (data === undefined) throw new Error(`no content ${digest}`);
      if (!written.has(digest)) writeFileSync(join(directory, digest), data);
      written.add(digest);
      return openSync(join(directory, digest), 'r');
    },
  };
}

/** A lower tree made of a change without whiteouts. */
export function lowerOf(root: Change): { tree: Tree; reader: TreeReader } {
  const changes = new Map<Entry, Change>();
  const numbers = new Map<object, number>();
  const entryOf = (name: string, change: Change): Entry => {
    const attributes: Attributes = change.inode?.attributes ?? { mode: S_IFDIR | 0o755, uid: 0, gid: 0, size: 0, mtimeSec: 0, mtimeNsec: 0, rdevMajor: 0, rdevMinor: 0, xattrs: new Map() };
    const key = change.inode ?? change;
    if (!numbers.has(key)) numbers.set(key, numbers.size + 1);
    const entry: Entry = { ...attributes, name, layer: 1, inode: numbers.get(key)!, linked: false, ...(change.inode?.content === undefined ? {} : { content: change.inode.content }) };
    changes.set(entry, change);
    return entry;
  };
  const list = (directory: Entry): Entry[] => [...(changes.get(directory)?.children ?? [])].map(([name, child]) => entryOf(name, child));
  return { tree: { root: entryOf('', root), links: new Map() }, reader: { list, lookup: (directory, name) => list(directory).find((entry) => entry.name === name) } };
}

export function chunks(bytes: Buffer, size = 64 * 1024): AsyncIterable<Buffer> {
  return (async function* () {
    for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size);
  })();
}

export async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

export interface Applied extends AppliedArchive {
  content: MemoryContent;
  /** What the recipe gives back. */
  replayed: Buffer;
  warnings: string[];
}

/** Applies an archive into memory and replays its recipe. Where it fails nothing may be left, neither an open file nor the recipe. */
export async function apply(archive: Buffer | AsyncIterable<Buffer>, options: Partial<ApplyOptions> & { chunkSize?: number } = {}): Promise<Applied> {
  const directory = mkdtempSync(join(tmpdir(), 'ufs-archive-'));
  const content = new MemoryContent();
  const warnings: string[] = [];
  try {
    const recipe = join(directory, 'recipe');
    const stream = Buffer.isBuffer(archive) ? chunks(archive, options.chunkSize) : archive;
    let applied: AppliedArchive;
    try {
      applied = await applyArchive(stream, { sink: content, recipe: new RecipeWriter(recipe), warn: (message) => warnings.push(message), ...options });
    } catch (error) {
      if (content.open_ !== 0) throw new Error('a file is left open', { cause: error });
      if (readdirSync(directory).length > 0) throw new Error('a recipe is left behind', { cause: error });
      throw error;
    }
    return { ...applied, content, warnings, replayed: await collect(replay(recipe, contentSource(content, directory))) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const LETTERS: Readonly<Record<string, string>> = { 1: 'p', 2: 'c', 4: 'd', 6: 'b', 8: '-', 10: 'l' };

/** A tree in words, a line a name: "d 755 0:0 a", "- 644 0:0 a/f =data", "w a/gone"; "!" marks what hides. Implicit directories have no attributes. */
export function describe(root: Change, content?: MemoryContent): string[] {
  const lines: string[] = [];
  const visit = (path: string, change: Change): void => {
    const hides = change.hides ? '!' : '';
    if (change.inode !== undefined) {
      const { mode, uid, gid, target, rdevMajor, rdevMinor, size } = change.inode.attributes;
      const letter = LETTERS[(mode & S_IFMT) >> 12];
      const data = change.inode.content === undefined ? undefined : content?.files.get(change.inode.content.digest);
      const tail = target !== undefined ? ` ->${target}` : 'cb'.includes(letter) ? ` ${rdevMajor}:${rdevMinor}` : letter !== '-' ? '' : data !== undefined ? ` =${data.length > 40 ? data.length : data.latin1Slice()}` : size > 0 ? ` ?${size}` : '';
      lines.push(`${letter}${letter === 'd' ? hides : ''} ${(mode & 0o7777).toString(8)} ${uid}:${gid} ${path === '' ? '.' : path}${tail}`);
    } else if (change.children !== undefined) {
      if (path !== '' || hides !== '') lines.push(`i${hides} ${path === '' ? '.' : path}`);
    } else lines.push(`w ${path}`);
    for (const [name, child] of [...(change.children ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) visit(path === '' ? name : `${path}/${name}`, child);
  };
  visit('', root);
  return lines;
}
