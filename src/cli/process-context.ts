import { join } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import type { Io } from '../control/io.ts';
import { ControlServer } from '../control/server.ts';
import { fileLogger, type Logger } from '../log.ts';
import type { MountClient } from '../mount/mount-client.ts';
import { type Mounted, Mounter } from '../mount/mounter.ts';
import type { PluginHandler } from '../plugin/handler.ts';
import { Store } from '../store/store.ts';
import type { Volumes } from '../graph/volumes.ts';
import { type Context, RunInServer } from './context.ts';
import { openVolumes, type RunDirectory } from './volumes.ts';

/** Milliseconds a server waits for the next command after its last mount is gone. */
const IDLE = 500;

/** The context of a process's own command line. It may become the server of its store, and then runs others' commands too. */
export class ProcessContext implements Context {
  readonly io: Io;
  readonly mounter: Mounter;
  readonly kept: MountClient[] = [];
  readonly plugins: PluginHandler[] = [];
  root = '';
  exitCode = 0;
  readonly #closing = new AbortController();
  readonly #pending = new Set<Promise<void>>();
  #store: Promise<Store> | undefined;
  #volumes: Promise<Volumes> | undefined;
  #server: ControlServer | undefined;
  #log: Logger | undefined;
  /** To the user; to the log where that may be gone. */
  readonly #tell = (message: string): void => (this.#log === undefined ? this.io.err(`ufs: ${message}\n`) : this.#log.error(message));
  readonly #logWarning = (warning: Error): void => this.#log?.warn({ err: warning }, 'warning');
  readonly #logFatal = (error: Error): void => this.#log?.fatal({ err: error }, 'failed');
  readonly #execute: (argv: string[], context: Context) => Promise<number>;

  constructor(io: Io, execute: (argv: string[], context: Context) => Promise<number>) {
    this.io = io;
    this.#execute = execute;
    this.mounter = new Mounter(this.#tell);
    process.once('uncaughtExceptionMonitor', this.#logFatal).on('warning', this.#logWarning);
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  get serving(): boolean {
    return this.#server !== undefined;
  }

  setRoot(root: string): void {
    this.root = root;
  }

  get socket(): string {
    return join(this.root, 'control.sock');
  }

  mounts(): Mounted[] {
    return [this.mounter, ...this.kept].flatMap((mounts) => mounts.mounts());
  }

  store(how: { create?: boolean; rebuild?: boolean } = {}): Promise<Store> {
    this.#store ??= this.#open(how);
    return this.#store;
  }

  volumes(served?: RunDirectory): Promise<Volumes> {
    this.#volumes ??= openVolumes(this, served, this.#tell).catch((error: unknown) => {
      // The next command may find what this one didn't.
      this.#volumes = undefined;
      throw error;
    });
    return this.#volumes;
  }

  async #open(how: { create?: boolean; rebuild?: boolean }): Promise<Store> {
    try {
      return await Store.open(this.root, { ...how, log: this.#tell });
    } catch (error) {
      if (!hasCode(error, 'UFS_STORE_LOCKED')) throw error;
      throw new RunInServer(this.socket, { cause: error });
    }
  }

  async serve(): Promise<Logger> {
    if (this.#log !== undefined) return this.#log;
    const store = await this.store({ create: true });
    const log = (this.#log = fileLogger(join(this.root, 'ufs.log')));
    const server = new ControlServer(this.socket, (argv, io) => this.#runForClient(argv, io));
    await server.listen();
    this.#server = server;
    log.info({ store: store.uuid }, 'serving');
    return log;
  }

  async #runForClient(argv: string[], io: Io): Promise<number> {
    this.#log?.debug({ argv }, 'command');
    const owner = this;
    const context: Context = {
      io, exitCode: 0, serving: true, closing: this.closing, mounter: this.mounter, kept: this.kept, plugins: this.plugins, mounts: () => this.mounts(),
      get root() {
        return owner.root;
      },
      get socket() {
        return owner.socket;
      },
      setRoot: () => {},
      store: () => owner.store(),
      volumes: () => owner.volumes(),
      serve: () => owner.serve(),
      afterwards: (work) => owner.afterwards(work),
      idle: async () => {},
    };
    return await this.#execute(argv, context);
  }

  afterwards(work: Promise<void>): void {
    this.#pending.add(work);
    void work.finally(() => this.#pending.delete(work));
  }

  /** Resolves when no mount is left and no command runs, for a moment. */
  async idle(): Promise<void> {
    for (;;) {
      await Promise.all(this.mounter.mounts().map(({ ended }) => ended));
      await new Promise((resolve) => setTimeout(resolve, IDLE));
      if (this.mounter.mounts().length === 0 && (this.#server?.running ?? 0) === 0) return;
      if (this.io.signal.aborted) return;
    }
  }

  /** Ends mounts, server and store, in this order. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#server?.stopListening();
    await this.mounter.close();
    for (const client of this.kept) await client.close();
    await this.#server?.close();
    await Promise.all(this.#pending);
    this.#log?.info('stopped');
    const store = await this.#store?.catch(() => undefined);
    await store?.emptyTrash().catch((error: unknown) => this.#tell(`Cannot delete all that was removed: ${(error as Error).message}`));
    await store?.close();
    process.off('uncaughtExceptionMonitor', this.#logFatal).off('warning', this.#logWarning);
  }
}
