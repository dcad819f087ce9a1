import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, copyFileSync, fstatSync, ftruncateSync, linkSync, lstatSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import type { Content } from '../tree/change.ts';
import type { ContentSink, ContentSource, ContentWriter, Entry } from '../tree/entry.ts';
import { FILE_MODE, makeDirectory, writeAll } from './durable.ts';
import { contentDirectory, contentPath } from './paths.ts';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const ZEROS = Buffer.alloc(1 << 16);

function isElf(data: Buffer): boolean {
  return data.length >= 4 && data[0] === 0x7f && data[1] === 0x45 && data[2] === 0x4c && data[3] === 0x46;
}

/** Opens a file of a content directory: a symlink, fifo or device put there in its stead is refused. */
export function openContent(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, READ);
  } catch (cause) {
    throw new UfsError('UFS_CONTENT_MISSING', `Cannot open content ${path}: ${(cause as Error).message}`, { cause });
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new UfsError('UFS_CONTENT_DAMAGED', `Cannot open content ${path}: not a regular file`);
}

/** The content directory of one layer, to read. */
export class LayerContent implements ContentSource {
  readonly #directory: string;

  constructor(layerDirectory: string) {
    this.#directory = layerDirectory;
  }

  open(digest: string): number {
    return openContent(contentPath(this.#directory, digest));
  }
}

export interface SinkOptions {
  /** The directory of the layer being made. */
  directory: string;
  /** The directory of another layer that has this content. */
  find(digest: string): string | undefined;
  /** The directory of a layer. */
  layerDirectory(number: number): string;
  /** Called before so many bytes are written; throws where they may not be. */
  take(bytes: number): void;
  /** Whether a layer's content is this store's: another store's isn't linked to, which would change that. */
  isOwn(number: number): boolean;
}

/**
 * The content directory of a layer being made. Nothing is synced here: one syncfs at commit does it for all.
 * Data another layer has is linked, after a look that it is a regular file of that size; where that can't be (gone, EMLINK) the data is stored once more.
 */
export class LayerSink implements ContentSink {
  readonly #options: SinkOptions;
  /** Digests whose file is in this layer. */
  readonly #digests = new Set<string>();
  readonly #own = new Set<string>();
  readonly #directories = new Set<string>();
  #unfinished = 0;
  /** Bytes of data written because no layer had it. */
  ownBytes = 0;

  constructor(options: SinkOptions) {
    this.#options = options;
    makeDirectory(contentDirectory(options.directory));
  }

  /** Digests of the data that was written, not linked. */
  get own(): ReadonlySet<string> {
    return this.#own;
  }

  put(data: Buffer): Content {
    const digest = createHash('sha256').update(data).digest('hex');
    const content = { digest, elf: isElf(data) };
    if (this.#digests.has(digest) || this.#linkKnown(digest, data.length)) return content;
    const path = this.#place(digest);
    this.#options.take(wholeBlocks(data.length));
    storing(data.length, () => writeFile(path, data));
    this.#wrote(digest, data.length);
    return content;
  }

  open(): ContentWriter {
    const path = `${contentDirectory(this.#options.directory)}/unfinished-${++this.#unfinished}`;
    const fd = storing(0, () => openSync(path, NEW_FILE, FILE_MODE));
    return new FileWriter({ fd, path, take: this.#options.take, adopt: (digest, size) => this.#adopt(path, digest, size) });
  }

  share(entry: Entry): Content | undefined {
    const { content, size } = entry;
    if (content === undefined) return undefined;
    if (this.#digests.has(content.digest)) return content;
    const from = contentPath(this.#options.layerDirectory(entry.layer), content.digest);
    if (this.#options.isOwn(entry.layer) && this.#link(from, content.digest, size)) return content;
    closeSync(openContent(from));
    this.#options.take(wholeBlocks(size));
    storing(size, () => copyFileSync(from, this.#place(content.digest), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE));
    this.#wrote(content.digest, size);
    return content;
  }

  /** A file written under a passing name gets its digest's, or goes where that content is known. */
  #adopt(path: string, digest: string, size: number): void {
    if (this.#digests.has(digest) || this.#linkKnown(digest, size)) {
      unlinkSync(path);
      return;
    }
    renameSync(path, this.#place(digest));
    this.#wrote(digest, size);
  }

  #wrote(digest: string, size: number): void {
    this.#digests.add(digest);
    this.#own.add(digest);
    this.ownBytes += size;
  }

  #linkKnown(digest: string, size: number): boolean {
    const directory = this.#options.find(digest);
    return directory !== undefined && this.#link(contentPath(directory, digest), digest, size);
  }

  #link(from: string, digest: string, size: number): boolean {
    try {
      const stat = lstatSync(from);
      if (!stat.isFile() || stat.size !== size) return false;
      linkSync(from, this.#place(digest));
    } catch (error) {
      if (['ENOENT', 'EMLINK', 'EXDEV', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
      throw error;
    }
    this.#digests.add(digest);
    return true;
  }

  #place(digest: string): string {
    const path = contentPath(this.#options.directory, digest);
    const prefix = digest.slice(0, 2);
    if (!this.#directories.has(prefix)) {
      makeDirectory(path.slice(0, path.lastIndexOf('/')));
      this.#directories.add(prefix);
    }
    return path;
  }
}

class FileWriter implements ContentWriter {
  readonly #hash: Hash = createHash('sha256');
  readonly #fd: number;
  readonly #path: string;
  readonly #take: (bytes: number) => void;
  readonly #adopt: (digest: string, size: number) => void;
  #size = 0;
  /** Bytes of the blocks that were written to. */
  #taken = 0;
  #start = Buffer.alloc(0);
  #open = true;

  constructor({ fd, path, take, adopt }: { fd: number; path: string; take: (bytes: number) => void; adopt: (digest: string, size: number) => void }) {
    this.#fd = fd;
    this.#path = path;
    this.#take = take;
    this.#adopt = adopt;
  }

  write(data: Buffer): void {
    if (this.#start.length < 4) this.#start = Buffer.concat([this.#start, data.subarray(0, 4)]);
    this.#hash.update(data);
    const end = this.#size + data.length;
    const blocks = wholeBlocks(end) - Math.max(this.#taken, this.#size - (this.#size % BLOCK));
    this.#taken = wholeBlocks(end);
    this.#take(blocks);
    storing(data.length, () => writeAll(this.#fd, data, this.#size));
    this.#size = end;
  }

  skip(length: number): void {
    if (this.#start.length < 4) this.#start = Buffer.concat([this.#start, ZEROS.subarray(0, Math.min(4, length))]);
    for (let left = length; left > 0; left -= ZEROS.length) this.#hash.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
    this.#size += length;
  }

  finish(): Content {
    const digest = this.#hash.digest('hex');
    storing(this.#size, () => ftruncateSync(this.#fd, this.#size));
    this.#close();
    this.#adopt(digest, this.#size);
    return { digest, elf: isElf(this.#start) };
  }

  abort(): void {
    if (!this.#open) return;
    this.#close();
    unlinkSync(this.#path);
  }

  #close(): void {
    this.#open = false;
    closeSync(this.#fd);
  }
}

/** What a file system gives at least. */
const BLOCK = 4096;

function wholeBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK) * BLOCK;
}

function writeFile(path: string, data: Buffer): void {
  const fd = openSync(path, NEW_FILE, FILE_MODE);
  try {
    writeAll(fd, data);
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(fd);
  }
}

function storing<T>(size: number, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new UfsError('UFS_STORE_WRITE', `Cannot store ${size} bytes of file data: ${(cause as Error).message}`, { cause });
  }
}
