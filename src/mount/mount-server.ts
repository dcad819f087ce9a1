import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { UfsError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { MOUNT_PROTOCOL, type MountRequest, receiveMessages, type RemoteMount, sendMessage } from './mount-messages.ts';
import type { Mounted, Mounter } from './mounter.ts';

/** Milliseconds without a client and a mount after which it ends. */
const IDLE = 2000;

export interface MountServerOptions {
  mounter: Mounter;
  /** What its mounts are for: clients that want others' are refused. */
  serves: string;
  log: Logger;
}

/** Serves mounts for a process that may end, be killed and be started again: its mounts are here meanwhile. */
export class MountServer {
  readonly #mounter: Mounter;
  readonly #serves: string;
  readonly #log: Logger;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #mounts = new Map<number, RemoteMount>();
  #nextId = 1;
  #mounting = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor({ mounter, serves, log }: MountServerOptions) {
    this.#mounter = mounter;
    this.#serves = serves;
    this.#log = log;
    this.#server = createServer((socket) => this.#welcome(socket));
  }

  /** Serves clients that connect to `path`, until there was neither a client nor a mount for a while. */
  async run(path: string): Promise<void> {
    // Whoever has the lock owns the socket: one that is left is a dead process's.
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(path, resolve));
    chmodSync(path, 0o600);
    const closed = new Promise((resolve) => this.#server.once('close', resolve));
    this.#rest();
    await closed;
  }

  #welcome(socket: Socket): void {
    clearTimeout(this.#idle);
    this.#clients.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.#clients.delete(socket);
      this.#rest();
    });
    sendMessage(socket, { kind: 'hello', protocol: MOUNT_PROTOCOL, serves: this.#serves, pid: process.pid });
    receiveMessages<MountRequest>(socket, (request) => void this.#handle(socket, request));
  }

  async #handle(socket: Socket, request: MountRequest): Promise<void> {
    this.#mounting += 1;
    try {
      const mounts = request.mount === undefined ? [...this.#mounts.values()] : [this.#keep(await this.#mounter.mount(request.mount))];
      sendMessage(socket, { kind: 'done', call: request.call, mounts });
    } catch (error) {
      sendMessage(socket, { kind: 'failed', call: request.call, code: error instanceof UfsError ? error.code : 'UFS_MOUNT', message: (error as Error).message });
    } finally {
      this.#mounting -= 1;
      this.#rest();
    }
  }

  #keep(mounted: Mounted): RemoteMount {
    const id = this.#nextId++;
    const mount = { id, spec: mounted.spec };
    this.#mounts.set(id, mount);
    void mounted.ended.then(() => {
      this.#mounts.delete(id);
      for (const client of this.#clients) sendMessage(client, { kind: 'ended', id });
      this.#rest();
    });
    return mount;
  }

  #rest(): void {
    clearTimeout(this.#idle);
    if (this.#clients.size + this.#mounts.size + this.#mounting > 0) return;
    this.#idle = setTimeout(() => {
      this.#log.info('no mounts and no clients: stopped');
      this.#server.close();
    }, IDLE);
  }
}
