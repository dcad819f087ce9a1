import { chmodSync, closeSync, constants, fchmodSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncfsAside } from '../../fs/host/file.ts';

export const DIRECTORY_MODE = 0o700;
export const FILE_MODE = 0o600;

/** mkdir(2) with mode 0700 whatever the umask; false where it is there already. */
export function makeDirectory(path: string): boolean {
  try {
    mkdirSync(path, DIRECTORY_MODE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  chmodSync(path, DIRECTORY_MODE);
  return true;
}

/** Writes a new file, mode 0600 whatever the umask, and syncs it, unless the caller does that with what is around it. */
export function writeNewFile(path: string, data: string | Buffer, { sync = true }: { sync?: boolean } = {}): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, FILE_MODE);
  try {
    fchmodSync(fd, FILE_MODE);
    writeAll(fd, typeof data === 'string' ? Buffer.from(data) : data);
    if (sync) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Replaces a file at one instant: written in `aside`, synced, renamed, its directory synced. */
export function replaceFile(path: string, data: string | Buffer, aside: string): void {
  writeNewFile(aside, data);
  renameSync(aside, path);
  syncDirectory(dirname(path));
}

export function writeAll(fd: number, data: Buffer, position?: number): void {
  for (let done = 0; done < data.length; ) {
    done += writeSync(fd, data, done, data.length - done, position === undefined ? null : position + done);
  }
}

export function syncDirectory(path: string): void {
  syncFile(path, constants.O_DIRECTORY);
}

/** What is in a file, and what it says of itself, is on disk when this returns. */
export function syncFile(path: string, flags = 0): void {
  const fd = openSync(path, constants.O_RDONLY | flags);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Everything at and below a directory is on disk when this returns: one syncfs(2) costs less than an fsync a file, where there are many. All else on that file system is synced with it. */
export async function syncTree(path: string): Promise<void> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await syncfsAside(fd);
  } finally {
    closeSync(fd);
  }
}
