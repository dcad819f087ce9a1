import { clearUmask } from '../../fs/host/make.ts';
import { signalEventfd } from '../../fs/host/process.ts';
import { nameToText } from '../../fs/name.ts';
import { mount, replaceStale, unmount } from '../../fs/transport/mount.ts';
import { UfsError } from '../errors.ts';
import { attachAll, type Attached, type Attachment, unmountWith } from './attach.ts';
import { mountInProcess } from './process-mount.ts';
import type { FromServing, ToServing } from './serving-thread.ts';
import type { MountSpec } from './spec.ts';
import { startThread, type StartedThread } from './start-thread.ts';

/** A mount this process serves. */
export interface Mounted {
  readonly spec: MountSpec;
  /** Resolves when it is unmounted, by whomever. */
  readonly ended: Promise<void>;
}

/** Milliseconds a mount or the thread may take to end. */
const STOP_PATIENCE = 2000;

interface Entry extends Mounted {
  end: () => void;
  /** Ends the process that serves it, where it has one of its own. */
  kill?: () => void;
}

interface AttachedTo {
  attached: Attached;
  changed: (attached: Attached) => void;
}

type Thread = StartedThread & { wakeFd: number };

/**
 * Mounts file systems. All that the dev-fuse transport has are served by one thread of this process, which starts with the first; a fuse-native one has a
 * process of its own.
 */
export class Mounter {
  readonly #mounts = new Map<number, Entry>();
  /** What the serving thread was asked to open or to serve, and hasn't answered. */
  readonly #asked = new Map<number, (error?: Error) => void>();
  readonly #attached = new Map<Mounted, AttachedTo>();
  #thread: Promise<Thread> | undefined;
  #nextId = 1;
  #waiting = 0;
  readonly #log: (message: string) => void;
  readonly #store: boolean;
  readonly #trace: ((line: string) => void) | undefined;

  /** `store`: whether the store whose layers are mounted, if any, is open in this process (else they are read from its files). `trace`: a line for each request and reply. */
  constructor(log: (message: string) => void = () => {}, { store = true, trace }: { store?: boolean; trace?: (line: string) => void } = {}) {
    this.#log = log;
    this.#store = store;
    this.#trace = trace;
  }

