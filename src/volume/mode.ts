import { refused } from './refused.ts';
import type { Propagation } from './mount.ts';

/** What a bind has where nobody says otherwise. */
export const DEFAULT_PROPAGATION: Propagation = 'rprivate';

/** Words of a mode, by what they decide. A mode has at most one word of each row. */
const WORDS = {
  write: ['rw', 'ro'],
  label: ['z', 'Z'],
  propagation: ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'],
  copy: ['nocopy'],
  consistency: ['consistent', 'cached', 'delegated'],
} as const satisfies Record<string, readonly string[]>;

type Row = keyof typeof WORDS;

/** The words after the second colon of `-v source:target:mode`, by what they decide; `undefined`: it isn't one, because a word is unknown, empty, or the second of its row. */
export function modeWords(mode: string): Partial<Record<Row, string>> | undefined {
  const found: Partial<Record<Row, string>> = {};
  if (mode === '') return found;
  for (const word of mode.split(',')) {
    const row = (Object.keys(WORDS) as Row[]).find((name) => (WORDS[name] as readonly string[]).includes(word));
    if (row === undefined || found[row] !== undefined) return undefined;
    found[row] = word;
  }
  return found;
}

/** The same; a mode that isn't one is refused. */
export function knownMode(mode: string): Partial<Record<Row, string>> {
  const words = modeWords(mode);
  if (words === undefined) throw refused(`invalid mode: ${mode}`);
  return words;
}

export function isPropagation(word: string): word is Propagation {
  return (WORDS.propagation as readonly string[]).includes(word);
}

/** Whether a mode lets its mount be written to. One that isn't a mode doesn't. */
export function readWrite(mode: string): boolean {
  const words = modeWords(mode);
  return words !== undefined && words.write !== 'ro';
}

/** Whether a mode asks for SELinux labels (`z`, `Z`). */
export function relabels(mode: string): boolean {
  return mode.split(',').some((word) => (WORDS.label as readonly string[]).includes(word));
}

/** How a bind passes on mounts where nobody says otherwise. */
export function defaultPropagationMode(): Propagation {
  return DEFAULT_PROPAGATION;
}

/** Whether an empty volume gets what the image has at its target where nobody says otherwise. */
export function defaultCopyMode(): boolean {
  return true;
}
