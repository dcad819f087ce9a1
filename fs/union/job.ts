import { copyData } from '../host/copy.ts';
import { copyFileRange, fdatasync, fsync, syncfs } from '../host/file.ts';

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
