import { workerData, type MessagePort } from 'node:worker_threads';
import { FsError } from '../errno.ts';
import { signalEventfd } from '../host/process.ts';
import { type Job, type Outcome, perform } from './job.ts';

/** A helper thread: does what comes through its port, one after the other (see `Helpers`). */
function serve(port: MessagePort, wakeFd: number): void {
  port.on('message', ({ id, job }: { id: number; job: Job }) => {
    let outcome: Outcome;
    try {
      outcome = { id, value: perform(job) };
    } catch (error) {
      outcome = { id, code: error instanceof FsError ? error.code : 'EIO', message: error instanceof Error ? error.message : String(error) };
    }
    port.postMessage(outcome);
    signalEventfd(wakeFd);
  });
}

const { port, wakeFd } = workerData as { port: MessagePort; wakeFd: number };
serve(port, wakeFd);
