import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { createGunzip, gzipSync } from 'node:zlib';
import type { ContentSource } from '../tree/entry.ts';
import { UfsError } from '../errors.ts';

/**
 * A recipe is an archive without its files' data: with the data, kept by digest, it gives back the archive byte for byte. The file is gzip (many members); inside:
 *
 *     magic    "ufs recipe 1\n"
 *     'r' u32  bytes                      these bytes
 *     'c' [32] u48 u48                    of the content with this sha256: from this offset, so many bytes
 *     'e' [32] u48                        the end: sha256 and size of the whole archive
 *
 * Numbers are little-endian.
 */
const MAGIC = Buffer.from('ufs recipe 1\n');
const RAW = 0x72;
const CONTENT = 0x63;
const END = 0x65;

/** A part of a content. */
export interface ContentRange {
  digest: string;
  offset: number;
  length: number;
}

/** Uncompressed bytes that become one gzip member. */
const MEMBER = 256 * 1024;
/** Raw bytes are gathered into records of this many at most. */
const RAW_MAX = 64 * 1024;

/** Writes a recipe into a new file while its archive is applied. Memory is bounded; bytes given are copied. */
export class RecipeWriter {
  readonly #path: string;
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(MEMBER);
  #used = 0;
  /** Where the open raw record's length is; -1: none is open. */
  #open = -1;
  #closed = false;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, 'wx', 0o600);
    this.#used = MAGIC.copy(this.#buffer);
  }

  raw(bytes: Buffer): void {
    for (let offset = 0; offset < bytes.length;) {
      if (this.#open !== -1 && this.#used - this.#open - 4 >= RAW_MAX) this.#closeRaw();
      if (this.#open === -1) this.#openRaw();
      const count = Math.min(bytes.length - offset, RAW_MAX - (this.#used - this.#open - 4));
      bytes.copy(this.#buffer, this.#used, offset, offset + count);
      this.#used += count;
      offset += count;
    }
  }

  content(range: ContentRange): void {
    this.#closeRaw();
    this.#reserve(45);
    this.#buffer[this.#used] = CONTENT;
    this.#buffer.write(range.digest, this.#used + 1, 32, 'hex');
    this.#buffer.writeUIntLE(range.offset, this.#used + 33, 6);
    this.#buffer.writeUIntLE(range.length, this.#used + 39, 6);
    this.#used += 45;
  }

  /** Completes the file; syncing it is the caller's business. */
  finish(archive: { sha256: string; size: number }): void {
    this.#closeRaw();
    this.#reserve(39);
    this.#buffer[this.#used] = END;
    this.#buffer.write(archive.sha256, this.#used + 1, 32, 'hex');
    this.#buffer.writeUIntLE(archive.size, this.#used + 33, 6);
    this.#used += 39;
    this.#flush();
    this.#closed = true;
    closeSync(this.#fd);
  }

  /** Leaves no file. Does nothing after `finish`. */
  abort(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
    unlinkSync(this.#path);
  }

  #openRaw(): void {
    this.#reserve(5 + RAW_MAX);
    this.#buffer[this.#used] = RAW;
    this.#open = this.#used + 1;
    this.#used += 5;
  }

  #closeRaw(): void {
    if (this.#open === -1) return;
    this.#buffer.writeUInt32LE(this.#used - this.#open - 4, this.#open);
    this.#open = -1;
  }

  #reserve(length: number): void {
    if (this.#used + length > MEMBER) this.#flush();
  }

  #flush(): void {
    const packed = gzipSync(this.#buffer.subarray(0, this.#used), { level: 1 });
    for (let offset = 0; offset < packed.length;) offset += writeSync(this.#fd, packed, offset);
    this.#used = 0;
  }
}

/** Bytes of a piece that `replay` yields. */
const PIECE = 256 * 1024;

/**
 * The exact archive a recipe was made from. Its size and sha256 are verified: where recipe or content are damaged, the last step is an error instead of the end.
 */
export async function* replay(recipePath: string, source: ContentSource): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let size = 0;
  const seen = (piece: Buffer): Buffer => {
    hash.update(piece);
    size += piece.length;
    return piece;
  };
  let out = Buffer.allocUnsafe(PIECE);
  let used = 0;
  for await (const record of records(recipePath)) {
    if (record.type === 'end') {
      yield seen(out.subarray(0, used));
      if (size !== record.size || hash.digest('hex') !== record.sha256) throw damaged(recipePath, `it gives ${size} bytes that aren't the archive of ${record.size} bytes with sha256 ${record.sha256}`);
      return;
    }
    const content = record.type === 'content' ? new OpenContent(record, source) : undefined;
    const length = record.type === 'content' ? record.length : record.bytes.length;
    try {
      for (let done = 0; done < length;) {
        const count = Math.min(length - done, PIECE - used);
        if (content !== undefined) content.read(out, used, count);
        else if (record.type === 'raw') record.bytes.copy(out, used, done, done + count);
        done += count;
        used += count;
        if (used < PIECE) continue;
        yield seen(out);
        out = Buffer.allocUnsafe(PIECE);
        used = 0;
      }
    } finally {
      content?.close();
    }
  }
  throw damaged(recipePath, 'it is cut off');
}

/** The contents a recipe asks for, in order and as often as it does. */
export async function* recipeContents(recipePath: string): AsyncGenerator<ContentRange> {
  for await (const record of records(recipePath)) if (record.type === 'content') yield record;
}

class OpenContent {
  readonly #fd: number;
  readonly #digest: string;
  #offset: number;

  constructor(range: ContentRange, source: ContentSource) {
    this.#fd = source.open(range.digest);
    this.#digest = range.digest;
    this.#offset = range.offset;
  }

  read(into: Buffer, start: number, length: number): void {
    for (let done = 0; done < length;) {
      const count = readSync(this.#fd, into, start + done, length - done, this.#offset);
      if (count === 0) throw new UfsError('UFS_CONTENT_DAMAGED', `Cannot read content ${this.#digest}: it ends at ${this.#offset}`);
      done += count;
      this.#offset += count;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

type RecipeRecord = { type: 'raw'; bytes: Buffer } | ({ type: 'content' } & ContentRange) | { type: 'end'; sha256: string; size: number };

async function* records(path: string): AsyncGenerator<RecipeRecord> {
  const file = createReadStream(path);
  const inflater = createGunzip({ chunkSize: PIECE });
  file.on('error', (error) => inflater.destroy(error));
  let rest: Buffer = Buffer.alloc(0);
  let started = false;
  try {
    for await (const piece of file.pipe(inflater) as AsyncIterable<Buffer>) {
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      let offset = 0;
      if (!started && bytes.length >= MAGIC.length) {
        if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged(path, 'it isn\'t one of this version');
        started = true;
        offset = MAGIC.length;
      }
      for (let next = started ? recordAt(bytes, offset, path) : undefined; next !== undefined; next = recordAt(bytes, offset, path)) {
        offset = next.end;
        yield next.record;
      }
      rest = bytes.subarray(offset);
    }
  } catch (error) {
    throw error instanceof Error && 'code' in error && String(error.code).startsWith('Z_') ? damaged(path, error.message) : error;
  } finally {
    file.destroy();
    inflater.destroy();
  }
}

function recordAt(bytes: Buffer, offset: number, path: string): { record: RecipeRecord; end: number } | undefined {
  const left = bytes.length - offset;
  switch (left === 0 ? undefined : bytes[offset]) {
    case undefined:
      return undefined;
    case RAW: {
      const end = left < 5 ? Infinity : offset + 5 + bytes.readUInt32LE(offset + 1);
      return end > bytes.length ? undefined : { record: { type: 'raw', bytes: bytes.subarray(offset + 5, end) }, end };
    }
    case CONTENT: {
      if (left < 45) return undefined;
      const range = { digest: bytes.toString('hex', offset + 1, offset + 33), offset: bytes.readUIntLE(offset + 33, 6), length: bytes.readUIntLE(offset + 39, 6) };
      return { record: { type: 'content', ...range }, end: offset + 45 };
    }
    case END:
      if (left < 39) return undefined;
      return { record: { type: 'end', sha256: bytes.toString('hex', offset + 1, offset + 33), size: bytes.readUIntLE(offset + 33, 6) }, end: offset + 39 };
    default:
      throw damaged(path, `it holds a record of unknown type ${bytes[offset]}`);
  }
}

function damaged(path: string, reason: string): UfsError {
  return new UfsError('UFS_RECIPE_DAMAGED', `Cannot read recipe ${path}: ${reason}`);
}
