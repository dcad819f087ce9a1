import type { Name } from '../name.ts';
import type { MergedEntry } from './merge.ts';

/** A name of a directory. `offset`: behind it, as readdir(2) is told to go on. */
export interface ListedEntry extends MergedEntry {
  offset: number;
}

/** Offsets below are those of "." and "..". */
const FIRST = 3;
const HALF = 1 << 26;

/** 52 bits of a name: FNV-1a, and a second one that starts and multiplies otherwise. */
function hash(name: Name): number {
  let [high, low] = [0x811c9dc5, 0x9747b28c];
  for (let index = 0; index < name.length; index += 1) {
    const byte = name.charCodeAt(index);
    high = Math.imul(high ^ byte, 0x01000193);
    low = Math.imul((low ^ byte) + (low >>> 15), 0x85ebca6b);
  }
  return ((high ^ (high >>> 15)) & (HALF - 1)) * HALF + ((low ^ (low >>> 13)) & (HALF - 1));
}

/**
 * Names in an order, with offsets, that depend on the names alone, as ext4 has them: who reads on, be it in what the kernel remembers of a listing before and
 * then here, misses none and gets none twice, whatever was made, removed, renamed and copied up meanwhile.
 */
export function inLastingOrder(entries: readonly MergedEntry[]): ListedEntry[] {
  const listed = entries.map((entry) => ({ ...entry, offset: FIRST + hash(entry.name) }));
  listed.sort((a, b) => a.offset - b.offset || (a.name < b.name ? -1 : 1));
  // Equal hashes are for the patient; even then each name has its own offset.
  for (let index = 1; index < listed.length; index += 1) {
    const before = (listed[index - 1] as ListedEntry).offset;
    const entry = listed[index] as ListedEntry;
    if (entry.offset <= before) entry.offset = before + 1;
  }
  return listed;
}

/** The index of the first entry behind an offset. */
export function firstBehind(entries: readonly ListedEntry[], offset: number): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle] as ListedEntry).offset <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
