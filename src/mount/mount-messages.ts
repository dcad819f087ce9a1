import type { Socket } from 'node:net';
import type { UfsError } from '../errors.ts';
import type { MountSpec } from './spec.ts';

/**
 * What is said over the socket of a mount server: lines of JSON. The server begins with `hello`, answers each request by its number with the mounts it asked for, and
 * tells of mounts that end. Version of all this: a client of another one leaves the mounts there alone.
 */
export const MOUNT_PROTOCOL = 2;

/** A mount that is to be made; without one, the list of all. */
export interface MountRequest {
  call: number;
  mount?: MountSpec;
}

/** How a server ends that found another one at its socket. */
export const ANOTHER_SERVES = 3;

/** A mount as the server numbers it. */
export interface RemoteMount {
  id: number;
  spec: MountSpec;
}

export type FromMountServer =
  | { kind: 'hello'; protocol: number; serves: string; pid: number }
  | { kind: 'done'; call: number; mounts: RemoteMount[] }
  | { kind: 'failed'; call: number; code: UfsError['code']; message: string }
  | { kind: 'ended'; id: number };

export function sendMessage(socket: Socket, message: MountRequest | FromMountServer): void {
  if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}

/** Calls `received` for each message; a line that is none ends the connection. Without node:readline, which throws where its input fails: that is the caller's to hear. */
export function receiveMessages<T extends MountRequest | FromMountServer>(socket: Socket, received: (message: T) => void): void {
  let rest = '';
  socket.setEncoding('utf8').on('data', (data: string) => {
    const lines = (rest + data).split('\n');
    rest = lines.pop() as string;
    let messages: T[];
    try {
      messages = lines.map((line) => JSON.parse(line) as T);
    } catch (error) {
      socket.destroy(error as Error);
      return;
    }
    for (const message of messages) received(message);
  });
}
