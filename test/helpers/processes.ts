import { readdirSync, readFileSync } from 'node:fs';

/** The processes that were started with such a word. */
export function processesWith(isIt: (word: string) => boolean): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').some(isIt);
    } catch {
      // It has ended.
      return false;
    }
  });
}
