import type { Socket } from 'node:net';
import { hasCode } from '../../fs/errno.ts';
import { UfsError } from '../errors.ts';
import { connectToListener } from '../unix-socket.ts';
import type { Io } from './io.ts';
import { type CommandRequest, FRAME, receiveFrames, sendFrame } from './frame.ts';

/** How it shows that the server ended just now. */
const GONE = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED'];

/** Connects to the process that serves a store; undefined where none does. */
export async function connectToServer(path: string): Promise<Socket | undefined> {
  return await connectToListener(path, { name: 'the server of the store', code: 'UFS_CONTROL' });
}

/** Has the server run a command with this process's input and output; its exit code. undefined where the server ended before it took the command. */
export async function runRemotely(socket: Socket, argv: string[], io: Io): Promise<number | undefined> {
  const request: CommandRequest = { argv, cwd: io.cwd, terminal: io.terminal, outputTerminal: io.outputTerminal };
  const abort = (): void => void sendFrame(socket, FRAME.abort);
  io.signal.addEventListener('abort', abort);
  let input: AsyncIterator<Buffer> | undefined;
  let taken = false;
  const closed = new Promise<undefined>((resolve) => socket.once('close', () => resolve(undefined)));
  try {
    await sendFrame(socket, FRAME.request, JSON.stringify(request));
    for await (const { kind, payload } of receiveFrames(socket)) {
      taken = true;
      if (kind === FRAME.out) await io.out(Buffer.from(payload));
      else if (kind === FRAME.err) io.err(payload.toString());
      else if (kind === FRAME.exit) return JSON.parse(payload.toString()) as number;
      else if (kind === FRAME.wantInput) {
        input ??= io.input()[Symbol.asyncIterator]();
        // The server may end while there is nothing to read.
        const next = await Promise.race([input.next(), closed]);
        if (next === undefined) continue;
        if (next.done === true) await sendFrame(socket, FRAME.inputEnd);
        else await sendFrame(socket, FRAME.input, next.value);
      }
    }
  } catch (error) {
    if (taken || !hasCode(error, ...GONE)) throw error;
  } finally {
    io.signal.removeEventListener('abort', abort);
    socket.destroy();
    void input?.return?.();
  }
  if (!taken) return undefined;
  throw new UfsError('UFS_CONTROL', `The server of the store ended while it ran "ufs ${argv.join(' ')}"`);
}
