import { workerData, type MessagePort } from 'node:worker_threads';
import { FsError } from '../errno.ts';
import { copyData } from '../host/copy.ts';
import { copyFileRange, fdatasync, fsync, syncfs } from '../host/file.ts';
import { signalEventfd } from '../host/process.ts';

/** What a helper thread does; descriptors are the process's. Results are numbers. */
export type Job =
  | { kind: 'copy'; from: number; to: number; size: number; sync: boolean }
  | { kind: 'copyRange'; from: number; fromOffset: number; to: number; toOffset: number; length: number }
  | { kind: 'sync'; fd: number; how: 'all' | 'data' | 'fileSystem' };

export type Outcome = { id: number; value: number; code?: undefined } | { id: number; code: string; message: string };

/** Does a job in this thread; throws FsError. */
export function perform(job: Job): number {
  switch (job.kind) {
    case 'copy':
      copyData(job.from, job.to, job.size);
      if (job.sync) fsync(job.to);
      return job.size;
    case 'copyRange':
      return copyFileRange(job.from, job.fromOffset, job.to, job.toOffset, job.length);
    case 'sync':
      if (job.how === 'all') fsync(job.fd);
      else if (job.how === 'data') fdatasync(job.fd);
      else syncfs(job.fd);
      return 0;
  }
}

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

if (workerData !== null && typeof workerData === 'object' && 'wakeFd' in workerData) {
  const { port, wakeFd } = workerData as { port: MessagePort; wakeFd: number };
  serve(port, wakeFd);
}
