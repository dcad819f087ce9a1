import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Io } from './io.ts';
import { type CommandRequest, FRAME, receiveFrames, sendFrame } from './frame.ts';

/** Runs a command line for a client; its exit code. */
export type RunCommand = (argv: string[], io: Io) => Promise<number>;

/** The control socket of a store, below its 0700 directory: runs the commands of other processes in the one that owns the store. */
export class ControlServer {
  readonly #path: string;
  readonly #run: RunCommand;
  readonly #server: Server;
  readonly #running = new Set<Promise<void>>();
  /** Called when a command has ended. */
  onIdle: () => void = () => {};

  constructor(path: string, run: RunCommand) {
    this.#path = path;
    this.#run = run;
    this.#server = createServer((socket) => {
      const job = this.#serve(socket).catch(() => void socket.destroy());
      this.#running.add(job);
      void job.then(() => {
        this.#running.delete(job);
        this.onIdle();
      });
    });
  }

  /** Commands under way. */
  get running(): number {
    return this.#running.size;
  }

  async listen(): Promise<void> {
    // Whoever holds the store's lock owns its socket: one that is left is a dead process's.
    rmSync(this.#path, { force: true });
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(this.#path, resolve));
    chmodSync(this.#path, 0o600);
  }

  /** Takes no more commands: who asks from now on finds nobody, and tries the store itself. */
  stopListening(): void {
    this.#server.close();
    rmSync(this.#path, { force: true });
  }

  /** Waits for the commands under way. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  async #serve(socket: Socket): Promise<void> {
    const client = new ClientIo(socket);
    socket.on('error', () => client.abort());
    let running: Promise<void> | undefined;
    for await (const { kind, payload } of receiveFrames(socket)) {
      if (kind === FRAME.request && running === undefined) running = this.#runFor(client, JSON.parse(payload.toString()) as CommandRequest, socket);
      else client.received(kind, Buffer.from(payload));
    }
    client.abort();
    await running;
  }

  async #runFor(client: ClientIo, request: CommandRequest, socket: Socket): Promise<void> {
    await sendFrame(socket, FRAME.taken);
    const code = await this.#run(request.argv, client.io(request));
    await sendFrame(socket, FRAME.exit, JSON.stringify(code));
    socket.end();
  }
}

/** A client's input, output and signals, over its connection. */
class ClientIo {
  readonly #socket: Socket;
  readonly #abort = new AbortController();
  #input: ((chunk: Buffer | undefined) => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  io(request: CommandRequest): Io {
    return {
      out: (data) => this.#send(FRAME.out, data),
      err: (text) => void this.#send(FRAME.err, text),
      input: () => this.#read(),
      terminal: request.terminal,
      outputTerminal: request.outputTerminal,
      cwd: request.cwd,
      signal: this.#abort.signal,
    };
  }

  received(kind: number, payload: Buffer): void {
    if (kind === FRAME.abort) this.abort();
    else if (kind === FRAME.input) this.#input?.(payload);
    else if (kind === FRAME.inputEnd) this.#input?.(undefined);
  }

  abort(): void {
    this.#abort.abort();
    this.#input?.(undefined);
  }

  async #send(kind: number, data: string | Uint8Array): Promise<void> {
    const body = typeof data === 'string' ? Buffer.from(data) : data;
    for (let start = 0; start < body.length; start += 1 << 20) await sendFrame(this.#socket, kind, body.subarray(start, start + (1 << 20)));
  }

  async *#read(): AsyncGenerator<Buffer> {
    for (;;) {
      const next = new Promise<Buffer | undefined>((resolve) => (this.#input = resolve));
      await sendFrame(this.#socket, FRAME.wantInput);
      const chunk = await next;
      this.#abort.signal.throwIfAborted();
      if (chunk === undefined) return;
      yield chunk;
    }
  }
}
