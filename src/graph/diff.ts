import type { Layer } from '../../fs/layer/layer.ts';
import type { Name } from '../../fs/name.ts';
import { isDirectory, isRegular, isSymlink, type Stat } from '../../fs/stat.ts';
import { type PackEntry, packLayer } from '../archive/pack.ts';
import { treeChanges, type TreeChange } from '../changes/changes.ts';
import { changesSize } from '../changes/size.ts';
import type { Attributes } from '../tree/change.ts';
import type { Store } from '../store/store.ts';
import { openTrees, type Subject } from './trees.ts';

/** What a subject changes, sorted by path. */
export function changesOf(store: Store, subject: Subject): { kind: TreeChange<unknown>['kind']; path: Name }[] {
  const trees = openTrees(store, subject);
  try {
    return treeChanges(trees.before, trees.after).map(({ kind, path }) => ({ kind, path }));
  } finally {
    trees.close();
  }
}

/** The bytes a subject's changes add. */
export function sizeOf(store: Store, subject: Subject): number {
  const trees = openTrees(store, subject);
  try {
    return changesSize(trees.after, treeChanges(trees.before, trees.after));
  } finally {
    trees.close();
  }
}

export interface ArchiveOptions {
  /** Told of what an archive can't hold: sockets. */
  skipped?: (path: Name, reason: string) => void;
  /** Keep all xattrs, ACLs too; else those that belong to a file on any host. */
  allXattrs?: boolean;
  /** Whether the root is in it where nothing but its time was changed; true unless told. */
  rootTimes?: boolean;
}

/** A subject's changes as a layer archive; `whole` gives the whole tree instead. Modification times keep their nanoseconds. */
export async function* changesArchive(store: Store, subject: Subject, options: ArchiveOptions & { whole?: boolean } = {}): AsyncGenerator<Buffer> {
  const trees = openTrees(store, subject);
  try {
    yield* archiveOf(options.whole === true ? undefined : trees.before, trees.after, options);
  } finally {
    trees.close();
  }
}

/** What leads from one tree to another (without one: all of it) as a layer archive; the trees stay the caller's. Two equal pairs give the same bytes. */
export async function* archiveOf(before: Layer | undefined, after: Layer, { skipped, allXattrs = false, rootTimes = true }: ArchiveOptions = {}): AsyncGenerator<Buffer> {
  yield* packLayer(packEntries(after, treeChanges(before, after, { rootTimes })), { nanoseconds: true, allXattrs, ...(skipped === undefined ? {} : { skipped }) });
}

function* packEntries(layer: Layer, changes: readonly TreeChange<unknown>[]): Generator<PackEntry> {
  const first = new Map<string, Name>();
  for (const { path, node, stat } of changes) {
    if (node === undefined || stat === undefined) {
      yield { kind: 'whiteout', path };
      continue;
    }
    const entry: PackEntry = { kind: 'inode', path, attributes: attributesOf(layer, node, stat) };
    if (isRegular(stat)) entry.data = () => ({ fd: layer.open(node), size: stat.size });
    if (!isDirectory(stat) && stat.nlink > 1) {
      const identity = layer.identity(node);
      const linkTo = first.get(identity);
      if (linkTo === undefined) first.set(identity, path);
      else entry.linkTo = linkTo;
    }
    yield entry;
  }
}

function attributesOf(layer: Layer, node: unknown, stat: Stat): Attributes {
  const xattrs = new Map<Name, Buffer>();
  for (const name of layer.listXattr(node)) {
    const value = layer.getXattr(node, name);
    if (value !== undefined) xattrs.set(name, value);
  }
  return {
    mode: stat.mode, uid: stat.uid, gid: stat.gid, size: isDirectory(stat) ? 0 : stat.size, mtimeSec: stat.mtimeSec, mtimeNsec: stat.mtimeNsec,
    rdevMajor: stat.rdevMajor, rdevMinor: stat.rdevMinor, xattrs,
    ...(isSymlink(stat) ? { target: layer.readlink(node) } : {}),
  };
}
