import type { Name } from '../name.ts';
import { joinName } from '../name.ts';
import { isDirectory, isRegular, S_IFDIR, S_IFMT, type Stat } from '../stat.ts';
import { type HostStat, statAt } from '../host/at.ts';
import type { Layer } from '../layer/layer.ts';
import { LinkIndex } from '../layer/link-index.ts';
import { readRedirect } from '../layer/overlay-xattr.ts';
import { type FileMarks, type Origin, readFileMarks, type SavedAttributes, withSaved } from '../layer/file-marks.ts';
import type { DirectoryMarks, UpperTree } from '../layer/upper.ts';
import { AUFS_PREFIX } from '../layer/whiteout.ts';

/** The two sides of a union. */
export interface Sides {
  readonly upper: UpperTree | undefined;
  readonly lower: Layer;
}

/** A directory (or the data of a file) that is in the lower: the layer's handle, and its path there, which redirects are written with. */
export interface LowerDirectory {
  node: unknown;
  path: Name;
}

/** One directory of a union, as it is on both sides. An opaque one has no lower. */
export interface DirectorySides {
  upper: { fd: number; marks: DirectoryMarks } | undefined;
  lower: LowerDirectory | undefined;
}

/** The lower file that has the data of a metadata-only copy. */
export interface LowerData {
  /** undefined where it is missing. */
  node: unknown;
  path: Name;
  /** The copy says so itself, by a path from the root: it may have any name. */
  redirected: boolean;
}

/** A file in the upper that isn't wholly there, or may not be. */
export interface PartialCopy {
  data?: LowerData;
  saved?: SavedAttributes;
  /** Nothing is missing: it is marked, but was truncated. The mark goes before anything is written. */
  emptied?: boolean;
}

/** What a name is. */
export type Found =
  /** In the upper. `lower`: what a directory is merged with. */
  | ({ at: 'upper'; stat: HostStat; origin: Origin | undefined; lower: LowerDirectory | undefined } & PartialCopy)
  /** Only in the lower. */
  | { at: 'lower'; node: unknown; path: Name }
  /** In the lower by this name, but its inode was copied up by another name: `key` of the link index. */
  | ({ at: 'linked'; node: unknown; key: Name } & PartialCopy)
  | { at: 'whiteout' }
  | { at: 'nowhere' };

const WHITEOUT: Found = { at: 'whiteout' };
const NOWHERE: Found = { at: 'nowhere' };

/** One name in a directory, upper over lower. The only place where lookups are decided; `mergeDirectory` gives the same names. */
export function resolve(sides: Sides, directory: DirectorySides, name: Name): Found {
  if (name.startsWith(AUFS_PREFIX)) return NOWHERE;
  if (directory.upper !== undefined) {
    const upper = sides.upper as UpperTree;
    const { fd, marks } = directory.upper;
    const found = upper.find(fd, marks, name);
    if (found.at === 'whiteout') return WHITEOUT;
    if (found.at === 'file') {
      const target = { directory: fd, name };
      if (!isDirectory(found.stat)) {
        const marks = readFileMarks(target);
        const partial = partialCopy(sides, directory, name, found.stat, marks);
        const stat = partial?.saved === undefined ? found.stat : withSaved(found.stat, partial.saved);
        return { at: 'upper', stat, origin: marks.origin, lower: undefined, ...partial };
      }
      return { at: 'upper', stat: found.stat, origin: undefined, lower: mergedWith(sides, found.hides ? { ...directory, lower: undefined } : directory, target) };
    }
  }
  if (directory.lower === undefined) return NOWHERE;
  const node = sides.lower.lookup(directory.lower.node, name);
  if (node === undefined) return NOWHERE;
  const key = linkedKey(sides, node);
  if (key === undefined) return { at: 'lower', node, path: joinName(directory.lower.path, name) };
  const { index } = sides.upper as UpperTree;
  const copy = { directory: index.directory, name: key };
  return { at: 'linked', node, key, ...partialCopy(sides, directory, name, statAt(copy.directory, copy.name), readFileMarks(copy)) };
}

