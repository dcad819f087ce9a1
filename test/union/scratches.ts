import { after } from 'node:test';
import type { FsError } from '../../fs/errno.ts';
import { Driver, type DriverOptions, Scratch } from './driver.ts';

/** Removed when the tests of the file have ended. */
export const scratches: Scratch[] = [];
after(() => scratches.forEach((scratch) => scratch.remove()));

/** A union over what a script makes. */
export function union(script: string, options: DriverOptions = {}): { scratch: Scratch; driver: Driver } {
  const scratch = new Scratch(script);
  scratches.push(scratch);
  return { scratch, driver: new Driver(scratch, options) };
}

/** How files are opened. */
export const HOW = { exec: false, killPrivileges: false };
/** For assert.throws. */
export const code = (expected: string) => (error: FsError) => error.code === expected;
