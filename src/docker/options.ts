import { UfsError } from '../errors.ts';

/** What a container's storage may be told. */
export interface StorageOptions {
  /** Bytes its writable layer may take. */
  size?: number;
}

/** What holds for the whole store. */
export interface DriverOptions {
  /** For containers whose user says nothing else. */
  storage: StorageOptions;
  /** What new layers leave free: bytes, or a part (0 to 1) of what the file system has. */
  minFreeSpace?: { bytes: number } | { part: number };
}

/** `dockerd --storage-opt key=value`. */
export function parseDriverOptions(options: readonly string[]): DriverOptions {
  const parsed: DriverOptions = { storage: {} };
  for (const option of options) {
    const at = option.indexOf('=');
    if (at < 0) throw new UfsError('UFS_USAGE', `Cannot take the storage option "${option}": not key=value`);
    const [key, value] = [option.slice(0, at).toLowerCase(), option.slice(at + 1)];
    if (key === 'min_free_space') parsed.minFreeSpace = parseShare(value);
    else Object.assign(parsed.storage, parseStorageOptions({ [key]: value }));
  }
  return parsed;
}

/** `docker run --storage-opt key=value`. */
export function parseStorageOptions(options: Readonly<Record<string, string>>): StorageOptions {
  const parsed: StorageOptions = {};
  for (const [key, value] of Object.entries(options)) {
    if (key.toLowerCase() !== 'size') throw new UfsError('UFS_USAGE', `Unknown option ${key}`);
    parsed.size = parseSize(value);
  }
  return parsed;
}

function parseShare(text: string): { bytes: number } | { part: number } {
  const percent = /^(\d{1,2}(?:\.\d+)?)%$/.exec(text.trim())?.[1];
  return percent === undefined ? { bytes: parseSize(text) } : { part: Number(percent) / 100 };
}

/** Bytes that are to stay free of a file system of `total`. */
export function minimumFree(wanted: DriverOptions['minFreeSpace'], total: number): number {
  if (wanted === undefined) return 0;
  return 'bytes' in wanted ? wanted.bytes : wanted.part * total;
}

const POWERS = 'kmgtp';

/** A size as Docker takes it (go-units, RAMInBytes): 1024-based, "64m", "1.5GiB". */
export function parseSize(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** (unit === '' ? 0 : POWERS.indexOf(unit.toLowerCase()) + 1));
  if (number === undefined || !Number.isSafeInteger(bytes) || bytes <= 0) throw new UfsError('UFS_USAGE', `Cannot use "${text}" as a size: not a number of bytes above 0, or of k, m, g, t or p`);
  return bytes;
}
