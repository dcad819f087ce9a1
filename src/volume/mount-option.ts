import { resolve } from 'node:path';
import { csvRecord } from './csv-record.ts';
import type { BindOptions, DriverConfig, Mount } from './mount.ts';
import { ramInBytes } from './ram-size.ts';
import { quoted, refused } from './refused.ts';

/** Keys that mean true where they have no value. */
const BOOLEANS = ['readonly', 'ro', 'volume-nocopy', 'bind-nonrecursive', 'bind-create-src'];

const RECURSIVE: ReadonlyMap<string, keyof BindOptions> = new Map([['disabled', 'nonRecursive'], ['writable', 'readOnlyNonRecursive'], ['readonly', 'readOnlyForceRecursive']]);

/**
 * The mount of `--mount KEY=VALUE,…` as docker's command line takes it (docker/cli, opts/mount.go), a volume where it has no type. What that refuses is refused (UFS_USAGE) in its words;
 * what the mount as a whole lacks, `parseMountSpec` refuses. Sources that begin with a dot are below `directory`.
 */
export function parseMountOption(value: string, directory: string = process.cwd()): Mount {
  const text = trimmed(value);
  if (text === '') throw refused('value is empty');
  const mount: Mount = { type: 'volume' };
  for (const field of csvRecord(text)) readField(mount, field, directory);
  checkOptions(mount);
  return mount;
}

function readField(mount: Mount, field: string, directory: string): void {
  const [word, value] = cut(field);
  if (trimmed(word) !== word) throw refused(`invalid option '${trimmed(word)}' in '${field}': option should not have whitespace`);
  if (value !== undefined && trimmed(value) === '') throw refused(`invalid value for '${word}': value is empty`);
  if (value !== undefined && trimmed(value) !== value) throw refused(`invalid value for '${word}' in '${field}': value should not have whitespace`);
  const key = word.toLowerCase();
  if (value === undefined && !BOOLEANS.includes(key)) throw refused(`invalid field '${field}' must be a key=value pair`);
  if (!setField(mount, key, value ?? 'true', directory)) throw refused(`unknown option '${key}' in '${field}'`);
}

/** False where there is no such key. */
function setField(mount: Mount, key: string, value: string, directory: string): boolean {
  switch (key) {
    case 'type':
      mount.type = value.toLowerCase();
      return true;
    case 'source':
    case 'src':
      mount.source = value.startsWith('.') ? resolve(directory, value) : value;
      return true;
    case 'target':
    case 'dst':
    case 'destination':
      mount.target = value;
      return true;
    case 'readonly':
    case 'ro':
      mount.readOnly = booleanValue(key, value);
      return true;
    case 'consistency':
      mount.consistency = value.toLowerCase();
      return true;
    default:
      return key.startsWith('bind-') ? setBind(mount, key, value) : key.startsWith('volume-') ? setVolume(mount, key, value) : setTmpfs(mount, key, value);
  }
}

function setBind(mount: Mount, key: string, value: string): boolean {
  switch (key) {
    case 'bind-propagation':
      mount.bindOptions = { ...mount.bindOptions, propagation: value.toLowerCase() };
      return true;
    case 'bind-nonrecursive':
      throw refused('bind-nonrecursive is deprecated, use bind-recursive=disabled instead');
    case 'bind-recursive':
      setRecursive(mount, value);
      return true;
    case 'bind-create-src':
      mount.bindOptions = { ...mount.bindOptions, createMountpoint: booleanValue(key, value) };
      return true;
    default:
      return false;
  }
}

function setRecursive(mount: Mount, value: string): void {
  if (value === 'enabled') return;
  const option = RECURSIVE.get(value);
  if (option === undefined) throw refused(`invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable", or "readonly")`);
  mount.bindOptions = { ...mount.bindOptions, [option]: true };
}

function setVolume(mount: Mount, key: string, value: string): boolean {
  const options = mount.volumeOptions;
  switch (key) {
    case 'volume-subpath':
      mount.volumeOptions = { ...options, subpath: value };
      return true;
    case 'volume-nocopy':
      mount.volumeOptions = { ...options, noCopy: booleanValue(key, value) };
      return true;
    case 'volume-label':
      mount.volumeOptions = { ...options, ...withEntry('labels', options?.labels, value) };
      return true;
    case 'volume-driver':
      setDriver(mount, { name: value });
      return true;
    case 'volume-opt':
      setDriver(mount, withEntry('options', options?.driverConfig?.options, value));
      return true;
    default:
      return false;
  }
}

function setDriver(mount: Mount, config: DriverConfig): void {
  mount.volumeOptions = { ...mount.volumeOptions, driverConfig: { ...mount.volumeOptions?.driverConfig, ...config } };
}

function setTmpfs(mount: Mount, key: string, value: string): boolean {
  if (key !== 'tmpfs-size' && key !== 'tmpfs-mode') return false;
  const number = key === 'tmpfs-size' ? ramInBytes(value) : octal(value);
  if (number === undefined) throw refused(`invalid value for ${key}: ${value}`);
  mount.tmpfsOptions = { ...mount.tmpfsOptions, [key === 'tmpfs-size' ? 'sizeBytes' : 'mode']: number };
  return true;
}

function octal(text: string): number | undefined {
  const number = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
  return number !== undefined && number < 2 ** 32 ? number : undefined;
}

/** One entry more, KEY=VALUE or KEY; nothing where the key is empty. The last of several with one key counts. */
function withEntry<Name extends string>(name: Name, entries: Readonly<Record<string, string>> | undefined, entry: string): { [name in Name]?: Record<string, string> } {
  const [key, value = ''] = cut(entry);
  return (key === '' ? {} : { [name]: { ...entries, [key]: value } }) as { [name in Name]?: Record<string, string> };
}

/** Without white space at its ends, as Unicode has it. */
function trimmed(text: string): string {
  return text.replace(/^\p{White_Space}+|\p{White_Space}+$/gu, '');
}

function cut(text: string): [string, string | undefined] {
  const equals = text.indexOf('=');
  return equals === -1 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
}

function booleanValue(key: string, value: string): boolean {
  if (value === '1' || value === 'true') return true;
  if (value === '0' || value === 'false') return false;
  throw refused(`invalid value for '${key}': invalid boolean value (${quoted(value)}): must be one of "true", "1", "false", or "0" (default "true")`);
}

function checkOptions({ type, readOnly, bindOptions, volumeOptions, tmpfsOptions }: Mount): void {
  for (const [own, options] of [['bind', bindOptions], ['volume', volumeOptions], ['tmpfs', tmpfsOptions]] as const) {
    if (type !== own && options !== undefined) throw refused(`cannot mix '${own}-*' options with mount type '${type}'`);
  }
  for (const [word, asked] of [['writable', bindOptions?.readOnlyNonRecursive], ['readonly', bindOptions?.readOnlyForceRecursive]] as const) {
    if (asked === true && readOnly !== true) throw refused(`option 'bind-recursive=${word}' requires 'readonly' to be specified in conjunction`);
  }
  if (bindOptions?.readOnlyForceRecursive === true && bindOptions.propagation !== 'rprivate') {
    throw refused("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction");
  }
}
