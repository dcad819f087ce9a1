import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { UfsError } from '../errors.ts';
import { connectToListener } from '../unix-socket.ts';
import { ANOTHER_SERVES, type FromMountServer, MOUNT_PROTOCOL, type MountRequest, receiveMessages, type RemoteMount, sendMessage } from './mount-messages.ts';
import type { Mounted } from './mounter.ts';
import type { MountSpec } from './spec.ts';

/** Milliseconds a new server may take to listen. */
const START_PATIENCE = 20_000;
/** The program of a server. */
const SERVER = fileURLToPath(new URL('./mount-server-process.js', import.meta.url));

interface Entry extends Mounted {
  end: () => void;
}

export interface MountClientOptions {
  /** Where the server listens. */
  socket: string;
  /** What its mounts are for, such as the store's directory. */
  serves: string;
  /** What a server that is started logs to. */
  logFile: string;
  /** Told where a server ends that still had mounts. */
  log: (message: string) => void;
}

/** A call that waits for its answer. */
interface Call {
  done: (mounts: Mounted[]) => void;
  failed: (error: Error) => void;
}

/**
 * Mounts that outlive this process: a process of their own serves them (`MountServer`), which is started where there is none, ends with its last mount, and is found
 * again by the next process that wants the same mounts.
 */
export class MountClient {
  readonly #options: MountClientOptions;
  readonly #mounts = new Map<number, Entry>();
  readonly #calls = new Map<number, Call>();
  #nextCall = 1;
  #socket: Promise<Socket> | undefined;

  /** Its first call connects it, and starts a server where there is none. */
  constructor(options: MountClientOptions) {
    this.#options = options;
  }

  /** A client that knows the mounts there are already. UFS_STORE_IN_USE where the server serves something else, or is of another version. */
  static async open(options: MountClientOptions): Promise<MountClient> {
    const client = new MountClient(options);
    await client.#call({});
    return client;
  }

  mounts(): Mounted[] {
    return [...this.#mounts.values()];
  }

  /** Mounts, and answers once it is served. UFS_MOUNT; UFS_STORE_IN_USE as for `open`. */
  async mount(spec: MountSpec): Promise<Mounted> {
    const call = (): Promise<Mounted[]> => this.#call({ mount: spec });
    // One that was killed may not be known to have ended: what it was asked for ended with it.
    const [mounted] = await call().catch((error: unknown) => (error instanceof ServerEnded ? call() : Promise.reject(error)));
    return mounted as Mounted;
  }

  async #call(request: Omit<MountRequest, 'call'>): Promise<Mounted[]> {
    const socket = await this.#connection();
    const call = this.#nextCall++;
    // Only while somebody waits it keeps the process alive.
    socket.ref();
    try {
      return await new Promise<Mounted[]>((resolve, reject) => {
        this.#calls.set(call, { done: resolve, failed: reject });
        sendMessage(socket, { call, ...request });
      });
    } finally {
      if (this.#calls.size === 0) socket.unref();
    }
  }

  /** Leaves the mounts to themselves. */
  async close(): Promise<void> {
    const socket = await this.#socket?.catch(() => undefined);
    socket?.off('close', this.#lost).destroy();
  }

  #connection(): Promise<Socket> {
    this.#socket ??= this.#connect().catch((error: unknown) => {
      this.#socket = undefined;
      throw error;
    });
    return this.#socket;
  }

  async #connect(): Promise<Socket> {
    const { socket: path } = this.#options;
    for (const started = Date.now(); ; await sleep(10)) {
      const socket = (await connectTo(path)) ?? (await this.#start());
      const refusal = await new Promise<string | undefined>((resolve) => {
        socket.once('close', () => resolve('it has ended'));
        receiveMessages<FromMountServer>(socket, (message) => {
          if (message.kind === 'hello') resolve(this.#refusal(message));
          else this.#received(message);
        });
      });
      if (refusal === undefined) return socket.once('close', this.#lost).unref();
      // It may have been about to end when it was found.
      if (socket.closed && Date.now() - started < START_PATIENCE) continue;
      socket.destroy();
      throw new UfsError('UFS_STORE_IN_USE', `Cannot use the mount server at ${path}: ${refusal}`);
    }
  }

  /** Why what a server says of itself isn't what is wanted. */
  #refusal({ protocol, serves, pid }: Extract<FromMountServer, { kind: 'hello' }>): string | undefined {
    if (protocol !== MOUNT_PROTOCOL) return `process ${pid} is of another version of ufs; it ends when its containers are stopped`;
    if (serves !== this.#options.serves) return `process ${pid} serves mounts of ${serves}; each store needs a run directory of its own`;
    return undefined;
  }

  async #start(): Promise<Socket> {
    const { socket, logFile } = this.#options;
    mkdirSync(dirname(socket), { recursive: true, mode: 0o711 });
    let server = this.#spawn();
    for (const started = Date.now(); Date.now() - started < START_PATIENCE; await sleep(5)) {
      const connected = await connectTo(socket);
      if (connected !== undefined) return connected;
      if (server.ended === ANOTHER_SERVES) server = this.#spawn();
      else if (server.ended !== undefined) throw new UfsError('UFS_MOUNT', `Cannot start a mount server at ${socket}: it ended with ${server.ended}; see ${logFile}`);
    }
    throw new UfsError('UFS_MOUNT', `Cannot start a mount server at ${socket}: it does not answer; see ${logFile}`);
  }

  /** Starts a server in the background, in a session of its own, so that signals for this process don't reach it. `ended`: how, when it has. */
  #spawn(): { ended?: number | string } {
    const { socket, serves, logFile } = this.#options;
    const log = openSync(logFile, 'a', 0o600);
    const child = spawn(process.execPath, [SERVER, socket, serves, logFile], { cwd: '/', detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    const server: { ended?: number | string } = {};
    child.once('error', ({ message }) => (server.ended = message)).once('exit', (code, signal) => (server.ended = code ?? signal ?? 0));
    child.unref();
    return server;
  }

  #add({ id, spec }: RemoteMount): Mounted {
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const entry: Entry = { spec, ended, end };
    this.#mounts.set(id, entry);
    return entry;
  }

  #received(message: FromMountServer): void {
    if (message.kind === 'ended') this.#ended(message.id);
    else if (message.kind !== 'hello') {
      const call = this.#calls.get(message.call);
      this.#calls.delete(message.call);
      // What is said of these mounts after this is heard after this.
      if (message.kind === 'done') call?.done(message.mounts.map((mount) => this.#add(mount)));
      else call?.failed(new UfsError(message.code, message.message));
    }
  }

  #ended(id: number): void {
    this.#mounts.get(id)?.end();
    this.#mounts.delete(id);
  }

  readonly #lost = (): void => {
    this.#socket = undefined;
    if (this.#mounts.size > 0) this.#options.log(`The mount server at ${this.#options.socket} has ended, and ${this.#mounts.size} mounts with it`);
    for (const id of [...this.#mounts.keys()]) this.#ended(id);
    for (const { failed } of this.#calls.values()) failed(new ServerEnded(this.#options.socket));
    this.#calls.clear();
  };
}

/** It ended before it answered. */
class ServerEnded extends UfsError {
  constructor(socket: string) {
    super('UFS_MOUNT', `Cannot mount: the mount server at ${socket} has ended`);
  }
}

/** undefined where nobody listens. */
async function connectTo(path: string): Promise<Socket | undefined> {
  const socket = await connectToListener(path, { name: 'the mount server', code: 'UFS_MOUNT' });
  return socket?.on('error', () => socket.destroy());
}
