import { createHash } from 'node:crypto';
import { closeSync, constants, fchmodSync, openSync, readFileSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import type { ObjectKey } from '../tree/entry.ts';
import { objectKey } from './directory-object.ts';
import { FILE_MODE, writeAll } from './durable.ts';

/**
 * A layer's file `objects`: all objects it made, so that the index can be made anew without reading the archive again.
 * First a line of text, then for each object u32 length and its bytes, in the end the sha256 of all before.
 */
const HEADER = Buffer.from('ufs objects 1\n');
const HASH_SIZE = 32;
/** Bytes gathered for one write. */
const PIECE_SIZE = 1 << 20;

function* pieces(objects: ReadonlyMap<ObjectKey, Buffer>): Generator<Buffer> {
  const hash = createHash('sha256');
  let waiting: Buffer[] = [HEADER];
  let size = 0;
  for (const bytes of objects.values()) {
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(bytes.length);
    waiting.push(length, bytes);
    size += bytes.length;
    if (size < PIECE_SIZE) continue;
    const piece = Buffer.concat(waiting);
    hash.update(piece);
    yield piece;
    waiting = [];
    size = 0;
  }
  const last = Buffer.concat(waiting);
  yield last;
  yield hash.update(last).digest();
}

export function encodeObjects(objects: ReadonlyMap<ObjectKey, Buffer>): Buffer {
  return Buffer.concat([...pieces(objects)]);
}

/** Writes the file; the caller syncs it. */
export function writeObjects(path: string, objects: ReadonlyMap<ObjectKey, Buffer>): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, FILE_MODE);
  try {
    fchmodSync(fd, FILE_MODE);
    for (const piece of pieces(objects)) writeAll(fd, piece);
  } finally {
    closeSync(fd);
  }
}

/** Throws UFS_LAYER_DAMAGED where the file is missing or isn't what was written. */
export function readObjects(path: string): Map<ObjectKey, Buffer> {
  let data: Buffer;
  try {
    data = readFileSync(path);
  } catch (cause) {
    throw new UfsError('UFS_LAYER_DAMAGED', `Cannot read the objects of a layer, ${path}: ${(cause as Error).message}`, { cause });
  }
  const end = data.length - HASH_SIZE;
  if (end < HEADER.length || !createHash('sha256').update(data.subarray(0, end)).digest().equals(data.subarray(end)) || !data.subarray(0, HEADER.length).equals(HEADER)) {
    throw new UfsError('UFS_LAYER_DAMAGED', `Cannot read the objects of a layer, ${path}: it has changed since it was written`);
  }
  const objects = new Map<ObjectKey, Buffer>();
  for (let offset = HEADER.length; offset < end; ) {
    const start = offset + 4;
    offset = start + data.readUInt32LE(offset);
    const bytes = data.subarray(start, offset);
    objects.set(objectKey(bytes), bytes);
  }
  return objects;
}
