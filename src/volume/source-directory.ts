import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import { systemWords } from './system-words.ts';

/** Who owns what is made on the host: root of the container. */
export interface Owner {
  uid: number;
  gid: number;
}

/** Makes a missing source of a bind a directory, with those above it that are missing too. What is there, of whatever kind, stays as it is. */
export async function makeSourceDirectory(path: string, owner: Owner): Promise<void> {
  try {
    await make(path, owner);
  } catch (error) {
    const { syscall = 'mkdir', path: where = path } = error as NodeJS.ErrnoException;
    throw new Error(`error while creating mount source path '${path}': ${syscall} ${where}: ${systemWords(error)}`, { cause: error });
  }
}

async function make(path: string, owner: Owner): Promise<void> {
  if (await isThere(path)) return;
  await make(dirname(path), owner);
  try {
    await mkdir(path);
  } catch (error) {
    // Another may have made it meanwhile; a symlink that leads nowhere still does.
    if (hasCode(error, 'EEXIST') && (await isThere(path))) return;
    throw error;
  }
  await chmod(path, 0o755);
  await chown(path, owner.uid, owner.gid);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    // Below a file there is nothing to make: it is whoever mounts it who says so.
    if (hasCode(error, 'ENOTDIR')) return true;
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
