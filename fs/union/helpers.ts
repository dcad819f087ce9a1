import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import { FsError } from '../errno.ts';
import { detach, type Job, type Outcome } from './job.ts';

interface Thread {
  worker: Worker;
  port: MessagePort;
  /** Handed to it and not done. */
  jobs: number;
}

interface Waiting {
  resolve: (value: number) => void;
  reject: (error: Error) => void;
  release: () => void;
  /** Kept from being collected. */
  memory: Buffer | undefined;
}

/**
 * Threads for work that may take long: copying data up, syncing, reads the disk must be asked for. Results wait in a port until `drain` is called, which
 * the serving loop does after the eventfd `wakeFd` was written to. Reads have threads of their own, so that they don't queue behind a copy of gigabytes.
 */
export class Helpers {
  readonly #wakeFd: number;
  /** Threads of each kind. */
  readonly #limit: number;
  readonly #readers: Thread[] = [];
  readonly #workers: Thread[] = [];
  readonly #waiting = new Map<number, Waiting>();
  #nextJob = 1;

  constructor(options: { wakeFd: number; threads?: number }) {
    this.#wakeFd = options.wakeFd;
    this.#limit = options.threads ?? 2;
  }

  /** The descriptors a job names may be closed before it is done. `memory`: what it writes to. */
  run(job: Job, memory?: Buffer): Promise<number> {
    const thread = this.#choose(job.kind === 'read' ? this.#readers : this.#workers);
    const detached = detach(job);
    const id = this.#nextJob++;
    thread.jobs += 1;
    thread.port.postMessage({ id, job: detached.job });
    return new Promise<number>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, release: detached.release, memory });
    });
  }

  /** Settles the promises of all jobs that are done. */
  drain(): void {
    for (const threads of [this.#readers, this.#workers]) {
      for (const thread of threads) {
        for (let received = receiveMessageOnPort(thread.port); received !== undefined; received = receiveMessageOnPort(thread.port)) {
          thread.jobs -= 1;
          this.#settle(received.message as Outcome);
        }
      }
    }
  }

  async close(): Promise<void> {
    const threads = [...this.#readers.splice(0), ...this.#workers.splice(0)];
    for (const { port } of threads) port.close();
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
    for (const { reject, release } of this.#waiting.values()) {
      release();
      reject(new FsError('EIO', 'Cannot finish a job: the helper threads are stopped'));
    }
    this.#waiting.clear();
  }

  #settle(outcome: Outcome): void {
    const waiting = this.#waiting.get(outcome.id);
    this.#waiting.delete(outcome.id);
    waiting?.release();
    if (outcome.code === undefined) waiting?.resolve(outcome.value);
    else waiting?.reject(new FsError(outcome.code, outcome.message));
  }

  /** An idle thread, a new one, or the one with the least to do. */
  #choose(threads: Thread[]): Thread {
    const least = threads.reduce<Thread | undefined>((best, next) => (best === undefined || next.jobs < best.jobs ? next : best), undefined);
    if (least !== undefined && (least.jobs === 0 || threads.length >= this.#limit)) return least;
    const { port1, port2 } = new MessageChannel();
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./helper.${extension}`, import.meta.url), { workerData: { port: port2, wakeFd: this.#wakeFd }, transferList: [port2] });
    worker.unref();
    port1.unref();
    const thread = { worker, port: port1, jobs: 0 };
    threads.push(thread);
    return thread;
  }
}
