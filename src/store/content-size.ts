import { borrowedFrom } from './borrow.ts';
import { contentFiles, contentLinks } from './content-files.ts';
import type { StorePaths } from './paths.ts';

/** File data: bytes as its files' sizes say, and as they take on disk. */
export interface ContentSize {
  bytes: number;
  allocated: number;
}

export const NO_CONTENT: ContentSize = { bytes: 0, allocated: 0 };

/** What files take, each inode once. */
export function sizeOfFiles(files: Iterable<string>): ContentSize {
  const seen = new Set<string>();
  const sum = { ...NO_CONTENT };
  for (const path of files) {
    const { size, allocated, inode } = contentLinks(path);
    if (seen.has(inode)) continue;
    seen.add(inode);
    sum.bytes += size;
    sum.allocated += allocated;
  }
  return sum;
}

/** What the content of layers takes, looked at file by file. */
export function countContent(paths: StorePaths, layers: Iterable<{ number: number }>): ContentSize {
  return sizeOfFiles(filesOf(paths, layers));
}

function* filesOf(paths: StorePaths, layers: Iterable<{ number: number }>): Generator<string> {
  for (const { number } of layers) for (const { path } of contentFiles(paths.layer(number))) yield path;
}

/** What the content of one layer is on disk: also what it shares with others. */
export function takenByContent(layerDirectory: string): { mapped: number; logical: number; highest: number } {
  const taken = { mapped: 0, logical: 0, highest: 0 };
  for (const { path } of contentFiles(borrowedFrom(layerDirectory) ?? layerDirectory)) {
    const { size, allocated } = contentLinks(path);
    taken.mapped += allocated;
    taken.logical += size;
    taken.highest = Math.max(taken.highest, size);
  }
  return taken;
}
