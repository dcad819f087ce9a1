import { UfsError } from '../errors.ts';
import type { KeepFree } from '../store/pool-file.ts';
import { parseSize } from '../store/size-text.ts';

/** What a container's storage may be told. */
export interface StorageOptions {
  /** Bytes its writable layer may take. */
  size?: number;
}

/** What holds for the whole store. */
export interface DriverOptions {
  /** For containers whose user says nothing else. */
  storage: StorageOptions;
  /** What new layers leave free of the pool or, where that has no limit, of the file system. */
  minFreeSpace?: KeepFree;
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

function parseShare(text: string): KeepFree {
  const percent = /^(\d{1,2}(?:\.\d+)?)%$/.exec(text.trim())?.[1];
  return percent === undefined ? { bytes: parseSize(text), part: 0 } : { bytes: 0, part: Number(percent) / 100 };
}
