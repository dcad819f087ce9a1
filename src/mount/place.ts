import { hasCode } from '../../fs/errno.ts';
import { close, openAt, readlinkAt, statFd } from '../../fs/host/at.ts';
import { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_WRONLY } from '../../fs/host/constants.ts';
import { openInRoot } from '../../fs/host/in-root.ts';
import { mkdirAt } from '../../fs/host/make.ts';
import { type Name, nameToText } from '../../fs/name.ts';
import { isSymlink } from '../../fs/stat.ts';
import { UfsError } from '../errors.ts';

/** Symlinks that may be on the way to what isn't there yet: what the kernel follows. */
const LINKS_MAX = 40;

/**
 * Opens a place in a root file system (O_PATH), symlinks resolved as if `root` were the root directory: nothing leads out of it. What isn't there is made, a directory or an empty file, with
 * the directories above it.
 */
export function openPlace(root: number, path: Name, { directory }: { directory: boolean }): number {
  let wanted = namesOf(path);
  for (let links = 0; links <= LINKS_MAX; links += 1) {
    const made = openOrMake(root, wanted, directory);
    if (typeof made === 'number') return made;
    wanted = made;
  }
  throw new UfsError('UFS_MOUNT', `Cannot mount on "${nameToText(path)}": too many symlinks on the way`);
}

/** The descriptor; or, where a symlink leads to what isn't there, the names to look at instead. */
function openOrMake(root: number, names: readonly Name[], directory: boolean): number | Name[] {
  // What isn't there has no ".." to leave it by, and names are made one below the other: so it is looked for from the top.
  let at = openInRoot(root, '/', O_PATH | O_DIRECTORY);
  try {
    for (let index = 0; index < names.length; index += 1) {
      const upTo = names.slice(0, index + 1).join('/');
      const found = openExisting(root, upTo);
      if (found === undefined) {
        const target = symlinkAt(at, names[index] as Name);
        if (target !== undefined) return [...(target.startsWith('/') ? [] : names.slice(0, index)), ...namesOf(target), ...names.slice(index + 1)];
        make(at, names[index] as Name, directory || index < names.length - 1);
      }
      close(at);
      at = found ?? openInRoot(root, upTo, O_PATH);
    }
    const result = at;
    at = -1;
    return result;
  } finally {
    if (at >= 0) close(at);
  }
}

function openExisting(root: number, path: Name): number | undefined {
  try {
    return openInRoot(root, path, O_PATH);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function symlinkAt(directory: number, name: Name): Name | undefined {
  let fd: number;
  try {
    fd = openAt(directory, name, O_PATH | O_NOFOLLOW);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    return isSymlink(statFd(fd)) ? readlinkAt(fd, '') : undefined;
  } finally {
    close(fd);
  }
}

function make(at: number, name: Name, directory: boolean): void {
  if (directory) mkdirAt(at, name, 0o755);
  else close(openAt(at, name, O_WRONLY | O_CREAT | O_EXCL, 0o644));
}

/** ".." stays: what it takes back may be a symlink. */
function namesOf(path: Name): Name[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
