import { statfsSync } from 'node:fs';
import type { DriverOptions } from './options.ts';

/** Bytes of the file system of a path that are free, and that are to stay free. */
export function freeSpace(path: string, wanted: DriverOptions['minFreeSpace']): { free: number; minimum: number } {
  const { bsize, blocks, bavail } = statfsSync(path);
  const minimum = wanted === undefined ? 0 : 'bytes' in wanted ? wanted.bytes : wanted.part * blocks * bsize;
  return { free: bavail * bsize, minimum };
}
