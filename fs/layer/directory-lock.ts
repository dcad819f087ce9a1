import { FsError, hasCode } from '../errno.ts';
import { nameToText } from '../name.ts';
import { close, readlinkAt, reopen } from '../host/at.ts';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../host/constants.ts';
import { flock, LOCK_EX, LOCK_NB } from '../host/file.ts';

/**
 * Takes a directory for one mount alone: until the descriptor it gives is closed, or the process ends, however it does. EBUSY where another has it; undefined
 * where the file system has no such locks, or we may not read the directory.
 */
export function lockDirectory(directory: number, use: string): number | undefined {
  let fd: number;
  try {
    fd = reopen(directory, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (!hasCode(error, 'EACCES')) throw error;
    return undefined;
  }
  try {
    flock(fd, LOCK_EX | LOCK_NB);
    return fd;
  } catch (error) {
    close(fd);
    if (hasCode(error, 'EAGAIN')) throw new FsError('EBUSY', `Cannot use "${nameToText(readlinkAt(AT_FDCWD, `/proc/self/fd/${directory}`))}" as the ${use}: another mount uses it`);
    if (hasCode(error, 'ENOLCK', 'EOPNOTSUPP', 'ENOSYS', 'EBADF', 'EINVAL')) return undefined;
    throw error;
  }
}
