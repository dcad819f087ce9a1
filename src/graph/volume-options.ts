import type { IdRange } from '../../fs/id-map.ts';
import { UfsError } from '../errors.ts';
import { parseSize } from '../store/size-text.ts';

export const SEED_KINDS = ['image', 'layer', 'container', 'volume', 'tar'] as const;

/** What a volume begins with. Without a kind: a tar where it is an absolute path, else an image or a volume. */
export interface Seed {
  kind?: (typeof SEED_KINDS)[number];
  name: string;
}

/** What a volume is made with, and is. */
export interface VolumeOptions {
  /** In words: "image:debian:12". */
  from?: string;
  /** Bytes it may take besides what it is from. */
  size?: number;
  /** How many files and directories it may have besides those it is from. */
  inodes?: number;
  readOnly?: true;
  /** Of its root, as they are kept. */
  uid?: number;
  gid?: number;
  mode?: number;
  uidMap?: readonly IdRange[];
  gidMap?: readonly IdRange[];
  labels?: Readonly<Record<string, string>>;
}

const LABEL = 'label.';

/** Each option: how it is read, and what it says. */
const OPTIONS: Readonly<Record<string, { read: (text: string) => VolumeOptions; words: string }>> = {
  from: { read: (text) => ({ from: seedText(parseSeed(text)) }), words: 'what it begins with: image:NAME, layer:ID, container:NAME, volume:NAME or tar:/PATH; a bare name is an image or a volume, a bare path a tar. Names are those of "ufs images", "ufs containers" (there Docker\'s have docker: in front; its images are its own) and "ufs volume ls". The content is shared, not copied, but for what was written to a container, or to a volume that is in use or has a limit' },
  size: { read: (text) => ({ size: parseSize(text) }), words: 'bytes it may take besides that, as 500m or 20g (powers of 1024)' },
  inodes: { read: (text) => ({ inodes: wholeNumber(text, 1) }), words: 'how many files and directories it may have besides those' },
  ro: { read: (text) => (isSet(text) ? { readOnly: true } : {}), words: 'nothing in it can be changed' },
  uid: { read: (text) => ({ uid: wholeNumber(text, 0) }), words: 'the owner of its root' },
  gid: { read: (text) => ({ gid: wholeNumber(text, 0) }), words: 'the group of its root' },
  mode: { read: (text) => ({ mode: parseMode(text) }), words: 'the permissions of its root, in octal' },
  uidmap: { read: (text) => ({ uidMap: parseRanges(text) }), words: 'inside:outside:size, users that are kept as the one are shown as the other; several with commas' },
  gidmap: { read: (text) => ({ gidMap: parseRanges(text) }), words: 'the same for groups; without it as uidmap' },
};

/** A line for each option. */
export const OPTION_HELP: readonly string[] = [...Object.entries(OPTIONS).map(([name, { words }]) => `${name}: ${words}`), `${LABEL}KEY: a label, which "ufs volume ls" and "prune" can ask for`];

/** What `docker volume create -o` says. UFS_USAGE, naming the option. */
export function parseVolumeOptions(name: string, given: Readonly<Record<string, string>>): VolumeOptions {
  const options: VolumeOptions = {};
  const labels: [string, string][] = [];
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith(LABEL) && key.length > LABEL.length) {
      labels.push([key.slice(LABEL.length), value]);
      continue;
    }
    const option = Object.hasOwn(OPTIONS, key) ? OPTIONS[key] : undefined;
    if (option === undefined) throw new UfsError('UFS_USAGE', `Cannot make volume "${name}": unknown option ${JSON.stringify(key)}; there are ${Object.keys(OPTIONS).join(', ')} and ${LABEL}KEY`);
    try {
      Object.assign(options, option.read(value));
    } catch (cause) {
      throw new UfsError('UFS_USAGE', `Cannot make volume "${name}": option ${key}: ${(cause as Error).message}`, { cause });
    }
  }
  if (labels.length > 0) options.labels = Object.fromEntries(labels.sort(([a], [b]) => (a < b ? -1 : 1)));
  return options;
}

/** Those that aren't the same, in the words of `docker volume create -o`. "debian:12" is the same as "image:debian:12". */
export function differences(has: VolumeOptions, wanted: VolumeOptions): string[] {
  const [before, after] = [optionTexts(has), optionTexts(wanted)];
  const same = (key: string): boolean => before[key] === after[key] || (key === 'from' && before[key]?.replace(/^(image|volume|tar):/, '') === after[key]);
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((key) => !same(key)).map((key) => `${key} is ${before[key] === undefined ? 'not given' : `"${before[key]}"`}`);
}

/** As `docker volume create -o` takes them. */
export function optionTexts({ from, size, inodes, readOnly, uid, gid, mode, uidMap, gidMap, labels = {} }: VolumeOptions): Record<string, string> {
  const texts: [string, string | undefined][] = [
    ['from', from], ['size', size?.toString()], ['inodes', inodes?.toString()], ['ro', readOnly?.toString()], ['uid', uid?.toString()], ['gid', gid?.toString()],
    ['mode', mode?.toString(8).padStart(4, '0')], ['uidmap', uidMap && rangesText(uidMap)], ['gidmap', gidMap && rangesText(gidMap)],
    ...Object.entries(labels).map(([key, value]): [string, string] => [LABEL + key, value]),
  ];
  return Object.fromEntries(texts.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

export function parseSeed(text: string): Seed {
  const [, word, rest] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  const kind = SEED_KINDS.find((each) => each === word);
  const seed: Seed = kind === undefined ? { name: text, ...(text.startsWith('/') ? { kind: 'tar' } : {}) } : { kind, name: rest as string };
  if (seed.name === '') throw new UfsError('UFS_USAGE', `Cannot use "${text}": it names nothing`);
  if (seed.kind === 'tar' && !seed.name.startsWith('/')) throw new UfsError('UFS_USAGE', `Cannot use "${text}": the path of a tar has to be absolute; an image called "tar" is image:${text}`);
  return seed;
}

export function seedText({ kind, name }: Seed): string {
  return kind === undefined ? name : `${kind}:${name}`;
}

function wholeNumber(text: string, least: number): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
  // The greatest id is nobody's: it says "no change" to chown(2).
  if (!(number >= least && number < 2 ** 32 - 1)) throw new UfsError('UFS_USAGE', `"${text}" is no number from ${least} on`);
  return number;
}

function isSet(text: string): boolean {
  if (['', 'true', '1'].includes(text)) return true;
  if (['false', '0'].includes(text)) return false;
  throw new UfsError('UFS_USAGE', `"${text}" is neither true nor false`);
}

function parseMode(text: string): number {
  if (!/^[0-7]{3,5}$/.test(text) || Number.parseInt(text, 8) > 0o7777) throw new UfsError('UFS_USAGE', `"${text}" are no permissions in octal, as 0755`);
  return Number.parseInt(text, 8);
}

function parseRanges(text: string): IdRange[] {
  return text.split(',').map((range) => {
    const [inside, outside, size] = (/^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(range)?.slice(1) ?? []).map(Number) as [number, number, number];
    if (!(size > 0 && inside + size <= 2 ** 32 && outside + size <= 2 ** 32)) throw new UfsError('UFS_USAGE', `"${range}" is no range of ids: it is inside:outside:size, as 0:100000:65536`);
    return { inside, outside, size };
  });
}

function rangesText(ranges: readonly IdRange[]): string {
  return ranges.map(({ inside, outside, size }) => `${inside}:${outside}:${size}`).join(',');
}
