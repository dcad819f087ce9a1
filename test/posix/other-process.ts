import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import { errnoName, hasCode } from '../../fs/errno.ts';
import { flock, lockHolder, lockRange } from './system.ts';

/** What another process is asked to do with files it opens; `hold`: it keeps the file open under that key. */
export type Request =
  | { do: 'open'; hold: string; path: string; flags: string }
  | { do: 'close'; hold: string }
  | { do: 'flock'; hold: string; operation: number }
  | { do: 'lock'; hold: string; owner: 'process' | 'description'; type: number; start?: number; length?: number }
  | { do: 'holder'; hold: string; type: number; start?: number; length?: number }
  | { do: 'read'; hold: string };

/** 'done', what was asked for, or the errno. */
type Answer = { value: string | number | undefined };

let other: ChildProcess | undefined;

/** Asks another process, one for all cases of this one. The value, or the name of the errno it failed with. */
export async function inOtherProcess(request: Request): Promise<string | number | undefined> {
  other ??= fork(import.meta.filename, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [], env: { ...process.env, NODE_TEST_CONTEXT: '' } });
  const child = other;
  child.ref();
  child.channel?.ref();
  try {
    return await new Promise((resolve, reject) => {
      child.once('message', (answer: Answer) => resolve(answer.value)).once('error', reject);
      child.send(request);
    });
  } finally {
    child.removeAllListeners();
    // It ends with this process, which it doesn't keep from ending.
    child.channel?.unref();
    child.unref();
  }
}

export function otherPid(): number | undefined {
  return other?.pid;
}

/** Ends the other process, so that all its locks go; the next request starts another. */
export async function endOtherProcess(): Promise<void> {
  if (other === undefined) return;
  const ended = new Promise((resolve) => other?.once('exit', resolve));
  other.ref();
  other.kill('SIGKILL');
  await ended;
  other = undefined;
}

function answer(request: Request, held: Map<string, number>): string | number | undefined {
  if (request.do === 'open') {
    held.set(request.hold, fs.openSync(request.path, request.flags));
    return 'done';
  }
  const fd = held.get(request.hold) as number;
  switch (request.do) {
    case 'close':
      held.delete(request.hold);
      fs.closeSync(fd);
      return 'done';
    case 'flock':
      flock(fd, request.operation);
      return 'done';
    case 'lock':
      lockRange(fd, request.owner, request.type, request.start, request.length);
      return 'done';
    case 'holder':
      return lockHolder(fd, request.type, request.start, request.length);
    case 'read':
      return fs.readFileSync(fd, 'latin1');
  }
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  const held = new Map<string, number>();
  process.on('message', (request: Request) => {
    let value: Answer['value'];
    try {
      value = answer(request, held);
    } catch (error) {
      const { errno, code } = error as NodeJS.ErrnoException;
      value = code ?? errnoName(Math.abs(errno ?? 0));
      if (!hasCode(error, value)) throw error;
    }
    process.send?.({ value } satisfies Answer);
  });
}
