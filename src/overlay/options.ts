import { isAbsolute, resolve } from 'node:path';
import type { IdRange } from '../../fs/id-map.ts';
import type { OwnersNamespace } from '../../fs/layer/override-stat.ts';
import { nameFromText, type Name } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';
import type { MountSpec } from '../mount/spec.ts';
import { optionWords, splitEscaped } from './words.ts';

/** What options ask for, before the directories are looked at. */
interface Draft {
  readonly texts: Map<string, string>;
  readonly spec: MountSpec;
  readonly target: string;
  redirects: boolean | undefined;
  userXattrs: boolean;
  ownersInXattrs: OwnersNamespace | undefined;
}

/** What an option does; false where its value means nothing. */
type Option = (draft: Draft, value: string | undefined, name: string) => boolean | void;

const text: Option = ({ texts }, value, name) => void (value !== undefined && texts.set(name, value));
const flag = (set: (draft: Draft) => void, unset: (draft: Draft) => void = () => undefined): Option => (draft, value) => {
  if (value === undefined || value === '1' || value === 'on') set(draft);
  else if (value === '0' || value === 'off') unset(draft);
  else return false;
  return true;
};
const mountFlag = (key: 'readonly' | 'nosuid' | 'nodev' | 'noexec' | 'noatime' | 'allowOther', value: boolean): Option => ({ spec }) => void (spec.mount[key] = value);
const ids = (key: 'uid' | 'gid'): Option => (draft, value = '', name) => {
  const ranges = idRanges(draft, name, value);
  draft.spec.idMaps = { uid: [], gid: [], ...draft.spec.idMaps, [key]: ranges };
};
const squash = (...keys: ('uid' | 'gid')[]): Option => ({ spec }, value = '0') => {
  if (!/^\d{1,10}$/.test(value)) return false;
  // squash_to_root gives way to ids that are said.
  const own = keys.length > 1 ? {} : { [keys[0] as string]: Number(value) };
  spec.squash = keys.length > 1 ? { uid: 0, gid: 0, ...spec.squash } : { ...spec.squash, ...own };
  return true;
};

const REDIRECTS: Readonly<Record<string, boolean>> = { on: true, follow: false, nofollow: false, off: false };

/** fuse-overlayfs's numbers. */
const OWNERS: Readonly<Record<string, OwnersNamespace | undefined>> = { 0: undefined, 1: 'security', 2: 'user' };

function ownersNamespace({ target }: Draft, value: string): OwnersNamespace | undefined {
  if (Object.hasOwn(OWNERS, value)) return OWNERS[value];
  throw new UfsError('UFS_USAGE', `Cannot mount on "${target}": xattr_permissions=${value} isn't 0, 1 (owners and modes in security.*, which only root may set) or 2 (in user.*)`);
}

/** The options of overlayfs, of fuse-overlayfs and of mount(8) that mean something here. */
const OPTIONS: Readonly<Record<string, Option>> = {
  lowerdir: text, upperdir: text, workdir: text,
  ro: mountFlag('readonly', true), rw: mountFlag('readonly', false),
  nosuid: mountFlag('nosuid', true), suid: mountFlag('nosuid', false), nodev: mountFlag('nodev', true), dev: mountFlag('nodev', false),
  noexec: mountFlag('noexec', true), exec: mountFlag('noexec', false), noatime: mountFlag('noatime', true), atime: mountFlag('noatime', false),
  allow_other: mountFlag('allowOther', true),
  // fuse-overlayfs shows files that have no data of their own as empty: only who asks gets them.
  metacopy: (draft, value, name) => (value === 'on' || value === 'off' ? text(draft, value, name) : false),
  redirect_dir: (draft, value = '') => (Object.hasOwn(REDIRECTS, value) ? void (draft.redirects = REDIRECTS[value]) : false),
  userxattr: (draft) => void (draft.userXattrs = true),
  xattr_permissions: (draft, value = '') => void (draft.ownersInXattrs = ownersNamespace(draft, value)),
  volatile: ({ spec }) => void (spec.volatile = true),
  fsync: flag(() => undefined, ({ spec }) => (spec.volatile = true)),
  uidmapping: ids('uid'), gidmapping: ids('gid'),
  squash_to_root: squash('uid', 'gid'), squash_to_uid: squash('uid'), squash_to_gid: squash('gid'),
  writeback: flag(() => undefined, ({ spec }) => (spec.kernel = { ...spec.kernel, writeback: false })),
  noacl: flag(({ spec }) => (spec.kernel = { ...spec.kernel, acls: false })),
  noxattrs: flag(({ spec }) => (spec.kernel = { ...spec.kernel, xattrs: false })),
  timeout: ({ spec }, value = '') => (/^\d{1,10}(\.\d+)?$/.test(value) ? void (spec.kernel = { ...spec.kernel, timeout: Number(value) }) : false),
};

/**
 * Words that ask for what is always so here, or say how another program works inside: how it finds files again (index, xino …), how many threads it has, how it
 * counts links of directories, how it moves data.
 */
