import { fstatSync, openSync, rmSync, statSync } from 'node:fs';
import type { Logger } from '../log.ts';
import { ANOTHER_SERVES } from './mount-messages.ts';
import type { Mounter } from './mounter.ts';
import { startThread } from './start-thread.ts';

/**
 * Makes this process the one that serves mounts where `lock` is, until `serve` is done or a signal comes; then nothing of it is mounted. It ends at once where another one
 * has the lock. Standard error has to be the log file: what ends a process is told there. Whoever waits for the first mount waits for all that is loaded until then: the
 * serving thread loads its part meanwhile.
 */
export async function asSoleServer({ lock, logFile }: { lock: string; logFile: string }, serve: (mounter: Mounter, log: Logger) => Promise<void>): Promise<void> {
  const thread = startThread({ store: false, trace: false });
  // Two clients that found nobody may have started one each. The kernel ends the lock with the process.
  if (!(await isLocked(lock))) process.exit(ANOTHER_SERVES);
  process.once('exit', () => rmSync(lock, { force: true }));
  const [{ Mounter }, { fileLogger }] = await Promise.all([import('./mounter.ts'), import('../log.ts')]);
  const log = fileLogger(logFile);
  const mounter = new Mounter((message) => log.error(message), { store: false });
  mounter.use(thread);
  process.on('warning', (warning) => log.warn({ err: warning }, 'warning'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void mounter.close().then(() => process.exit(0)));
  process.on('SIGHUP', () => undefined);

  await serve(mounter, log);
  await mounter.close();
}

/** Locks a file for as long as this process lives; false where another one has it, or has just removed it. */
async function isLocked(path: string): Promise<boolean> {
  const [{ flock, LOCK_EX, LOCK_NB }, { hasCode }] = await Promise.all([import('../../fs/host/file.ts'), import('../../fs/errno.ts')]);
  try {
    const fd = openSync(path, 'w', 0o600);
    flock(fd, LOCK_EX | LOCK_NB);
    return statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino;
  } catch (error) {
    if (!hasCode(error, 'EAGAIN', 'EWOULDBLOCK')) throw error;
    return false;
  }
}
