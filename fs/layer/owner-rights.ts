import { attempt, hasCode } from '../errno.ts';
import { isDirectory, PERMISSIONS } from '../stat.ts';
import { close, openTarget, statFd } from '../host/at.ts';
import { chmodFd } from '../host/attributes.ts';
import { O_PATH } from '../host/constants.ts';
import type { XattrTarget } from '../host/xattr.ts';

const OWNER = 0o700;

/**
 * Does what needs rights in directories that their own modes may not give their owner, such as moving one (its ".." changes) or marking it. Where we may not
 * override modes, the owner has these rights for that moment, and nobody else more than before. `act` may be called twice: it fails before it does anything.
 */
export function withOwnerRights<T>(directories: readonly XattrTarget[], act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!hasCode(error, 'EACCES')) throw error;
    const lacking = directories.map(opened).filter(isLacking);
    try {
      if (lacking.length === 0) throw error;
      for (const { fd, mode } of lacking) chmodFd(fd, mode | OWNER);
      return act();
    } finally {
      for (const { fd, mode } of lacking) {
        attempt(() => chmodFd(fd, mode));
        close(fd);
      }
    }
  }
}

interface Opened {
  fd: number;
  mode: number;
  isDirectory: boolean;
}

function opened(target: XattrTarget): Opened {
  const fd = openTarget(target, O_PATH);
  const stat = statFd(fd);
  return { fd, mode: stat.mode & PERMISSIONS, isDirectory: isDirectory(stat) };
}

function isLacking({ fd, mode, isDirectory: is }: Opened): boolean {
  if (is && (mode & OWNER) !== OWNER) return true;
  close(fd);
  return false;
}
