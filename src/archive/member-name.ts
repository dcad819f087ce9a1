import { NAME_MAX, type Name } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';

export const WHITEOUT_PREFIX = '.wh.';
export const OPAQUE_MARK = '.wh..wh..opq';
/** First components that begin so (but the opaque mark) are aufs's own. */
export const AUFS_PREFIX = '.wh..wh.';
/** Where aufs keeps files that have several names. */
export const AUFS_LINKS = '.wh..wh.plnk';

/** PATH_MAX of Linux, bytes. */
const PATH_MAX = 4096;

export function refused(reason: string): UfsError {
  return new UfsError('UFS_ARCHIVE_REFUSED', reason);
}

/** Cleans a path lexically, "" being the root: no empty, "." and ".." components. Refuses what leaves the root, NULs, and what is too long for Linux. */
export function cleanPath(path: Name): Name {
  const cleaned = NEEDS_CLEANING.test(path) ? cleanComponents(path) : path;
  if (cleaned.length > PATH_MAX) throw refused(`its name is ${cleaned.length} bytes, over ${PATH_MAX} (ENAMETOOLONG)`);
  if (cleaned.includes('\0')) throw refused('its name holds a NUL');
  if (cleaned.length > NAME_MAX) for (const component of cleaned.split('/')) checkLength(component);
  return cleaned;
}

const NEEDS_CLEANING = /^\/|\/$|\/\/|(?:^|\/)\.\.?(?:\/|$)/;

function cleanComponents(path: Name): Name {
  const components: Name[] = [];
  const absolute = path.startsWith('/');
  for (const component of path.split('/')) {
    if (component === '' || component === '.') continue;
    if (component !== '..') components.push(component);
    // As Go cleans: above "/" there is nothing, but a relative name may climb out, and then it is refused.
    else if (components.pop() === undefined && !absolute) throw refused('its name is outside of the root');
  }
  return components.join('/');
}

function checkLength(component: Name): void {
  // A whiteout is never a file: what it hides has to fit.
  const length = component.startsWith(WHITEOUT_PREFIX) ? component.length - WHITEOUT_PREFIX.length : component.length;
  if (length > NAME_MAX) throw refused(`a component of its name is ${component.length} bytes, over ${NAME_MAX} (ENAMETOOLONG)`);
}

/** "a/b/c" → ["a/b", "c"]; the root is its own parent. */
export function splitPath(path: Name): [parent: Name, leaf: Name] {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? ['', path] : [path.slice(0, slash), path.slice(slash + 1)];
}
