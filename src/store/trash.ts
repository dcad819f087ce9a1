import { chmodSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { hasCode } from '../../fs/errno.ts';
import { close, openAt, openPath, renameAt, rmdirAt, statAt, unlinkAt } from '../../fs/host/at.ts';
import { O_DIRECTORY, O_PATH, O_RDONLY, RENAME_NOREPLACE } from '../../fs/host/constants.ts';
import { listDirectory } from '../../fs/host/directory.ts';
import { nameFromText, type Name } from '../../fs/name.ts';
import { isDirectory } from '../../fs/stat.ts';

/** Entries removed before others get their turn. */
const BATCH = 500;

/**
 * Deletes everything in a directory, one after another: an entry is there until nothing is left of it. What can't be deleted stays, and the first reason is thrown when all
 * else is gone. What has no permissions gets them first. Symlinks are removed, never followed.
 */
export async function emptyDirectory(path: string): Promise<void> {
  const top = openPath(nameFromText(path), O_RDONLY | O_DIRECTORY);
  const stuck = new Map<Name, unknown>();
  try {
    const left = (): Name[] => listDirectory(top).map(({ name }) => name).filter((name) => !stuck.has(name));
    for (let names = left(); names.length > 0; names = left()) {
      for (const name of names) {
        try {
          await remove(top, name);
        } catch (error) {
          stuck.set(name, error);
        }
      }
    }
  } finally {
    close(top);
  }
  for (const error of stuck.values()) throw error;
}

/** What is deep is moved up before it is entered, so neither the depth of a tree nor the length of its paths has a limit. */
async function remove(parent: number, name: Name): Promise<void> {
  if (!unlock(parent, name)) return unlinkAt(parent, name);
  const top = openAt(parent, name, O_RDONLY | O_DIRECTORY);
  let moved = 0;
  let removed = 0;
  try {
    for (let names = listDirectory(top); names.length > 0; names = listDirectory(top)) {
      for (const { name: inner } of names) {
        if (++removed % BATCH === 0) await setImmediate();
        if (!unlock(top, inner)) {
          unlinkAt(top, inner);
          continue;
        }
        const directory = openAt(top, inner, O_RDONLY | O_DIRECTORY);
        try {
          for (const child of listDirectory(directory)) {
            if (++removed % BATCH === 0) await setImmediate();
            if (unlock(directory, child.name)) moved = moveUp(directory, child.name, top, moved);
            else unlinkAt(directory, child.name);
          }
        } finally {
          close(directory);
        }
        rmdirAt(top, inner);
      }
    }
  } finally {
    close(top);
  }
  rmdirAt(parent, name);
}

/** True for a directory, which one may then list, change and move: as its owner one can give oneself that. */
function unlock(parent: number, name: Name): boolean {
  const stat = statAt(parent, name);
  if (!isDirectory(stat)) return false;
  if ((stat.mode & 0o700) === 0o700) return true;
  const handle = openAt(parent, name, O_PATH | O_DIRECTORY);
  try {
    chmodSync(`/proc/self/fd/${handle}`, 0o700);
  } finally {
    close(handle);
  }
  return true;
}

function moveUp(directory: number, name: Name, top: number, moved: number): number {
  for (;;) {
    try {
      renameAt(directory, name, top, `deep-${++moved}`, RENAME_NOREPLACE);
      return moved;
    } catch (error) {
      // A leftover of an earlier attempt has that name: the next one will do.
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }
}
