import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import { FsError } from '../errno.ts';
import type { Job, Outcome } from './job.ts';

interface Waiting {
  resolve: (value: number) => void;
  reject: (error: Error) => void;
}

/**
 * Threads for work that may take long: copying data up, syncing, reads the disk must be asked for. Results wait in a port until `drain` is called, which
 * the serving loop does after the eventfd `wakeFd` was written to.
 */
export class Helpers {
  readonly #wakeFd: number;
  readonly #limit: number;
  readonly #workers: { worker: Worker; port: MessagePort; jobs: number }[] = [];
  readonly #waiting = new Map<number, Waiting>();
  #nextJob = 1;

  constructor(options: { wakeFd: number; threads?: number }) {
    this.#wakeFd = options.wakeFd;
    this.#limit = options.threads ?? 2;
  }

  /** Descriptors and memory a job names must stay until its promise settles. */
  run(job: Job): Promise<number> {
    const chosen = this.#choose();
    const id = this.#nextJob++;
    chosen.jobs += 1;
    chosen.port.postMessage({ id, job });
    return new Promise<number>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
  }

  /** Settles the promises of all jobs that are done. */
  drain(): void {
    for (const entry of this.#workers) {
      for (let received = receiveMessageOnPort(entry.port); received !== undefined; received = receiveMessageOnPort(entry.port)) {
        entry.jobs -= 1;
        this.#settle(received.message as Outcome);
      }
    }
  }

  async close(): Promise<void> {
    for (const { port } of this.#workers) port.close();
    await Promise.all(this.#workers.splice(0).map(({ worker }) => worker.terminate()));
    for (const { reject } of this.#waiting.values()) reject(new FsError('EIO', 'Cannot finish a job: the helper threads are stopped'));
    this.#waiting.clear();
  }

  #settle(outcome: Outcome): void {
    const waiting = this.#waiting.get(outcome.id);
    this.#waiting.delete(outcome.id);
    if (outcome.code === undefined) waiting?.resolve(outcome.value);
    else waiting?.reject(new FsError(outcome.code, outcome.message));
  }

  /** An idle thread, a new one, or the one with the least to do. */
  #choose(): { port: MessagePort; jobs: number } {
    const least = this.#workers.reduce<{ port: MessagePort; jobs: number } | undefined>((best, next) => (best === undefined || next.jobs < best.jobs ? next : best), undefined);
    if (least !== undefined && (least.jobs === 0 || this.#workers.length >= this.#limit)) return least;
    const { port1, port2 } = new MessageChannel();
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./helper.${extension}`, import.meta.url), { workerData: { port: port2, wakeFd: this.#wakeFd }, transferList: [port2] });
    worker.unref();
    port1.unref();
    const entry = { worker, port: port1, jobs: 0 };
    this.#workers.push(entry);
    return entry;
  }
}
