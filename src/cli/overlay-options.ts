import { resolve } from 'node:path';
import { nameFromText, type Name } from '../../fs/name.ts';
import type { PassthroughMode } from '../../fs/transport/mount.ts';
import { UfsError } from '../errors.ts';
import type { MountSpec } from '../mount/spec.ts';

/** Words of `-o` that say nothing new here, or that fuse-overlayfs and mount(8) take too and do by default. */
const IGNORED = new Set(['', 'rw', 'suid', 'dev', 'exec', 'atime', 'private', 'default_permissions']);
/** Options of overlayfs that say how it finds files again, for which there is one way here. */
const IGNORED_VALUES = new Set(['index', 'xino', 'uuid', 'nfs_export', 'verity']);
const REDIRECTS: Readonly<Record<string, boolean>> = { on: true, follow: false, nofollow: false, off: false };
const FLAGS = { nosuid: 'nosuid', nodev: 'nodev', noexec: 'noexec', noatime: 'noatime' } as const;

/** Splits at a separator that no backslash stands before, as overlayfs does; "\:" and "\," are the characters themselves. */
export function splitEscaped(text: string, separator: string): string[] {
  const parts = [''];
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] as string;
    if (character === '\\' && index + 1 < text.length) {
      const next = text[++index] as string;
      // Only this level's separator loses its backslash: what is inside is split again.
      parts[parts.length - 1] += next === separator || next === '\\' ? next : `\\${next}`;
    } else if (character === separator) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

/** "a:b::c::d": layers, then those that only have data. */
function lowerDirectories(text: string, target: string, path: (part: string) => Name): { paths: Name[]; data: Name[] } {
  const [paths, data]: [Name[], Name[]] = [[], []];
  const parts = splitEscaped(text, ':');
  for (let index = 0; index < parts.length; index += 1) {
    const isData = index > 0 && parts[index] === '';
    const part = parts[isData ? ++index : index];
    if (part === undefined || part === '' || (!isData && data.length > 0)) throw new UfsError('UFS_USAGE', `Cannot mount on "${target}": lowerdir=${text} isn't a list of directories like a:b, or a:b::c, where c only has data`);
    (isData ? data : paths).push(path(part));
  }
  return { paths, data };
}

/** What `-o lowerdir=a:b,upperdir=u,workdir=w,…` asks for; relative paths are taken from `cwd`. */
export function overlayMount(option: string, target: string, cwd: string, passthrough: PassthroughMode): { spec: MountSpec; unknown: string[] } {
  const values = new Map<string, string>();
  const spec: MountSpec = { target: nameFromText(resolve(cwd, target)), lower: { kind: 'directories', paths: [] }, passthrough, mount: { source: 'ufs' } };
  const unknown: string[] = [];
  let redirects: boolean | undefined;
  let userXattrs = false;
  let ownersInXattrs = false;
  for (const word of splitEscaped(option, ',')) {
    const equals = word.indexOf('=');
    const [name, value] = equals === -1 ? [word, undefined] : [word.slice(0, equals), word.slice(equals + 1)];
    if (value !== undefined && ['lowerdir', 'upperdir', 'workdir'].includes(name)) values.set(name, value);
    // fuse-overlayfs shows files that have no data of their own as empty: only who asks gets them.
    else if (name === 'metacopy' && (value === 'on' || value === 'off')) values.set(name, value);
    else if (name === 'redirect_dir' && value !== undefined && value in REDIRECTS) redirects = REDIRECTS[value];
    else if (name === 'xattr_permissions' && value !== undefined) ownersInXattrs = value !== '0';
    else if (word === 'userxattr') userXattrs = true;
    else if (name === 'ro') spec.mount.readonly = true;
    else if (name === 'volatile') spec.volatile = true;
    else if (name === 'allow_other') spec.mount.allowOther = true;
    else if (name in FLAGS) spec.mount[FLAGS[name as keyof typeof FLAGS]] = true;
    else if (!IGNORED.has(name) && !IGNORED_VALUES.has(name)) unknown.push(word);
  }
  const [lower, upper, work] = ['lowerdir', 'upperdir', 'workdir'].map((name) => values.get(name));
  if (lower === undefined) throw new UfsError('UFS_USAGE', `Cannot mount on "${target}": -o has no lowerdir=; an image is mounted without -o (--read-only lets nothing be changed)`);
  if (upper !== undefined && work === undefined) throw new UfsError('UFS_USAGE', `Cannot mount on "${target}": upperdir= needs a workdir= on the same file system`);
  const { paths, data } = lowerDirectories(lower, target, (path) => nameFromText(resolve(cwd, path)));
  // An upper directory nothing is written to is one more lower.
  if (upper !== undefined && spec.mount.readonly === true) paths.unshift(nameFromText(resolve(cwd, upper)));
  spec.lower = { kind: 'directories', paths, ...(data.length === 0 ? {} : { data }) };
  if (upper !== undefined && work !== undefined && spec.mount.readonly !== true) {
    spec.upper = {
      directory: nameFromText(resolve(cwd, upper)), work: nameFromText(resolve(cwd, work)), metacopy: values.get('metacopy') === 'on',
      // overlayfs follows no redirects in user.*: who asks for these is to see the same tree with it.
      redirects: redirects ?? !userXattrs, ...(userXattrs ? { namespace: 'user' } : {}), ...(ownersInXattrs ? { ownersInXattrs } : {}),
    };
  }
  return { spec, unknown };
}
