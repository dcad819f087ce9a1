import { fstatSync, openSync, rmSync, statSync } from 'node:fs';
import { hasCode } from '../../fs/errno.ts';
import { flock, LOCK_EX, LOCK_NB } from '../../fs/host/file.ts';
import { fileLogger } from '../log.ts';
import { ANOTHER_SERVES } from './mount-messages.ts';
import type { MountClientOptions } from './mount-client.ts';
import { MountServer } from './mount-server.ts';
import { Mounter } from './mounter.ts';

/** Makes this process a mount server until it has neither clients nor mounts, or a signal comes. It ends at once where another one is at the socket. */
export async function serveMounts({ socket, serves, logFile }: Omit<MountClientOptions, 'log'>, { stay = false } = {}): Promise<void> {
  // Two clients that found nobody may have started one each. The kernel ends the lock with the process.
  const lock = `${socket}.lock`;
  if (!isLocked(lock)) process.exit(ANOTHER_SERVES);
  process.once('exit', () => rmSync(lock, { force: true }));
  const log = fileLogger(logFile);
  const mounter = new Mounter((message) => log.error(message), { store: false });
  // It takes as long as all else here: the first client needn't wait for it then.
  mounter.start();

  process.once('uncaughtExceptionMonitor', (error) => log.fatal({ err: error }, 'failed'));
  process.on('warning', (warning) => log.warn({ err: warning }, 'warning'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void mounter.close().then(() => process.exit(0)));
  process.on('SIGHUP', () => undefined);

  log.info({ socket, serves }, 'serving mounts');
  await new MountServer({ mounter, serves, log, stay }).run(socket);
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
