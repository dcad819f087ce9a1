import { createWriteStream, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hasCode } from '../../fs/errno.ts';
import { UfsError } from '../errors.ts';
import type { Context } from './context.ts';
import { Progress } from './progress.ts';

/** Writes an archive to a file, which appears only when it is whole, or to standard output (`-` too), but not onto a terminal. */
export async function writeArchive(context: Context, action: string, archive: AsyncIterable<Buffer>, to: string | undefined): Promise<void> {
  const output = to === '-' ? undefined : to;
  const { io } = context;
  if (output === undefined && io.outputTerminal) throw new UfsError('UFS_USAGE', 'Cannot write an archive onto a terminal: give --output, or a pipe');
  const progress = new Progress(io, action);
  const counted = countBytes(archive, io.signal, (done) => progress.update(done));
  try {
    if (output === undefined) for await (const piece of counted) await io.out(piece);
    else await writeFile(resolve(io.cwd, output), counted);
  } finally {
    progress.end();
  }
}

async function* countBytes(archive: AsyncIterable<Buffer>, signal: AbortSignal, report: (done: number) => void): AsyncGenerator<Buffer> {
  let done = 0;
  for await (const piece of archive) {
    signal.throwIfAborted();
    done += piece.length;
    report(done);
    yield piece;
  }
}

/** Writes to a file that appears, or is replaced, only when it is whole; devices and pipes are written to as they are. */
async function writeFile(output: string, archive: AsyncIterable<Buffer>): Promise<void> {
  try {
    const present = statSync(output, { throwIfNoEntry: false });
    if (present !== undefined && !present.isFile()) await pipeline(Readable.from(archive), createWriteStream(output, { flags: 'r+' }));
    else await replaceFile(present === undefined ? output : realpathSync(output), archive);
  } catch (error) {
    // What says a system call is about the output: the archive's own errors are FsError and UfsError.
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    throw new UfsError('UFS_OUTPUT', `Cannot write "${output}": ${hasCode(error, 'ENOENT') ? 'there is no such directory' : hasCode(error, 'EISDIR') ? 'it is a directory' : error.message}`, { cause: error });
  }
}

async function replaceFile(path: string, archive: AsyncIterable<Buffer>): Promise<void> {
  const aside = `${path}.partial-${process.pid}`;
  try {
    await pipeline(Readable.from(archive), createWriteStream(aside, { flags: 'wx', mode: 0o644 }));
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}
