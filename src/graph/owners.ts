import { type IdMaps, IdMap, type IdRange } from '../../fs/id-map.ts';
import { EmptyLayer } from '../../fs/layer/empty-layer.ts';
import type { Layer, LayerEntry } from '../../fs/layer/layer.ts';
import { xattrToInside, xattrToOutside } from '../../fs/mapped-xattrs.ts';
import { joinName, type Name, nameToText } from '../../fs/name.ts';
import { isDirectory, type Stat } from '../../fs/stat.ts';
import { UfsError } from '../errors.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { LayerRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { Entry } from '../tree/entry.ts';
import { applyLayer } from './apply.ts';
import { archiveOf } from './diff.ts';

/** Which ids inside are which outside, of users and of groups; without ranges they are the same. */
export interface OwnerRanges {
  uid: readonly IdRange[];
  gid: readonly IdRange[];
}

/** Owners that are right through the map `toContainer` become those that are right through `toHost`: each goes in by the first, and out by the second. */
export interface NewOwners {
  toContainer: OwnerRanges;
  toHost: OwnerRanges;
}

/**
 * A layer that shows all of another, above the same parent, with other owners; also those in ACLs, and whose root file capabilities are for. Layers are never changed: this
 * is a new one, which has its file data by links, and, as any other, an archive that gives it back byte for byte. Reads all data once, for that archive's digest; writes metadata
 * only (data in additional stores excepted, which can't be linked to). UFS_ID_NOT_MAPPED where a map lacks somebody, before anything is done.
 */
export async function layerWithOwners(store: Store, layer: LayerId, { parent, owners }: { parent: LayerId | undefined; owners: NewOwners }): Promise<LayerRecord> {
  const whole = store.openLayer(layer);
  try {
    const known = new Map<string, Entry>();
    const after = new OwnersLayer(whole, owners);
    for (const { path, node } of allOf(whole)) {
      if (node.content !== undefined) known.set(node.content.digest, node);
      try {
        after.stat(node);
        for (const name of after.listXattr(node)) after.getXattr(node, name);
      } catch (error) {
        throw new UfsError('UFS_ID_NOT_MAPPED', `Cannot change owners: of "/${nameToText(path)}", ${(error as Error).message}`, { cause: error });
      }
    }
    const before = (parent === undefined ? new EmptyLayer(after.stat(after.root)) : store.openLayer(parent)) as Layer;
    try {
      return await applyLayer(store, archiveOf(before, after as Layer, { allXattrs: true }), { parent, known });
    } finally {
      before.close();
    }
  } finally {
    whole.close();
  }
}

function* allOf(layer: Layer<Entry>): Generator<{ path: Name; node: Entry }> {
  const open = [{ path: '' as Name, node: layer.root }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    yield next;
    if (!isDirectory(next.node)) continue;
    for (const { name, node } of layer.list(next.node)) open.push({ path: joinName(next.path, name), node });
  }
}

/** Refuses ids that aren't mapped, where an `IdMap` shows somebody else. */
class ExactIdMap extends IdMap {
  readonly #ranges: readonly IdRange[];
  readonly #who: string;

  constructor(ranges: readonly IdRange[], who: string) {
    super(ranges);
    this.#ranges = ranges;
    this.#who = who;
  }

  override toOutside(id: number): number {
    this.#require(this.#ranges.some(({ inside, size }) => id >= inside && id - inside < size), id, 'inside');
    return super.toOutside(id);
  }

  override toInside(id: number): number {
    this.#require(this.#ranges.some(({ outside, size }) => id >= outside && id - outside < size), id, 'outside');
    return super.toInside(id);
  }

  #require(mapped: boolean, id: number, where: string): void {
    if (this.#ranges.length > 0 && !mapped) throw new UfsError('UFS_ID_NOT_MAPPED', `the ${this.#who} ${id} ${where} isn't mapped`);
  }
}

function exactMaps({ uid, gid }: OwnerRanges): IdMaps {
  return { uid: new ExactIdMap(uid, 'user'), gid: new ExactIdMap(gid, 'group') };
}

/** A layer with other owners. The layer below stays its owner's to close. */
class OwnersLayer<N> implements Layer<N> {
  readonly root: N;
  readonly #layer: Layer<N>;
  readonly #from: IdMaps;
  readonly #to: IdMaps;

  constructor(layer: Layer<N>, { toContainer, toHost }: NewOwners) {
    this.root = layer.root;
    this.#layer = layer;
    this.#from = exactMaps(toContainer);
    this.#to = exactMaps(toHost);
  }

  stat(node: N): Stat {
    const stat = this.#layer.stat(node);
    return { ...stat, uid: this.#to.uid.toOutside(this.#from.uid.toInside(stat.uid)), gid: this.#to.gid.toOutside(this.#from.gid.toInside(stat.gid)) };
  }

  getXattr(node: N, name: Name): Buffer | undefined {
    const value = this.#layer.getXattr(node, name);
    return value === undefined ? undefined : xattrToOutside(this.#to, name, xattrToInside(this.#from, name, value));
  }

  lookup(directory: N, name: Name): N | undefined {
    return this.#layer.lookup(directory, name);
  }

  list(directory: N): LayerEntry<N>[] {
    return this.#layer.list(directory);
  }

  identity(node: N): string {
    return this.#layer.identity(node);
  }

  readlink(node: N): Name {
    return this.#layer.readlink(node);
  }

  listXattr(node: N): Name[] {
    return this.#layer.listXattr(node);
  }

  open(node: N): number {
    return this.#layer.open(node);
  }

  isElf(node: N): boolean {
    return this.#layer.isElf(node);
  }

  /** What is below looks the same only in the layer. */
  subtreeKey(): undefined {
    return undefined;
  }

  origin(node: N): string {
    return this.#layer.origin(node);
  }

  close(): void {}
}