  /** Has a serving thread that starts already. */
  use(thread: StartedThread): void {
    // Where it fails, the first mount says so.
    (this.#thread ??= this.#start(thread)).catch(() => undefined);
  }

  mounts(): Mounted[] {
    return [...this.#mounts.values()];
  }

  /** Mounts, and answers once it is served. */
  async mount(spec: MountSpec): Promise<Mounted> {
    if (spec.transport === 'fuse-native') return await this.#mountInProcess(spec);
    const thread = await (this.#thread ??= this.#start(startThread({ store: this.#store, trace: this.#trace !== undefined })));
    // One that lost its server may be above the directories of the one that replaces it.
    replaceStale(spec.target);
    const id = this.#nextId++;
    await this.#ask(thread, { kind: 'open', id, spec }, spec);
    let fd: number;
    try {
      fd = mount(spec.target, { ...spec.mount, ...(spec.upper === undefined ? { readonly: true } : {}) });
    } catch (error) {
      this.#send(thread, { kind: 'drop', id });
      throw error;
    }
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const entry: Entry = { spec, ended, end };
    this.#mounts.set(id, entry);
    try {
      await this.#ask(thread, { kind: 'serve', id, fd }, spec);
    } catch (error) {
      this.#mounts.delete(id);
      unmount(spec.target, { lazy: true });
      throw error;
    }
    return entry;
  }

  /** Answers when the serving thread has opened or serves what is to be mounted. */
  async #ask(thread: Thread, message: Extract<ToServing, { kind: 'open' | 'serve' }>, { target }: MountSpec): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => this.#asked.set(message.id, (error) => (error === undefined ? resolve() : reject(error))));
    this.#send(thread, message);
    try {
      await this.#whileWaiting(thread.port, answered);
    } catch (error) {
      throw new UfsError('UFS_MOUNT', `Cannot mount on "${nameToText(target)}": ${(error as Error).message}`, { cause: error });
    } finally {
      this.#asked.delete(message.id);
    }
  }

  /**
   * Attaches mounts to places in one; they are detached when it is unmounted. All or none: UFS_MOUNT. `changed` is told what is attached, now and when an unmount that failed has changed the
   * kernel's numbers of it.
   */
  attach(mounted: Mounted, attachments: readonly Attachment[], changed: (attached: Attached) => void): void {
    this.#attached.set(mounted, { attached: attachAll(mounted.spec.target, attachments), changed });
    void mounted.ended.then(() => this.#attached.delete(mounted));
    changed((this.#attached.get(mounted) as AttachedTo).attached);
  }

  /** Unmounts one; EBUSY where files are open, unless `lazy`: then it is as it was, with what is attached to it. */
  async unmount(mounted: Mounted, how: { lazy?: boolean } = {}): Promise<void> {
    const to = this.#attached.get(mounted);
    const changed = (attached: Attached): void => {
      if (to === undefined) return;
      to.attached = attached;
      to.changed(attached);
    };
    unmountWith(mounted.spec.target, to?.attached, { ...how, changed });
    const thread = await this.#thread;
    if (thread === undefined) await mounted.ended;
    else await this.#whileWaiting(thread.port, mounted.ended);
  }

  /** Unmounts all, those in use too, and ends the thread. */
  async close(): Promise<void> {
    // The last first: it may be below another.
    for (const mounted of this.mounts().reverse()) {
      try {
        unmount(mounted.spec.target, { lazy: true });
      } catch (error) {
        this.#log(`Cannot unmount "${nameToText(mounted.spec.target)}": ${(error as Error).message}`);
      }
    }
    const thread = await this.#thread;
    thread?.worker.ref();
    thread?.port.ref();
    await Promise.race([Promise.all(this.mounts().map(({ ended }) => ended)), new Promise((resolve) => setTimeout(resolve, STOP_PATIENCE).unref())]);
    for (const { kill } of this.#mounts.values()) kill?.();
    if (thread === undefined) return;
    const exited = new Promise((resolve) => thread.worker.once('exit', resolve));
    this.#send(thread, { kind: 'stop' });
    // Nothing is mounted any more: a thread that doesn't end by itself (a helper of it may wait for a disk) holds nothing that could be lost.
    const late = setTimeout(() => void thread.worker.terminate(), STOP_PATIENCE);
    await exited;
    clearTimeout(late);
    thread.port.close();
    this.#thread = undefined;
    // What is still used somewhere is served no more.
    for (const entry of this.#mounts.values()) entry.end();
    this.#mounts.clear();
  }

  async #mountInProcess(spec: MountSpec): Promise<Mounted> {
    const { ended, kill } = await mountInProcess({ ...spec, passthrough: 'never' }, this.#log);
    const id = this.#nextId++;
    const entry: Entry = { spec, ended: ended.then(() => void this.#mounts.delete(id)), end: () => {}, kill };
    this.#mounts.set(id, entry);
    return entry;
  }

  /** The serving thread keeps the process alive only while somebody waits for its answer. */
  async #whileWaiting(port: Thread['port'], answer: Promise<void>): Promise<void> {
    if (this.#waiting++ === 0) port.ref();
    try {
      await answer;
    } finally {
      if (--this.#waiting === 0) port.unref();
    }
  }

  #send(thread: Thread, message: ToServing): void {
    thread.port.postMessage(message);
    signalEventfd(thread.wakeFd);
  }

  async #start({ worker, port }: StartedThread): Promise<Thread> {
    // The mask is the process's, and can't be set in a thread: what the thread makes has exactly the modes it was asked for.
    clearUmask();
    const wakeFd = await new Promise<number>((resolve, reject) => {
      worker.once('error', reject);
      port.on('message', (message: FromServing) => {
        if (message.kind === 'ready') resolve(message.wakeFd);
        else this.#received(message);
      });
    });
    worker.on('error', (error) => {
      this.#log(`The serving thread failed: ${error.stack ?? error.message}`);
      for (const entry of this.#mounts.values()) entry.end();
      this.#mounts.clear();
      for (const answer of this.#asked.values()) answer(error);
    });
    return { worker, port, wakeFd };
  }

  #received(message: Exclude<FromServing, { kind: 'ready' }>): void {
    if (message.kind === 'error') return this.#log(message.message);
    if (message.kind === 'trace') return this.#trace?.(message.line);
    if (message.kind === 'ended') {
      this.#mounts.get(message.id)?.end();
      this.#mounts.delete(message.id);
    } else this.#asked.get(message.id)?.(message.kind === 'failed' ? new Error(message.message) : undefined);
  }
}
