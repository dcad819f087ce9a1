import { UfsError } from '../errors.ts';

const POWERS = 'kmgtp';

/** A size as Docker takes it (go-units, RAMInBytes): 1024-based, "64m", "1.5GiB". UFS_USAGE. */
export function parseSize(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** (unit === '' ? 0 : POWERS.indexOf(unit.toLowerCase()) + 1));
  if (number === undefined || !Number.isSafeInteger(bytes) || bytes <= 0) throw new UfsError('UFS_USAGE', `Cannot use "${text}" as a size: not a number of bytes above 0, or of k, m, g, t or p`);
  return bytes;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Bytes in the largest unit there is one of, in powers of 1000. */
export function inUnits(bytes: number): { size: number; unit: string } {
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return { size, unit: UNITS[unit] as string };
}

/** As Docker says sizes (go-units, HumanSize): 1000-based, four digits. */
export function humanSize(bytes: number): string {
  const { size, unit } = inUnits(bytes);
  return `${Number(size.toPrecision(4))}${unit}`;
}
