import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { UfsError } from '../errors.ts';
import type { MountSpec } from './spec.ts';

/**
 * What is said over the socket of a mount server: lines of JSON. The server begins with `hello`, answers each request by its number, and tells what happens to mounts.
 * Version of all this: a client of another one leaves the mounts there alone.
 */
export const MOUNT_PROTOCOL = 1;

export interface MountRequest {
  call: number;
  mount: MountSpec;
}

/** A mount as the server numbers it. */
export interface RemoteMount {
  id: number;
  spec: MountSpec;
}

export type FromMountServer =
  | { kind: 'hello'; protocol: number; store: string; pid: number; mounts: RemoteMount[] }
  | { kind: 'done'; call: number; id: number }
  | { kind: 'failed'; call: number; code: UfsError['code']; message: string }
  | { kind: 'ended'; id: number };

export function sendMessage(socket: Socket, message: MountRequest | FromMountServer): void {
  if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}

/** Calls `received` for each message; a line that is none ends the connection. */
export function receiveMessages<T extends MountRequest | FromMountServer>(socket: Socket, received: (message: T) => void): void {
  createInterface({ input: socket, crlfDelay: Infinity }).on('line', (line) => {
    let message: T;
    try {
      message = JSON.parse(line) as T;
    } catch {
      socket.destroy();
      return;
    }
    received(message);
  });
}
