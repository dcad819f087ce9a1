import { setImmediate } from 'node:timers/promises';
import { hasCode } from '../../fs/errno.ts';
import { close, type HostStat, openAt, openPath, statAt, statFd } from '../../fs/host/at.ts';
import { O_DIRECTORY, O_PATH } from '../../fs/host/constants.ts';
import { listDirectory } from '../../fs/host/directory.ts';
import { nameFromText } from '../../fs/name.ts';
import { isDirectory, isRegular } from '../../fs/stat.ts';

/** What a directory with all below it is on disk; an inode with several names counts once. */
export interface TakenSpace {
  /** Bytes of the blocks that its inodes have. */
  mapped: number;
  /** Bytes of its regular files by their sizes: with holes, and with data that is in a layer below. */
  logical: number;
  /** Where the last byte is that one of its files has: the offset behind it. */
  highest: number;
  inodes: number;
}

/** st_blocks are of this many bytes, whatever the file system's. */
const BLOCK = 512;

/** Looks at all inodes at and below a directory, which may be changed meanwhile; others get their turn after each directory. */
export async function takenBelow(path: string): Promise<TakenSpace> {
  const seen = new Set<number>();
  const taken: TakenSpace = { mapped: 0, logical: 0, highest: 0, inodes: 0 };
  const count = (stat: HostStat): void => {
    if (seen.has(stat.ino)) return;
    seen.add(stat.ino);
    taken.inodes += 1;
    taken.mapped += stat.blocks * BLOCK;
    if (!isRegular(stat)) return;
    taken.logical += stat.size;
    if (stat.blocks > 0) taken.highest = Math.max(taken.highest, stat.size);
  };
  const top = openPath(nameFromText(path), O_PATH | O_DIRECTORY);
  count(statFd(top));
  const pending = [top];
  try {
    for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
      try {
        for (const { name } of listDirectory(directory)) {
          try {
            const stat = statAt(directory, name);
            count(stat);
            if (isDirectory(stat)) pending.push(openAt(directory, name, O_PATH | O_DIRECTORY));
          } catch (error) {
            if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
          }
        }
      } finally {
        close(directory);
      }
      await setImmediate();
    }
  } finally {
    for (const left of pending) close(left);
  }
  return taken;
}
