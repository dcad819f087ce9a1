import { existsSync, readFileSync } from 'node:fs';
import { parseDriverOptions } from '../docker/options.ts';
import { UfsError } from '../errors.ts';

/** Read where it is there, and no other is named. */
export const DEFAULT_CONFIG = '/etc/ufs/ufs.json';

/** What `ufs serve` is told by a file: what its flags say too. */
export interface ServeConfig {
  docker?: string | true;
  volumes?: string | true;
  volumeScope?: 'local' | 'global';
  runDirectory?: string;
  pluginDirectory?: string;
  /** "key=value", as of dockerd --storage-opt. */
  storageOpts?: readonly string[];
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

/** How each key is written, what it may be, and in which words. */
const KEYS: Readonly<Record<string, { name: keyof ServeConfig; fits: (value: unknown) => boolean; words: string }>> = {
  docker: { name: 'docker', fits: (value) => typeof value === 'boolean' || isText(value), words: 'true, false or a name' },
  volumes: { name: 'volumes', fits: (value) => typeof value === 'boolean' || isText(value), words: 'true, false or a name' },
  'volume-scope': { name: 'volumeScope', fits: (value) => value === 'local' || value === 'global', words: '"local" or "global"' },
  'run-directory': { name: 'runDirectory', fits: isText, words: 'a path' },
  'plugin-directory': { name: 'pluginDirectory', fits: isText, words: 'a path' },
  'storage-opts': { name: 'storageOpts', fits: (value) => Array.isArray(value) && value.every(isText), words: 'a list of "key=value"' },
};

/** Reads a configuration: JSON, an object with the names of flags as keys. UFS_CONFIG, naming the file and the key. */
export function readServeConfig(path: string): ServeConfig {
  const config: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(parse(path))) {
    const known = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
    if (known === undefined) throw new UfsError('UFS_CONFIG', `Cannot use the configuration ${path}: unknown key "${key}"; there are ${Object.keys(KEYS).join(', ')}`);
    if (!known.fits(value)) throw new UfsError('UFS_CONFIG', `Cannot use the configuration ${path}: "${key}" has to be ${known.words}`);
    if (known.name === 'storageOpts') checkStorageOpts(path, value as string[]);
    if (value !== false) config[known.name] = value;
  }
  return config;
}

/** The configuration at `path` or, without one, at the usual place, where there may be none. */
export function serveConfig(path: string | undefined, usual = DEFAULT_CONFIG): ServeConfig {
  return path === undefined && !existsSync(usual) ? {} : readServeConfig(path ?? usual);
}

function checkStorageOpts(path: string, options: readonly string[]): void {
  try {
    parseDriverOptions(options);
  } catch (cause) {
    throw new UfsError('UFS_CONFIG', `Cannot use the configuration ${path}: "storage-opts": ${(cause as Error).message}`, { cause });
  }
}

function parse(path: string): object {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as unknown;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('it is no JSON object');
    return value;
  } catch (cause) {
    throw new UfsError('UFS_CONFIG', `Cannot read the configuration ${path}: ${(cause as Error).message}`, { cause });
  }
}
