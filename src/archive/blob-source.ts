import { createHash } from 'node:crypto';
import { closeSync, constants, createReadStream, fstatSync, openSync, read as readCallback, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hasCode } from '../../fs/errno.ts';
import { nameToText, type Name } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';
import { decompress } from './compression.ts';
import { cleanPath, splitPath } from './member-name.ts';
import { aboutMember, ArchiveReader, type ArchiveMember } from './reader.ts';

/** The files of an image: an OCI layout's directory, or a tar of either kind. Nothing of a tar is ever written under a name it gives. */
export interface BlobSource {
  /** undefined where there is no such file. */
  size(name: Name): number | undefined;
  /** The bytes of a file that `size` knows. */
  open(name: Name): AsyncIterable<Buffer>;
  close(): void;
}

const PIECE = 256 * 1024;
/** Members a tar of an image may have. */
const MEMBERS_MAX = 100_000;

/** A small file whole; throws where it is missing or larger than `max`. */
export async function readSmall(source: BlobSource, name: Name, max: number): Promise<Buffer> {
  const size = source.size(name);
  if (size === undefined) throw new UfsError('UFS_IMAGE_INVALID', `Cannot read the image: "${nameToText(name)}" is missing`);
  if (size > max) throw new UfsError('UFS_IMAGE_INVALID', `Cannot read the image: "${nameToText(name)}" has ${size} bytes, over ${max}`);
  const pieces: Buffer[] = [];
  for await (const piece of source.open(name)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Passes bytes on and fails at the end where they aren't what their digest says. */
export async function* verified(stream: AsyncIterable<Buffer>, expected: { digest: string; size?: number }, what: string): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const piece of stream) {
    hash.update(piece);
    size += piece.length;
    yield piece;
  }
  if (expected.size !== undefined && size !== expected.size) throw new UfsError('UFS_IMAGE_INVALID', `Cannot read ${what}: it has ${size} bytes, not ${expected.size}`);
  const digest = `sha256:${hash.digest('hex')}`;
  if (digest !== expected.digest) throw new UfsError('UFS_IMAGE_INVALID', `Cannot read ${what}: its digest is ${digest}, not ${expected.digest}`);
}

/** An OCI layout's directory. Files are asked for by digest or fixed names only, which are host-safe. */
export class DirectoryBlobs implements BlobSource {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  size(name: Name): number | undefined {
    let fd: number;
    try {
      fd = this.#open(name);
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw error;
    }
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw new UfsError('UFS_IMAGE_INVALID', `Cannot read the image: ${join(this.#directory, name)} isn't a file`);
      return stat.size;
    } finally {
      closeSync(fd);
    }
  }

  async* open(name: Name): AsyncGenerator<Buffer> {
    yield* createReadStream('', { fd: this.#open(name), highWaterMark: PIECE }) as AsyncIterable<Buffer>;
  }

  close(): void {
    // Nothing stays open.
  }

  #open(name: Name): number {
    return openSync(join(this.#directory, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  }
}

const readAsync = promisify(readCallback);

/** A tar on disk, by the names of its members. */
export class TarBlobs implements BlobSource {
  readonly #fd: number;
  readonly #members = new Map<Name, { offset: number; size: number } | { link: Name }>();

  /** `fd` is an uncompressed tar that can be read at any offset; it is closed with this, or where this fails. */
  constructor(fd: number) {
    this.#fd = fd;
    try {
      this.#index();
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  size(name: Name): number | undefined {
    return this.#find(name)?.size;
  }

  async* open(name: Name): AsyncGenerator<Buffer> {
    const { offset, size } = this.#find(name) ?? { offset: 0, size: 0 };
    for (let done = 0; done < size;) {
      const { bytesRead, buffer } = await readAsync(this.#fd, Buffer.allocUnsafe(Math.min(PIECE, size - done)), 0, Math.min(PIECE, size - done), offset + done);
      if (bytesRead === 0) throw new UfsError('UFS_IMAGE_INVALID', `Cannot read "${nameToText(name)}": the archive is cut off`);
      done += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Old `docker save` writes a layer that comes twice as a symlink to the other one: links are followed among the members, nowhere else. */
  #find(name: Name): { offset: number; size: number } | undefined {
    let member = this.#members.get(name);
    for (let hops = 0; member !== undefined && 'link' in member; hops++) {
      if (hops === 40) throw new UfsError('UFS_IMAGE_INVALID', `Cannot read the image: "${nameToText(name)}" is a link that leads nowhere`);
      member = this.#members.get(member.link);
    }
    return member;
  }

  #index(): void {
    let position = 0;
    let chunkStart = 0;
    // Where the reader is in the file: what it has been given but the present chunk, and what of that it has taken.
    const reader = new ArchiveReader({
      member: (member) => {
        this.#add(member, position);
        return false;
      },
      data: () => undefined,
      raw: (bytes) => { position += bytes.length; },
    });
    const chunk = Buffer.allocUnsafe(64 * 1024);
    while (!reader.ended) {
      const count = readSync(this.#fd, chunk, 0, chunk.length, chunkStart);
      if (count === 0) break;
      reader.push(chunk.subarray(0, count));
      chunkStart += count;
      const jump = reader.skippable;
      if (jump > 0) reader.skip(jump);
      chunkStart += jump;
      position += jump;
    }
    reader.finish();
    const { size } = fstatSync(this.#fd);
    if (chunkStart > size) throw new UfsError('UFS_IMAGE_INVALID', 'Cannot read the image: the archive is cut off');
  }

  #add(member: ArchiveMember, offset: number): void {
    try {
      const name = cleanPath(member.name);
      if (member.type === '5') return;
      if (this.#members.size >= MEMBERS_MAX) throw new UfsError('UFS_IMAGE_INVALID', `an image has at most ${MEMBERS_MAX} files`);
      if (member.type === '2') this.#members.set(name, { link: cleanPath(`${splitPath(name)[0]}/${member.linkName}`.replace(/^\//, '')) });
      else if (member.type === '0' && member.sparse === undefined) this.#members.set(name, { offset, size: member.payload });
      else throw new UfsError('UFS_IMAGE_INVALID', `a member of type ${JSON.stringify(member.type)} has no place in an image`);
    } catch (error) {
      throw aboutMember(error, 'read member', member.name);
    }
  }
}

/**
 * A stream's bytes, decompressed, in a file that has no name any more; the descriptor reads it at any offset. For tars that come from a pipe or compressed whole.
 */
export async function spool(stream: AsyncIterable<Buffer>, directory: string, signal?: AbortSignal): Promise<number> {
  const path = join(directory, `image-${process.pid}-${process.hrtime.bigint()}`);
  const fd = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  try {
    for await (const piece of (await decompress(stream)).stream) {
      signal?.throwIfAborted();
      for (let done = 0; done < piece.length;) done += writeSync(fd, piece, done);
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
