import { closeSync, readSync } from 'node:fs';
import { nameToText, type Name } from '../../fs/name.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../fs/stat.ts';
import { UfsError } from '../errors.ts';
import type { Attributes } from '../tree/change.ts';
import { BLOCK, encodeHeader, paddingOf, type HeaderFields } from './header.ts';
import { WHITEOUT_PREFIX } from './member-name.ts';
import { aboutMember } from './reader.ts';

/** One thing to put into a layer archive. Paths are relative to the root, which is "". */
export type PackEntry =
  | { kind: 'whiteout'; path: Name }
  | {
    kind: 'inode';
    path: Name;
    attributes: Attributes;
    /** A path that came before and is the same inode. */
    linkTo?: Name;
    /** Opens a regular file's data; the descriptor is closed here. Needed unless the size is 0 or it is a link. */
    data?: () => { fd: number; size: number };
  };

export interface PackOptions {
  /** Keep the nanoseconds of modification times, in pax headers; else they are cut off, as Docker does. */
  nanoseconds?: boolean;
  /** Keep all xattrs, ACLs too: for what stays in the store. */
  allXattrs?: boolean;
  /** What an archive can't hold and was left out: sockets, some xattrs. */
  skipped?: (path: Name, reason: string) => void;
}

/** Bytes of a piece that comes out. */
const PIECE = 256 * 1024;

/**
 * A layer archive of what `entries` give, in their order, which has to be parents first; the same entries always give the same bytes. What can't be read or
 * said in an archive fails the stream: a layer is never silently short.
 */
export async function* packLayer(entries: Iterable<PackEntry> | AsyncIterable<PackEntry>, options: PackOptions = {}): AsyncGenerator<Buffer> {
  const out = new Pieces();
  for await (const entry of entries) {
    let data: { fd: number; size: number } | undefined;
    try {
      const fields = headerOf(entry, options);
      if (fields === undefined) continue;
      if (entry.kind === 'inode' && fields.type === '0' && entry.attributes.size > 0) data = openData(entry);
      yield* out.add(encodeHeader(fields));
      if (data === undefined) continue;
      for (let offset = 0; offset < data.size;) {
        offset += out.read(data.fd, offset, data.size - offset);
        yield* out.full();
      }
      yield* out.add(Buffer.alloc(paddingOf(data.size)));
    } catch (error) {
      throw aboutMember(error, 'pack', entry.path);
    } finally {
      if (data !== undefined) closeSync(data.fd);
    }
  }
  yield* out.add(Buffer.alloc(2 * BLOCK));
  yield* out.rest();
}

function openData(entry: PackEntry & { kind: 'inode' }): { fd: number; size: number } {
  const { size } = entry.attributes;
  const data = entry.data?.();
  if (data?.size === size) return data;
  if (data !== undefined) closeSync(data.fd);
  throw cannotPack(data === undefined ? 'it has no data' : `its data has ${data.size} bytes, not ${size}`);
}

const TYPES: Readonly<Record<number, string>> = { [S_IFREG]: '0', [S_IFLNK]: '2', [S_IFCHR]: '3', [S_IFBLK]: '4', [S_IFDIR]: '5', [S_IFIFO]: '6' };

function headerOf(entry: PackEntry, options: PackOptions): HeaderFields | undefined {
  const { path } = entry;
  if (`/${path}`.includes(`/${WHITEOUT_PREFIX}`)) throw cannotPack('a name that begins with ".wh." would become a whiteout');
  if (entry.kind === 'whiteout') return whiteout(path);
  const { attributes, linkTo } = entry;
  const type = linkTo === undefined ? TYPES[attributes.mode & S_IFMT] : '1';
  if ((attributes.mode & S_IFMT) === S_IFSOCK) {
    options.skipped?.(path, 'an archive can\'t hold sockets');
    return undefined;
  }
  if (type === undefined) throw cannotPack(`its mode ${attributes.mode.toString(8)} is of no known type`);
  return {
    type,
    name: type === '5' ? `${path === '' ? '.' : path}/` : path,
    linkName: linkTo ?? (type === '2' ? attributes.target : undefined),
    mode: attributes.mode & 0o7777,
    uid: attributes.uid,
    gid: attributes.gid,
    size: type === '0' ? attributes.size : 0,
    mtimeSec: attributes.mtimeSec,
    mtimeNsec: options.nanoseconds ? attributes.mtimeNsec : 0,
    major: type === '3' || type === '4' ? attributes.rdevMajor : 0,
    minor: type === '3' || type === '4' ? attributes.rdevMinor : 0,
    xattrs: packedXattrs(entry, options),
  };
}

/** An empty file whose name says what to hide; like all of them, so that the same layer is the same bytes. */
function whiteout(path: Name): HeaderFields {
  if (path === '') throw cannotPack('the root can\'t be hidden');
  const leaf = path.lastIndexOf('/') + 1;
  return { type: '0', name: `${path.slice(0, leaf)}${WHITEOUT_PREFIX}${path.slice(leaf)}`, mode: 0 };
}

function packedXattrs(entry: PackEntry & { kind: 'inode' }, options: PackOptions): ReadonlyMap<Name, Buffer> | undefined {
  const { xattrs } = entry.attributes;
  if (xattrs.size === 0) return undefined;
  const packed = new Map<Name, Buffer>();
  for (const [name, value] of xattrs) {
    if (options.allXattrs !== true && !isPortable(name)) continue;
    if (name.includes('=')) options.skipped?.(entry.path, `an archive can't hold an xattr with "=" in its name: ${nameToText(name)}`);
    else packed.set(name, value);
  }
  return packed;
}

/** What belongs to the file and not to the host it was on: the same choice as podman's. */
function isPortable(xattr: Name): boolean {
  return xattr === 'security.capability' || xattr === 'security.ima' || (xattr.startsWith('user.') && !xattr.startsWith('user.overlay.'));
}

function cannotPack(reason: string): UfsError {
  return new UfsError('UFS_ARCHIVE_REFUSED', reason);
}

/** Gathers bytes into pieces of `PIECE`. */
class Pieces {
  #buffer = Buffer.allocUnsafe(PIECE);
  #used = 0;

  * add(bytes: Buffer): Generator<Buffer> {
    for (let offset = 0; offset < bytes.length;) {
      const count = bytes.copy(this.#buffer, this.#used, offset);
      offset += count;
      this.#used += count;
      yield* this.full();
    }
  }

  /** Reads from a file what there is room for; the bytes read, `length` at most. */
  read(fd: number, offset: number, length: number): number {
    const count = readSync(fd, this.#buffer, this.#used, Math.min(length, PIECE - this.#used), offset);
    if (count === 0) throw cannotPack(`its data ends at ${offset}, ${length} bytes short`);
    this.#used += count;
    return count;
  }

  * full(): Generator<Buffer> {
    if (this.#used < PIECE) return;
    const piece = this.#buffer;
    this.#buffer = Buffer.allocUnsafe(PIECE);
    this.#used = 0;
    yield piece;
  }

  * rest(): Generator<Buffer> {
    if (this.#used > 0) yield this.#buffer.subarray(0, this.#used);
  }
}
