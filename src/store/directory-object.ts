import { createHash } from 'node:crypto';
import type { Name } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';
import type { Entry, ObjectKey } from '../tree/entry.ts';
import { ByteReader, ByteWriter } from './byte-codec.ts';

/**
 * A directory object: one merged directory as bytes, immutable, named by their sha256.
 *
 *     u8 version   u32 count   count × u32 offset of each entry, from the end of this table   entries, in bytewise order of their names
 *
 * The table makes one name's entry reachable by binary search without decoding the others.
 */
const DIRECTORY_VERSION = 0x01;
const LINKS_VERSION = 0x02;
const HEADER = 5;

const LINKED = 1;
const CONTENT = 2;
const ELF = 4;
const OBJECT = 8;
const LINKS_BELOW = 16;
const DEVICE = 32;
const TARGET = 64;
const XATTRS = 128;

const NO_XATTRS: ReadonlyMap<Name, Buffer> = new Map();

export function objectKey(bytes: Buffer): ObjectKey {
  return createHash('sha256').update(bytes).digest('hex') as ObjectKey;
}

function writeEntry(writer: ByteWriter, entry: Entry): void {
  const { content, object, target, xattrs } = entry;
  const device = entry.rdevMajor !== 0 || entry.rdevMinor !== 0;
  writer.name(entry.name);
  writer.byte(
    (entry.linked ? LINKED : 0) | (content ? CONTENT : 0) | (content?.elf ? ELF : 0) | (object ? OBJECT : 0) |
    (entry.linksBelow ? LINKS_BELOW : 0) | (device ? DEVICE : 0) | (target === undefined ? 0 : TARGET) | (xattrs.size > 0 ? XATTRS : 0),
  );
  writer.number(entry.mode);
  writer.number(entry.uid);
  writer.number(entry.gid);
  writer.number(entry.layer);
  writer.number(entry.inode);
  writer.number(entry.size);
  writer.signed(entry.mtimeSec);
  writer.number(entry.mtimeNsec);
  if (content) writer.hex(content.digest);
  if (object) {
    writer.hex(object);
    writer.number(entry.subdirectories ?? 0);
  }
  if (device) {
    writer.number(entry.rdevMajor);
    writer.number(entry.rdevMinor);
  }
  if (target !== undefined) writer.name(target);
  if (xattrs.size === 0) return;
  writer.number(xattrs.size);
  for (const name of [...xattrs.keys()].sort()) {
    writer.name(name);
    writer.bytes(xattrs.get(name) as Buffer);
  }
}

function readEntry(reader: ByteReader): Entry {
  const name = reader.name();
  const flags = reader.byte();
  const entry: Entry = {
    name,
    mode: reader.number(),
    uid: reader.number(),
    gid: reader.number(),
    layer: reader.number(),
    inode: reader.number(),
    linked: (flags & LINKED) !== 0,
    size: reader.number(),
    mtimeSec: reader.signed(),
    mtimeNsec: reader.number(),
    rdevMajor: 0,
    rdevMinor: 0,
    xattrs: NO_XATTRS,
    content: undefined,
    object: undefined,
    subdirectories: undefined,
    linksBelow: (flags & LINKS_BELOW) !== 0,
    target: undefined,
  };
  if (flags & CONTENT) entry.content = { digest: reader.hex(32), elf: (flags & ELF) !== 0 };
  if (flags & OBJECT) {
    entry.object = reader.hex(32) as ObjectKey;
    entry.subdirectories = reader.number();
  }
  if (flags & DEVICE) {
    entry.rdevMajor = reader.number();
    entry.rdevMinor = reader.number();
  }
  if (flags & TARGET) entry.target = reader.name();
  if (flags & XATTRS) entry.xattrs = readXattrs(reader);
  return entry;
}

function readXattrs(reader: ByteReader): ReadonlyMap<Name, Buffer> {
  const xattrs = new Map<Name, Buffer>();
  for (let left = reader.number(); left > 0; left--) {
    const name = reader.name();
    xattrs.set(name, reader.bytes());
  }
  return xattrs;
}

