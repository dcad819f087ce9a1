import type { Socket } from 'node:net';
import { once } from 'node:events';
import { UfsError } from '../errors.ts';

/**
 * What client and server of a store say to each other over its control socket: frames of a kind byte, a length (u32, little-endian) and a payload.
 * The client sends one `request`, then `input` as the server asks for it; the server sends `taken` when it begins, `out` and `err`, and `exit` at the end.
 */
export const FRAME = { request: 1, input: 2, inputEnd: 3, abort: 4, taken: 15, out: 16, err: 17, wantInput: 18, exit: 19 } as const;

/** One command to run as if it had been started where the client was. */
export interface CommandRequest {
  argv: string[];
  cwd: string;
  terminal: boolean;
  outputTerminal: boolean;
}

/** Bytes; nothing sends larger payloads. */
const MAX_PAYLOAD = 16 << 20;

export async function sendFrame(socket: Socket, kind: number, payload: string | Uint8Array = ''): Promise<void> {
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const header = Buffer.alloc(5);
  header[0] = kind;
  header.writeUInt32LE(body.length, 1);
  socket.cork();
  socket.write(header);
  const room = socket.write(body);
  socket.uncork();
  if (!room && !socket.destroyed) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
}

export async function* receiveFrames(socket: Socket): AsyncGenerator<{ kind: number; payload: Buffer }> {
  let buffered: Buffer = Buffer.alloc(0);
  for await (const chunk of socket) {
    buffered = buffered.length === 0 ? (chunk as Buffer) : Buffer.concat([buffered, chunk as Buffer]);
    while (buffered.length >= 5) {
      const length = buffered.readUInt32LE(1);
      if (length > MAX_PAYLOAD) throw new UfsError('UFS_CONTROL', `Cannot read from the control socket: a frame of ${length} bytes`);
      if (buffered.length < 5 + length) break;
      yield { kind: buffered[0] as number, payload: buffered.subarray(5, 5 + length) };
      buffered = buffered.subarray(5 + length);
    }
  }
}
