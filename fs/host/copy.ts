import { FsError, hasCode } from '../errno.ts';
import { SEEK_DATA, SEEK_HOLE } from './constants.ts';
import { copyFileRange, lseek, preadFull, pwrite, truncateFd } from './file.ts';
import { libc } from './native.ts';

/** FICLONE of linux/fs.h. */
const FICLONE = 0x40049409;
const PIECE = 1 << 20;

/**
 * Makes the empty file `to` hold the data of `from`: as a clone where the file system can share blocks, else by copying its data ranges in the kernel, else
 * through a buffer. Holes stay holes. `size` is the size of `from`, bytes.
 */
export function copyData(from: number, to: number, size: number): void {
  if (size === 0) return;
  if (libc.ioctlNumber(to, FICLONE, from) === 0) return;
  truncateFd(to, size);
  let end = 0;
  for (let start = nextData(from, 0); start < size; start = nextData(from, end)) {
    end = Math.min(lseek(from, start, SEEK_HOLE), size);
    copyRange(from, to, start, end);
  }
}

function nextData(fd: number, offset: number): number {
  try {
    return lseek(fd, offset, SEEK_DATA);
  } catch (error) {
    if (hasCode(error, 'ENXIO')) return Number.MAX_SAFE_INTEGER;
    throw error;
  }
}

function copyRange(from: number, to: number, start: number, end: number): void {
  let offset = start;
  try {
    while (offset < end) {
      const count = copyFileRange(from, offset, to, offset, end - offset);
      if (count === 0) throw new FsError('EIO', `Cannot copy a file: it ends at ${offset}, not at ${end}`);
      offset += count;
    }
    return;
  } catch (error) {
    if (!hasCode(error, 'EXDEV', 'EINVAL', 'EOPNOTSUPP', 'ENOSYS')) throw error;
  }
  const buffer = Buffer.allocUnsafe(Math.min(PIECE, end - offset));
  while (offset < end) {
    const count = preadFull(from, buffer, 0, Math.min(buffer.length, end - offset), offset);
    if (count === 0) throw new FsError('EIO', `Cannot copy a file: it ends at ${offset}, not at ${end}`);
    for (let done = 0; done < count; ) done += pwrite(to, buffer, done, count - done, offset + done);
    offset += count;
  }
}