export function encodeEntry(entry: Entry): Buffer {
  const writer = new ByteWriter();
  writeEntry(writer, entry);
  return Buffer.from(writer.view());
}

export function decodeEntry(bytes: Buffer): Entry {
  return decoding('an entry', () => readEntry(new ByteReader(bytes)));
}

const shared = new ByteWriter();

/** The bytes of a directory; the entries stand in bytewise order of their names. */
export function encodeDirectory(entries: readonly Entry[]): Buffer {
  const offsets = new Uint32Array(entries.length);
  shared.reset();
  for (let index = 0; index < entries.length; index++) {
    offsets[index] = shared.length;
    writeEntry(shared, entries[index]);
  }
  const body = shared.view();
  if (body.length > 0xffff_ffff) throw new UfsError('UFS_DIRECTORY_TOO_BIG', `Cannot keep a directory of ${entries.length} entries: over 4 GiB of metadata`);
  const bytes = Buffer.allocUnsafe(HEADER + entries.length * 4 + body.length);
  bytes[0] = DIRECTORY_VERSION;
  bytes.writeUInt32LE(entries.length, 1);
  for (let index = 0; index < entries.length; index++) bytes.writeUInt32LE(offsets[index], HEADER + index * 4);
  body.copy(bytes, HEADER + entries.length * 4);
  return bytes;
}

/** Bytes of memory an entry takes once it is decoded, besides its bytes: an object of 18 fields, its name, and a digest as text (measured in Node 20). */
const ENTRY_MEMORY = 320;

/** A directory object, decoded entry by entry as it is asked. Each entry is made once, so an inode's entry is always the same object. */
export class Directory {
  readonly count: number;
  /** Bytes of memory it takes when all of it is decoded. */
  readonly weight: number;
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #entries: (Entry | undefined)[];
  #complete = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.count = decoding('a directory', () => {
      if (bytes[0] !== DIRECTORY_VERSION) throw new RangeError(`version ${bytes[0]}`);
      return bytes.readUInt32LE(1);
    });
    this.weight = 400 + bytes.length + this.count * ENTRY_MEMORY;
    this.#start = HEADER + this.count * 4;
    this.#entries = new Array(this.count);
  }

  #offset(index: number): number {
    return this.#start + this.#bytes.readUInt32LE(HEADER + index * 4);
  }

  #at(index: number): Entry {
    return (this.#entries[index] ??= decoding('a directory', () => readEntry(new ByteReader(this.#bytes, this.#offset(index)))));
  }

  find(name: Name): Entry | undefined {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = this.#entries[middle]?.name ?? new ByteReader(this.#bytes, this.#offset(middle)).name();
      if (at === name) return this.#at(middle);
      if (at < name) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  /** In bytewise order of the names. */
  entries(): readonly Entry[] {
    if (!this.#complete) {
      for (let index = 0; index < this.count; index++) this.#at(index);
      this.#complete = true;
    }
    return this.#entries as Entry[];
  }
}

/** The link counts of a tree, sorted so that equal ones are equal bytes. */
export function encodeLinks(links: ReadonlyMap<string, number>): Buffer {
  const rows = [...links].map(([key, count]) => [...key.split(':').map(Number), count] as [number, number, number]);
  rows.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const writer = new ByteWriter();
  writer.byte(LINKS_VERSION);
  writer.number(rows.length);
  for (const row of rows) for (const value of row) writer.number(value);
  return Buffer.from(writer.view());
}

export function decodeLinks(bytes: Buffer): Map<string, number> {
  return decoding('link counts', () => {
    const reader = new ByteReader(bytes);
    const version = reader.byte();
    if (version !== LINKS_VERSION) throw new RangeError(`version ${version}`);
    const links = new Map<string, number>();
    for (let left = reader.number(); left > 0; left--) {
      const key = `${reader.number()}:${reader.number()}`;
      links.set(key, reader.number());
    }
    return links;
  });
}

function decoding<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new UfsError('UFS_INDEX_DAMAGED', `Cannot decode ${what} of the index: ${(cause as Error).message}; "ufs check --rebuild" makes the index anew`, { cause });
  }
}