/** A copy of size 0 lacks nothing: so it is whole as soon as it is truncated, whenever its mark goes. */
function partialCopy(sides: Sides, parent: DirectorySides, name: Name, stat: Stat, marks: FileMarks): PartialCopy | undefined {
  if (!marks.metacopy || !isRegular(stat)) return undefined;
  if (stat.size === 0) return { emptied: true };
  const { redirect, saved } = marks;
  const found = redirect === undefined ? below(sides, parent.lower, name, isRegular) : followRedirect(sides, parent, redirect, isRegular);
  const data = { node: found?.node, path: found?.path ?? '', redirected: redirect?.startsWith('/') === true };
  return { data, ...(saved === undefined ? {} : { saved }) };
}

function linkedKey(sides: Sides, node: unknown): Name | undefined {
  const index = sides.upper?.index;
  if (index === undefined || index.isEmpty) return undefined;
  const stat = sides.lower.stat(node);
  if (isDirectory(stat) || stat.nlink < 2) return undefined;
  const key = LinkIndex.key(sides.lower.identity(node));
  return index.has(key) ? key : undefined;
}

/** The lower directory that shows through a directory of the upper. */
function mergedWith(sides: Sides, parent: DirectorySides, target: { directory: number; name: Name }): LowerDirectory | undefined {
  const redirect = readRedirect(target);
  const lower = redirect === undefined ? below(sides, parent.lower, target.name, isDirectory) : followRedirect(sides, parent, redirect, isDirectory);
  // The mark costs three calls: only where there is something to hide.
  return lower === undefined || (sides.upper as UpperTree).isOpaque(target) ? undefined : lower;
}

type IsWanted = (stat: Stat) => boolean;

function below(sides: Sides, parent: LowerDirectory | undefined, name: Name, isWanted: IsWanted): LowerDirectory | undefined {
  if (parent === undefined) return undefined;
  const node = sides.lower.lookup(parent.node, name);
  return node !== undefined && isWanted(sides.lower.stat(node)) ? { node, path: joinName(parent.path, name) } : undefined;
}

function followRedirect(sides: Sides, parent: DirectorySides, redirect: Name, isWanted: IsWanted): LowerDirectory | undefined {
  if (!redirect.startsWith('/')) return redirect.includes('/') ? undefined : below(sides, parent.lower, redirect, isWanted);
  const names = redirect.slice(1).split('/');
  let at: LowerDirectory | undefined = { node: sides.lower.root, path: '' };
  for (const [index, name] of names.entries()) {
    if (name === '' || name === '.' || name === '..') return undefined;
    at = below(sides, at, name, index === names.length - 1 ? isWanted : isDirectory);
  }
  return at;
}

/** A name of a merged directory. `lower`: the file is only in the lower. */
export interface MergedEntry {
  name: Name;
  /** S_IFMT bits. */
  type: number;
  /** The host's number for files of the upper, else what stat says. */
  ino: number;
  lower?: unknown;
}

/** All names of a directory, those of the upper first. */
export function mergeDirectory(sides: Sides, directory: DirectorySides): MergedEntry[] {
  const entries: MergedEntry[] = [];
  const taken = new Set<Name>();
  if (directory.upper !== undefined) {
    for (const { name, type, ino } of (sides.upper as UpperTree).list(directory.upper.fd, directory.upper.marks)) {
      taken.add(name);
      if (type !== undefined) entries.push({ name, type, ino });
    }
  }
  if (directory.lower !== undefined) {
    for (const { name, node, ino, mode } of sides.lower.list(directory.lower.node)) {
      if (!taken.has(name) && !name.startsWith(AUFS_PREFIX)) entries.push({ name, type: mode & S_IFMT, ino, lower: node });
    }
  }
  return entries;
}

/** True where a directory shows no name. */
export function isEmptyDirectory(sides: Sides, directory: DirectorySides): boolean {
  return mergeDirectory(sides, directory).length === 0;
}

/** True where the lower has something by that name, which must be hidden when the name goes. */
export function lowerHas(sides: Sides, directory: DirectorySides, name: Name): boolean {
  return directory.lower !== undefined && sides.lower.lookup(directory.lower.node, name) !== undefined;
}

/** As `lowerHas`, for a directory: one that a directory put there would merge with. */
export function lowerHasDirectory(sides: Sides, directory: DirectorySides, name: Name): boolean {
  if (directory.lower === undefined) return false;
  const node = sides.lower.lookup(directory.lower.node, name);
  return node !== undefined && (sides.lower.stat(node).mode & S_IFMT) === S_IFDIR;
}
