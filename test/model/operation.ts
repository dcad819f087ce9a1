import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../fs/host/constants.ts';
import { randomPath } from './layers.ts';
import { pick, type Random } from './random.ts';

/** One step of a script, as plain data: a script can be printed, cut short and run again. Files are kept open in slots. */
export type Operation =
  | { do: 'open'; slot: number; path: string; flags: 'r' | 'r+' | 'w+' | 'a' }
  | { do: 'create' | 'tmpfile'; slot: number; path: string }
  | { do: 'close' | 'fstat' | 'fsync'; slot: number }
  | { do: 'pread'; slot: number; offset: number; length: number }
  | { do: 'pwrite'; slot: number; offset: number; data: string }
  | { do: 'ftruncate'; slot: number; size: number }
  | { do: 'fchmod'; slot: number; mode: number }
  | { do: 'linkat'; slot: number; path: string }
  | { do: 'mkdir' | 'rmdir' | 'unlink' | 'symlink' | 'mkfifo' | 'list' | 'stat'; path: string }
  | { do: 'truncate'; path: string; size: number }
  | { do: 'chmod'; path: string; mode: number }
  | { do: 'chown'; path: string; owner: number }
  | { do: 'utimes'; path: string; time: number }
  | { do: 'setxattr'; path: string; name: string; value: string }
  | { do: 'removexattr'; path: string; name: string }
  | { do: 'rename'; path: string; to: string; flags: number }
  | { do: 'link'; path: string; to: string }
  | { do: 'remount' | 'check' };

export const SLOTS = 4;
const ACTIONS: readonly Operation['do'][] = [
  'open', 'open', 'open', 'create', 'create', 'tmpfile', 'close', 'fstat', 'fstat', 'fsync', 'pread', 'pread', 'pwrite', 'pwrite', 'pwrite', 'ftruncate', 'fchmod', 'linkat',
  'mkdir', 'mkdir', 'rmdir', 'unlink', 'unlink', 'symlink', 'mkfifo', 'list', 'stat', 'truncate', 'chmod', 'chown', 'utimes', 'setxattr', 'setxattr', 'removexattr',
  'rename', 'rename', 'rename', 'rename', 'link', 'link',
];

/** A script of so many steps; it is checked, and mounted anew, now and then. `readers`: files are opened for reading alone too; `known`: files there are. */
export function randomScript(next: Random, length: number, { readers, known }: { readers: boolean; known: readonly string[] }): Operation[] {
  // Few files, so that what one open file does shows in others.
  const favourites = [pick(next, known), pick(next, known)];
  return Array.from({ length }, (_, index) => {
    if (index < 2 && readers) return { do: 'open', slot: index, path: favourites[index] as string, flags: 'r' };
    if (index % 25 === 24) return { do: 'check' };
    if (index % 60 === 59) return { do: 'remount' };
    return randomOperation(next, readers, () => (next(3) === 0 ? randomPath(next) : next(2) === 0 ? pick(next, known) : pick(next, favourites)));
  });
}

function randomOperation(next: Random, readers: boolean, anyPath: () => string): Operation {
  const action = pick(next, ACTIONS);
  const [slot, path] = [next(SLOTS), anyPath()];
  const [offset, size] = [pick(next, [0, 1, 5, 4095, 4096, 6001]), pick(next, [0, 3, 4096, 5000, 9000])];
  switch (action) {
    case 'open': return { do: action, slot, path, flags: pick(next, readers ? ['r', 'r', 'r+', 'w+', 'a'] : ['r+', 'w+', 'a']) };
    case 'create': case 'tmpfile': case 'linkat': return { do: action, slot, path };
    case 'close': case 'fstat': case 'fsync': return { do: action, slot };
    case 'pread': return { do: action, slot, offset, length: 1 + next(8000) };
    case 'pwrite': return { do: action, slot, offset, data: `${next(10)}`.repeat(1 + next(pick(next, [5, 5000]))) };
    case 'ftruncate': return { do: action, slot, size };
    case 'fchmod': return { do: action, slot, mode: 0o600 + next(64) };
    case 'truncate': return { do: action, path, size };
    case 'chmod': return { do: action, path, mode: 0o700 + next(64) };
    case 'chown': return { do: action, path, owner: next(4) };
    case 'utimes': return { do: action, path, time: 1_000_000_000 + next(1000) };
    case 'setxattr': return { do: action, path, name: pick(next, ['trusted.x', 'user.y']), value: `${next(100)}` };
    case 'removexattr': return { do: action, path, name: pick(next, ['trusted.x', 'user.y']) };
    case 'rename': return { do: action, path, to: anyPath(), flags: pick(next, [0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE]) };
    case 'link': return { do: action, path, to: anyPath() };
    default: return { do: action as 'mkdir', path };
  }
}

export function printed(script: readonly Operation[]): string {
  return script.map((operation) => JSON.stringify(operation)).join('\n');
}
