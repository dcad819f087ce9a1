import { getSystemErrorMap } from 'node:util';
import { hasCode } from '../../fs/errno.ts';
import type { Io } from '../control/io.ts';
import { type Context, RunInServer } from './context.ts';

/** Tells the user of a failure; the exit code: 2 where the command line makes no sense, else 1. */
export function report(io: Io, error: unknown): number {
  if (io.signal.aborted && (hasCode(error, 'ABORT_ERR') || (error instanceof Error && error.name === 'AbortError'))) io.err('ufs: stopped\n');
  else {
    io.err(`ufs: ${inWords(error instanceof Error ? error.message : String(error))}\n`);
    if (process.env['UFS_DEBUG'] !== undefined && error instanceof Error) io.err(`${error.stack}\n`);
  }
  return hasCode(error, 'UFS_USAGE') ? 2 : 1;
}

/** Does the same to each of several things, as rm(1) does: what fails is reported, and the others are done all the same. */
export async function forEachSubject(context: Context, subjects: readonly string[], action: (subject: string) => Promise<void>): Promise<void> {
  for (const subject of subjects) {
    try {
      await action(subject);
    } catch (error) {
      if (error instanceof RunInServer) throw error;
      context.exitCode = report(context.io, error);
    }
  }
}

const WORDS = new Map([...getSystemErrorMap().values()]);

/** "(ENOENT)" of the file system's errors becomes "(ENOENT: no such file or directory)". */
function inWords(message: string): string {
  return message.replace(/\((E[A-Z0-9]+)\)/g, (all, code: string) => (WORDS.has(code) ? `(${code}: ${WORDS.get(code)})` : all));
}
