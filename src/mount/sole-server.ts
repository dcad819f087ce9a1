import { fstatSync, openSync, rmSync, statSync } from 'node:fs';
import { hasCode } from '../../fs/errno.ts';
import { flock, LOCK_EX, LOCK_NB } from '../../fs/host/file.ts';
import type { Logger } from '../log.ts';
import { Mounter } from './mounter.ts';

/** How a process ends that found another one serving. */
export const ANOTHER_SERVES = 3;

/**
 * Makes this process the one that serves mounts where `lock` is, until `serve` is done or a signal comes; then nothing of it is mounted. It ends at once where another one
 * has the lock. Standard error has to be the log file: what ends a process is told there.
 */
export async function asSoleServer({ lock, logFile }: { lock: string; logFile: string }, serve: (mounter: Mounter, log: Logger) => Promise<void>): Promise<void> {
  // Two clients that found nobody may have started one each. The kernel ends the lock with the process.
  if (!isLocked(lock)) process.exit(ANOTHER_SERVES);
  process.once('exit', () => rmSync(lock, { force: true }));
  const mounter = new Mounter((message) => log.error(message), { store: false });
  // It takes as long as all else here: the first client needn't wait for it then.
  mounter.start();
  const log = (await import('../log.ts')).fileLogger(logFile);
  process.on('warning', (warning) => log.warn({ err: warning }, 'warning'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void mounter.close().then(() => process.exit(0)));
  process.on('SIGHUP', () => undefined);

  await serve(mounter, log);
  await mounter.close();
}

/** Locks a file for as long as this process lives; false where another one has it, or has just removed it. */
function isLocked(path: string): boolean {
  try {
    const fd = openSync(path, 'w', 0o600);
    flock(fd, LOCK_EX | LOCK_NB);
    return statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino;
  } catch (error) {
    if (!hasCode(error, 'EAGAIN', 'EWOULDBLOCK')) throw error;
    return false;
  }
}
