import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hasCode } from '../../fs/errno.ts';
import { UfsError } from '../errors.ts';
import { type FromMountServer, MOUNT_PROTOCOL, receiveMessages, type RemoteMount, sendMessage } from './mount-messages.ts';
import type { Mounted } from './mounter.ts';
import type { MountSpec } from './spec.ts';

/** Milliseconds a new server may take to listen. */
const START_PATIENCE = 20_000;

interface Entry extends Mounted {
  end: () => void;
}

export interface MountClientOptions {
  /** Where the server listens. */
  socket: string;
  /** The store's directory. */
  store: string;
  log: (message: string) => void;
}

/** A call that waits for its answer. */
interface Call {
  done: (id: number) => void;
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

  private constructor(options: MountClientOptions) {
    this.#options = options;
  }

  /** Finds the server, or starts one. UFS_STORE_IN_USE where that at the socket serves another store, or is of another version. */
  static async open(options: MountClientOptions): Promise<MountClient> {
    const client = new MountClient(options);
    await client.#connection();
    return client;
  }

  mounts(): Mounted[] {
    return [...this.#mounts.values()];
  }

  /** Mounts, and answers once it is served. UFS_MOUNT. */
  async mount(spec: MountSpec): Promise<Mounted> {
    const socket = await this.#connection();
    const call = this.#nextCall++;
    // Only while somebody waits it keeps the process alive.
    socket.ref();
    try {
      return await new Promise<Mounted>((resolve, reject) => {
        // What is said of the mount after this is heard after this.
        this.#calls.set(call, { done: (id) => resolve(this.#add({ id, spec })), failed: reject });
        sendMessage(socket, { call, mount: spec });
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
    const socket = (await connectTo(path)) ?? (await this.#start());
    const refusal = await new Promise<string | undefined>((resolve, reject) => {
      socket.once('close', () => reject(new UfsError('UFS_MOUNT', `Cannot use the mount server at ${path}: it has ended`)));
      receiveMessages<FromMountServer>(socket, (message) => {
        if (message.kind !== 'hello') this.#received(message);
        else resolve(this.#agree(message));
      });
    });
    if (refusal !== undefined) {
      socket.destroy();
      throw new UfsError('UFS_STORE_IN_USE', `Cannot use the mount server at ${path}: ${refusal}`);
    }
    return socket.once('close', this.#lost).unref();
  }

  /** Takes over the mounts of a server; why not, where that can't be. */
  #agree({ protocol, store, pid, mounts }: Extract<FromMountServer, { kind: 'hello' }>): string | undefined {
    if (protocol !== MOUNT_PROTOCOL) return `process ${pid} is of another version of ufs; it ends when its containers are stopped`;
    if (store !== this.#options.store) return `process ${pid} serves mounts of the store ${store}; each store needs a run directory of its own`;
    for (const mount of mounts) this.#add(mount);
    return undefined;
  }

  /** Starts a server in the background, in a session of its own, so that signals for this process don't reach it. */
  async #start(): Promise<Socket> {
    const { socket, store } = this.#options;
    mkdirSync(dirname(socket), { recursive: true, mode: 0o711 });
    const log = openSync(join(store, 'mounts.log'), 'a', 0o600);
    const child = spawn(process.execPath, [fileURLToPath(new URL('./mount-server-process.js', import.meta.url)), socket, store], {
      cwd: '/', detached: true, stdio: ['ignore', log, log],
    });
    closeSync(log);
    let failed: string | undefined;
    child.once('error', (error) => (failed = error.message)).once('exit', (code, signal) => (failed = `it ended with ${signal ?? code}; see ${join(store, 'mounts.log')}`));
    child.unref();
    for (const started = Date.now(); Date.now() - started < START_PATIENCE && failed === undefined; await sleep(10)) {
      const connected = await connectTo(socket);
      if (connected !== undefined) return connected;
    }
    throw new UfsError('UFS_MOUNT', `Cannot start a mount server at ${socket}: ${failed ?? 'it does not answer'}`);
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
      if (message.kind === 'done') call?.done(message.id);
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
    for (const { failed } of this.#calls.values()) failed(new UfsError('UFS_MOUNT', `Cannot mount: the mount server at ${this.#options.socket} has ended`));
    this.#calls.clear();
  };
}

/** undefined where nobody listens. */
async function connectTo(path: string): Promise<Socket | undefined> {
  const socket = connect(path);
  try {
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return socket.on('error', () => socket.destroy());
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ECONNREFUSED', 'ECONNRESET')) return undefined;
    throw new UfsError('UFS_MOUNT', `Cannot reach the mount server at ${path}: ${(error as Error).message}`, { cause: error });
  }
}
