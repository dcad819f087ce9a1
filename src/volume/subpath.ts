import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { O_PATH } from '../../fs/host/constants.ts';
import { isLocal } from './paths.ts';
import { refused } from './refused.ts';
import { systemWords } from './system-words.ts';

/** A path that goes on to mean the same file, whatever becomes of its name, until it is released; to other processes, too. */
export interface HeldPath {
  path: string;
  release(): Promise<void>;
}

/**
 * A file or directory in a volume. Symlinks on the way are followed as long as they stay in the volume; one that is put there while we look leads nowhere, for what was found is then
 * opened name by name, and no symlink is followed (moby, daemon/volume/safepath).
 */
export async function holdSubpath(volume: string, subpath: string): Promise<HeldPath> {
  const base = await resolved(volume);
  const inside = posix.relative(base, await resolved(join(base, subpath))) || '.';
  if (!isLocal(inside)) throw refused(`path concatenation escapes the base directory, base: ${base}, subpath: ${subpath}`);
  let handle = await openHeld(base, base);
  for (const name of inside.split('/')) {
    const above = handle;
    try {
      handle = await openHeld(`/proc/self/fd/${above.fd}/${name}`, join(base, inside));
    } finally {
      await above.close();
    }
  }
  const held = handle;
  return { path: `/proc/${process.pid}/fd/${held.fd}`, release: () => held.close() };
}

async function resolved(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw inaccessible(path, error);
  }
}

async function openHeld(path: string, what: string): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    handle = await open(path, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    throw inaccessible(what, error);
  }
  if (!(await handle.stat()).isSymbolicLink()) return handle;
  await handle.close();
  throw inaccessible(what, new Error('too many levels of symbolic links'));
}

function inaccessible(path: string, error: unknown): Error {
  return new Error(`cannot access path ${path}: ${systemWords(error)}`, { cause: error });
}
