import type { Io } from '../control/io.ts';
import type { Logger } from '../log.ts';
import type { MountClient } from '../mount/mount-client.ts';
import type { Mounted, Mounter } from '../mount/mounter.ts';
import type { PluginHandler } from '../plugin/handler.ts';
import type { Store } from '../store/store.ts';
import type { Volumes } from '../graph/volumes.ts';
import type { RunDirectory } from './volumes.ts';

/** Thrown where the store belongs to a process that serves it: the command line is run there instead. */
export class RunInServer extends Error {
  readonly socket: string;

  /** `cause`: what opening the store here said. */
  constructor(socket: string, options?: ErrorOptions) {
    super(`The store is served by the process behind ${socket}`, options);
    this.socket = socket;
  }
}

/** What commands work with. */
export interface Context {
  readonly io: Io;
  /** The store's directory, absolute. */
  readonly root: string;
  /** Chooses the store; in a serving process it is chosen already. */
  setRoot(root: string): void;
  /** True in the process that serves the store for others. */
  readonly serving: boolean;
  /** The store, opened at the first call. Throws RunInServer where another process serves it. */
  store(how?: { create?: boolean; rebuild?: boolean }): Promise<Store>;
  /** Mounts what this process serves itself. */
  readonly mounter: Mounter;
  /** Mounts that outlive this process, for those it serves. */
  readonly kept: MountClient[];
  /** All mounts of the store: this process's, and those that outlive it. */
  mounts(): Mounted[];
  /** The volumes of the store. `served`: where their mounts are from now on, before anything else is done with them. */
  volumes(served?: RunDirectory): Promise<Volumes>;
  /** What it serves besides, each with its metrics. */
  readonly plugins: PluginHandler[];
  /** Where the process that serves the store listens. */
  readonly socket: string;
  /** Aborted when this process is about to end its mounts. */
  readonly closing: AbortSignal;
  /** Has the store stay open until something is done, although the command has ended. */
  afterwards(work: Promise<void>): void;
  /** Resolves when no mount is left and no command runs. */
  idle(): Promise<void>;
  /** Starts to serve other processes' commands from here on, as long as there are mounts; the log it writes. */
  serve(): Promise<Logger>;
  /** The exit code the command ends with; 0 unless set. */
  exitCode: number;
}