const IGNORED = new Set([
  'private', 'slave', 'shared', 'default_permissions', 'nodiratime', 'diratime', 'relatime', 'strictatime', 'lazytime', 'index', 'xino', 'ino32_t', 'uuid', 'nfs_export', 'verity',
  'threaded', 'clone_fd', 'fast_ino', 'static_nlink', 'kernel_cache', 'max_write', 'max_read', 'plugins', 'auto_unmount',
  'splice_read', 'splice_write', 'splice_move', 'no_splice_read', 'no_splice_write', 'no_splice_move', 'fsname', 'subtype', 'x-systemd.automount', 'defaults',
]);

/** What is so unless an option says otherwise. */
export interface OverlayDefaults {
  passthrough: MountSpec['passthrough'];
  mount: MountSpec['mount'];
  /** Whether lower directories can be renamed: by overlayfs's redirects, which fuse-overlayfs doesn't know. By default where overlayfs would follow them. */
  redirects?: boolean;
}

/** What `-o lowerdir=a:b,upperdir=u,workdir=w,…` asks for; relative paths are taken from `cwd`. UFS_USAGE. `unknown`: words that mean nothing here. */
export function overlayMount(option: string, target: string, cwd: string, defaults: OverlayDefaults): { spec: MountSpec; unknown: string[] } {
  const spec: MountSpec = { target: nameFromText(resolve(cwd, target)), lower: { kind: 'directories', paths: [] }, passthrough: defaults.passthrough, mount: { ...defaults.mount } };
  const draft: Draft = { texts: new Map(), spec, target, redirects: defaults.redirects, userXattrs: false, ownersInXattrs: undefined };
  const unknown: string[] = [];
  for (const { word, name, value } of optionWords(option)) {
    const known = Object.hasOwn(OPTIONS, name) ? (OPTIONS[name] as Option)(draft, value, name) !== false : IGNORED.has(name);
    if (!known) unknown.push(word);
  }
  addLayers(draft, cwd);
  return { spec, unknown };
}

function addLayers({ texts, spec, target, redirects, userXattrs, ownersInXattrs }: Draft, cwd: string): void {
  // Not resolve(): what ".." leads to behind a symlink (podman's "l/NAME/../diff1") only the kernel knows.
  const path = (part: string): Name => nameFromText(isAbsolute(part) ? part : `${cwd}/${part}`);
  const [lower, upper, work] = ['lowerdir', 'upperdir', 'workdir'].map((name) => texts.get(name));
  if (lower === undefined) throw new UfsError('UFS_USAGE', `Cannot mount on "${target}": -o has no lowerdir=; an image is mounted without -o (--read-only lets nothing be changed)`);
  if (upper !== undefined && work === undefined) throw new UfsError('UFS_USAGE', `Cannot mount on "${target}": upperdir= needs a workdir= on the same file system`);
  const { paths, data } = lowerDirectories(lower, target, path);
  // An upper directory nothing is written to is one more lower.
  if (upper !== undefined && spec.mount.readonly === true) paths.unshift(path(upper));
  spec.lower = { kind: 'directories', paths, ...(data.length === 0 ? {} : { data }) };
  if (upper === undefined || work === undefined || spec.mount.readonly === true) return;
  spec.upper = {
    directory: path(upper), work: path(work), metacopy: texts.get('metacopy') === 'on',
    // overlayfs follows no redirects in user.*: who asks for these is to see the same tree with it.
    redirects: redirects ?? !userXattrs, ...(userXattrs ? { namespace: 'user' } : {}), ...(ownersInXattrs === undefined ? {} : { ownersInXattrs }),
  };
}

/** "a:b::c::d": layers, then those that only have data. */
function lowerDirectories(lower: string, target: string, path: (part: string) => Name): { paths: Name[]; data: Name[] } {
  const [paths, data]: [Name[], Name[]] = [[], []];
  const parts = splitEscaped(lower, ':');
  for (let index = 0; index < parts.length; index += 1) {
    const isData = index > 0 && parts[index] === '';
    const part = parts[isData ? ++index : index];
    if (part === undefined || part === '' || (!isData && data.length > 0)) throw new UfsError('UFS_USAGE', `Cannot mount on "${target}": lowerdir=${lower} isn't a list of directories like a:b, or a:b::c, where c only has data`);
    (isData ? data : paths).push(path(part));
  }
  return { paths, data };
}

/** fuse-overlayfs's "H:T:N:…": N ids from H on, as they are kept, are shown as those from T on. Engines write a colon first. */
function idRanges({ target }: Draft, name: string, value: string): IdRange[] {
  const numbers = value.replace(/^:/, '').split(':');
  if (numbers.length % 3 !== 0 || numbers.some((number) => !/^\d{1,10}$/.test(number) || Number(number) > 2 ** 32 - 1)) {
    throw new UfsError('UFS_USAGE', `Cannot mount on "${target}": ${name}=${value} isn't a list of three numbers each, such as 0:1000:1 (ids kept, ids shown, how many)`);
  }
  return Array.from({ length: numbers.length / 3 }, (_, index) => {
    const [inside, outside, size] = numbers.slice(index * 3, index * 3 + 3).map(Number) as [number, number, number];
    return { inside, outside, size };
  });
}
