import { close } from '../host/at.ts';
import { copyData } from '../host/copy.ts';
import { copyFileRange, duplicate, fallocate, fdatasync, fsync, preadFullTo, syncfs } from '../host/file.ts';

/** What a helper thread does; descriptors and memory are the process's. Results are numbers. */
export type Job =
  | { kind: 'copy'; from: number; to: number; size: number; sync: boolean }
  | { kind: 'copyRange'; from: number; fromOffset: number; to: number; toOffset: number; length: number }
  | { kind: 'read'; fd: number; address: bigint; length: number; offset: number }
  | { kind: 'allocate'; fd: number; mode: number; offset: number; length: number }
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
    case 'read':
      return preadFullTo(job.address, job.fd, job.length, job.offset);
    case 'allocate':
      fallocate(job.fd, job.mode, job.offset, job.length);
      return 0;
    case 'sync':
      if (job.how === 'all') fsync(job.fd);
      else if (job.how === 'data') fdatasync(job.fd);
      else syncfs(job.fd);
      return 0;
  }
}

/** The job on descriptors of its own, so that it doesn't matter what becomes of the others, and how to be rid of them. */
export function detach(job: Job): { job: Job; release: () => void } {
  if ('fd' in job) {
    const fd = duplicate(job.fd);
    return { job: { ...job, fd }, release: () => close(fd) };
  }
  const from = duplicate(job.from);
  try {
    const to = duplicate(job.to);
    return {
      job: { ...job, from, to },
      release: () => {
        close(from);
        close(to);
      },
    };
  } catch (error) {
    close(from);
    throw error;
  }
}
