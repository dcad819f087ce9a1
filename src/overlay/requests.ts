import { closeSync, constants, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../../fs/errno.ts';

/** What a mount program was called with, and where it waits for the answer. */
export interface Request {
  cwd: string;
  argv: string[];
  reply: string;
}

/** Takes the requests in a server's place (scripts/ufs-overlay says what they look like). One that is still being written stays: its bell is to come. */
export function takeRequests(place: string): Request[] {
  const names = readdirSync(place).filter((name) => name.endsWith('.words'));
  return names.flatMap((name) => {
    const path = join(place, name);
    const [count, cwd, ...argv] = readFileSync(path, 'utf8').split('\0');
    // Behind the last NUL is nothing.
    if (cwd === undefined || argv.pop() !== '' || argv.length !== Number(count)) return [];
    rmSync(path);
    return [{ cwd, argv, reply: path.replace(/words$/, 'reply') }];
  });
}

/** Answers with lines. Nobody hears it where the mount program was ended meanwhile. */
export function answer({ reply }: Request, lines: readonly string[]): void {
  try {
    const fd = openSync(reply, constants.O_WRONLY | constants.O_NONBLOCK);
    rmSync(reply);
    writeSync(fd, lines.map((line) => `${line.replaceAll('\n', ' ')}\n`).join(''));
    closeSync(fd);
  } catch (error) {
    if (!hasCode(error, 'ENXIO', 'ENOENT', 'EPIPE', 'EAGAIN')) throw error;
    rmSync(reply, { force: true });
  }
}
