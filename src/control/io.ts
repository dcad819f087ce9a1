import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** What a command reads, writes and obeys. It may run in the process that was started, or in the one that owns the store, with the same result. */
export interface Io {
  /** Resolves when there is room for more: awaiting it is what keeps memory flat. */
  out(data: string | Uint8Array): Promise<void>;
  err(text: string): void;
  input(): AsyncIterable<Buffer>;
  /** True where standard error is a terminal: progress is shown there. */
  readonly terminal: boolean;
  /** True where standard output is a terminal: archives aren't written there. */
  readonly outputTerminal: boolean;
  /** The directory relative paths are taken from. */
  readonly cwd: string;
  /** Aborted by Ctrl-C, SIGTERM, or the end of the client. */
  readonly signal: AbortSignal;
}

/** The Io of this process. */
export function processIo(signal: AbortSignal): Io {
  return {
    out: (data) => writeAll(process.stdout, data),
    err: (text) => void process.stderr.write(text),
    input: () => process.stdin as Readable as AsyncIterable<Buffer>,
    terminal: process.stderr.isTTY === true,
    outputTerminal: process.stdout.isTTY === true,
    cwd: process.cwd(),
    signal,
  };
}

/** Writes, and waits while the stream has no room. */
export async function writeAll(stream: Writable, data: string | Uint8Array): Promise<void> {
  if (!stream.write(data)) await once(stream, 'drain');
}
