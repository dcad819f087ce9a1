import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { createGunzip, createGzip, type Gunzip } from 'node:zlib';
import { UfsError } from '../errors.ts';

export type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** Bytes that decide: the longest magic number, and a whole skippable zstd frame header. */
const MAGIC_LENGTH = 10;

/** What the first bytes say; shorter than the magic numbers is decided on what there is. */
export function compressionOf(start: Buffer): Compression {
  const starts = (...magic: number[]): boolean => start.length >= magic.length && magic.every((byte, index) => start[index] === byte);
  if (starts(0x1f, 0x8b, 0x08)) return 'gzip';
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (start.length >= 8 && (start.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd';
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return 'xz';
  if (starts(0x42, 0x5a, 0x68)) return 'bzip2';
  return 'none';
}

/**
 * Recognises how a stream is compressed and undoes it, once. What is damaged or cut off is often only seen at its end: nothing may be believed before
 * `stream` has ended without an error.
 */
export async function decompress(source: AsyncIterable<Buffer>): Promise<{ compression: Compression; stream: AsyncIterable<Buffer> }> {
  const chunks = source[Symbol.asyncIterator]();
  const head: Buffer[] = [];
  let length = 0;
  while (length < MAGIC_LENGTH) {
    const next = await chunks.next();
    if (next.done) break;
    head.push(next.value);
    length += next.value.length;
  }
  const start = Buffer.concat(head);
  const compression = compressionOf(start);
  const whole = rejoin(start, chunks);
  return { compression, stream: compression === 'none' ? whole : compression === 'gzip' ? gunzip(whole) : throughTool(compression, whole) };
}

async function* rejoin(start: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (start.length > 0) yield start;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/** Bytes of a piece that comes out of zlib. */
const PIECE = 256 * 1024;

async function* gunzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const inflater = createGunzip({ chunkSize: PIECE });
  let sourceError: unknown;
  const feeding = feed(untilPadding(source, inflater), inflater);
  feeding.catch((error: unknown) => { sourceError = error; });
  try {
    for await (const piece of inflater) yield piece as Buffer;
    await feeding;
  } catch (error) {
    throw sourceError ?? damaged('gzip', error);
  } finally {
    inflater.destroy();
    await feeding.catch(() => undefined);
  }
}

/**
 * zlib stops at zeros behind the last member, which are padding, and looks no further, so all that follows has to be looked at here. A chunk is asked for
 * when the one before it has been taken.
 */
async function* untilPadding(source: AsyncIterable<Buffer>, inflater: Gunzip): AsyncGenerator<Buffer> {
  let total = 0;
  let ended = false;
  for await (const chunk of source) {
    let tail = chunk;
    if (!ended) {
      yield chunk;
      total += chunk.length;
      const left = total - inflater.bytesWritten;
      ended = left > 0;
      tail = chunk.subarray(chunk.length - left);
    }
    if (ended && tail.some((byte) => byte !== 0)) throw new UfsError('UFS_ARCHIVE_INVALID', 'Cannot decompress gzip: garbage after its end');
  }
}

/** Writes a source into a stream, a chunk when the one before has been taken; a source's error destroys the stream with it. */
async function feed(source: AsyncIterable<Buffer>, target: Writable): Promise<void> {
  try {
    for await (const chunk of source) if (!(await written(target, chunk))) return;
    target.end();
  } catch (error) {
    target.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

/** False where the stream takes nothing more. Its own error is for whoever reads it. */
function written(target: Writable, chunk: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const closed = (): void => resolve(false);
    target.once('close', closed);
    target.write(chunk, (error) => {
      target.removeListener('close', closed);
      resolve(error === null || error === undefined);
    });
  });
}

/**
 * What Node has no decompressor for is done by the system's own tool, by absolute path and with nothing of our environment: it verifies checksums, reads all
 * frames and streams, and its memory is limited to what the formats' ordinary levels need.
 */
const TOOLS = {
  zstd: { path: '/usr/bin/zstd', arguments: ['-d', '-c', '-q', '--no-progress', '--memory=128MiB'], package: 'zstd' },
  xz: { path: '/usr/bin/xz', arguments: ['--format=xz', '-d', '-c', '-q', '-T1', '--memlimit-decompress=256MiB'], package: 'xz-utils' },
  bzip2: { path: '/usr/bin/bzip2', arguments: ['-d', '-c', '-q'], package: 'bzip2' },
} as const;

async function* throughTool(compression: keyof typeof TOOLS, source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const tool = TOOLS[compression];
  if (!existsSync(tool.path)) throw new UfsError('UFS_TOOL_MISSING', `Cannot decompress ${compression}: ${tool.path} is missing (package ${tool.package})`);
  const child = spawn(tool.path, tool.arguments, { stdio: ['pipe', 'pipe', 'pipe'], env: { LC_ALL: 'C' }, cwd: '/' });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => { complaint = (complaint + text.toString()).slice(0, 1000); });
  const exited = new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(code === 0 ? undefined : complaint.trim() || `${tool.path} ended with ${signal ?? `status ${code}`}`));
  });
  // The tool may end before it has read everything; its status says why.
  child.stdin.on('error', () => undefined);
  let sourceError: unknown;
  const feeding = feed(source, child.stdin).catch((error: unknown) => { sourceError = error; });
  try {
    for await (const piece of child.stdout) yield piece as Buffer;
    const failure = await exited;
    if (failure === undefined) await feeding;
    if (sourceError !== undefined) throw sourceError;
    if (failure !== undefined) throw damaged(compression, new Error(failure));
  } finally {
    child.kill('SIGKILL');
    child.stdin.destroy();
  }
}

function damaged(compression: Compression, error: unknown): UfsError {
  if (error instanceof UfsError) return error;
  return new UfsError('UFS_ARCHIVE_INVALID', `Cannot decompress ${compression}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

/** Compresses; the same bytes always give the same bytes. */
export async function* gzip(source: AsyncIterable<Buffer>, level = 6): AsyncGenerator<Buffer> {
  const deflater = createGzip({ level, chunkSize: PIECE });
  const feeding = feed(source, deflater);
  feeding.catch(() => undefined);
  try {
    for await (const piece of deflater) yield piece as Buffer;
    await feeding;
  } finally {
    deflater.destroy();
  }
}
