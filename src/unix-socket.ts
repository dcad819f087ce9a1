import { connect, type Socket } from 'node:net';
import { hasCode } from '../fs/errno.ts';
import { UfsError } from './errors.ts';

/** Who is expected behind a socket, and the code of the error where they can't be reached. */
export interface Listener {
  name: string;
  code: UfsError['code'];
}

/** Connects to who listens on a unix socket; undefined where nobody does. `code` of the listener where it can't be told, or one may not (EACCES, EAGAIN …). */
export async function connectToListener(path: string, { name, code }: Listener): Promise<Socket | undefined> {
  const socket = connect(path);
  try {
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return socket;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ECONNREFUSED', 'ECONNRESET')) return undefined;
    throw new UfsError(code, `Cannot reach ${name} at ${path}: ${(error as Error).message}`, { cause: error });
  }
}
