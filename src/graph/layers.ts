import { UfsError } from '../errors.ts';
import { FOR_PEOPLE, treeChanges } from '../changes/changes.ts';
import { changesSize } from '../changes/size.ts';
import { EmptyLayer } from '../../fs/layer/empty-layer.ts';
import type { Layer } from '../../fs/layer/layer.ts';
import type { Name } from '../../fs/name.ts';
import type { MountSpec } from '../mount/spec.ts';
import type { Container } from '../store/containers.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { LayerRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { applyLayer, type Work } from './apply.ts';
import { type ArchiveOptions, archiveOf } from './diff.ts';
import { type DiskUsage, usageOfChanges, usageOfDirectory } from './disk-usage.ts';
import { FileGetter } from './file-getter.ts';
import { layerArchive } from './images.ts';
import { KIND, labelsOf, limitOf, type NewGraphLayer, PARENT } from './layer-labels.ts';
import { layerMetadata } from './layer-status.ts';
import { KeyedLocks } from './keyed-locks.ts';
import type { CountedMounts } from './mounts.ts';
import { layerWithOwners, type NewOwners } from './owners.ts';
import { openWhole, upperOf } from './trees.ts';
import { removeUnused } from './unused-layers.ts';

/** An engine's archives don't have the root for its time alone, which is when it was written to: so the same step of a build gives the same archive each time. */
const ENGINES: ArchiveOptions = { rootTimes: false };

/**
 * Layers as an engine knows them, each by an id the engine chose, on a layer of the same engine. All are containers of the store, whose ids begin with the
 * engine's name. One is filled by an archive, once, or written to through its mount; what it holds becomes a layer of the store when that is needed (`sealed`); that one may be shared with others
 * that have the same content. What another layer stands on, or what was sealed, is never written to again.
 */
export class GraphLayers {
  readonly #store: Store;
  readonly #mounts: CountedMounts;
  readonly #engine: string;
  readonly #locks = new KeyedLocks();
  /** How owners show in mounts. */
  idMaps: MountSpec['idMaps'];

  constructor(options: { store: Store; mounts: CountedMounts; engine: string }) {
    this.#store = options.store;
    this.#mounts = options.mounts;
    this.#engine = options.engine;
  }

  /** Ids of all layers, parents before their children. */
  ids(): string[] {
    return this.#store.containers().flatMap(({ id }) => (id.startsWith(`${this.#engine}:`) ? id.slice(this.#engine.length + 1) : []));
  }

  has(id: string): boolean {
    return this.#store.container(this.#key(id)) !== undefined;
  }

  /** UFS_LAYER_NOT_FOUND. */
  find(id: string): Container {
    const found = this.#store.container(this.#key(id));
    if (found === undefined) throw new UfsError('UFS_LAYER_NOT_FOUND', `Cannot find layer "${id}"`);
    return found;
  }

  /** How many were begun to be filled from an archive that hasn't ended, or broke off. */
  incomplete(): number {
    return this.ids().filter((id) => this.#store.isFilling(this.find(id))).length;
  }

  parentOf(id: string): string | undefined {
    return this.find(id).labels[PARENT];
  }

  /** Bytes it may take; undefined: all there is. */
  limitOf(id: string): number | undefined {
    return limitOf(this.find(id));
  }

  /** Those it stands on, the nearest first. */
  ancestors(id: string): string[] {
    const ancestors: string[] = [];
    for (let next = this.parentOf(id); next !== undefined; next = this.parentOf(next)) ancestors.push(next);
    return ancestors;
  }

  /** UFS_LAYER_EXISTS, UFS_LAYER_NOT_FOUND for the parent. */
  async create(id: string, { kind, parent, limit }: NewGraphLayer): Promise<void> {
    if (parent !== undefined) await this.#consult(parent);
    await this.#locks.run(id, async () => {
      if (this.has(id)) throw new UfsError('UFS_LAYER_EXISTS', `Cannot create layer "${id}": there is one of that id`);
      const below = parent === undefined ? undefined : this.find(parent);
      await this.#store.createContainer({
        id: this.#key(id), labels: labelsOf({ kind, parent, limit }),
        ...(below === undefined ? {} : below.sealed === undefined ? { on: below.id } : { parent: below.sealed }),
      });
    });
  }

  /**
   * A layer with the content of another, above the same parent. That one's data is shared; of what isn't a layer of the store yet one is made. Of a container that is
   * written to meanwhile it is what was written so far. `owners`: whom its files are to belong to, as with `updateIdMap`.
   */
  async createFromTemplate(id: string, template: string, { kind, limit, owners }: Omit<NewGraphLayer, 'parent'> & { owners?: NewOwners | undefined }): Promise<void> {
    await this.#consult(template);
    await this.#locks.run(id, async () => {
      if (this.has(id)) throw new UfsError('UFS_LAYER_EXISTS', `Cannot create layer "${id}": there is one of that id`);
      const copied = await this.#locks.run(template, async () => await this.#asLayer(template, { allXattrs: true }));
      const release = this.#store.use(copied.layer.id, `layer "${id}"`);
      try {
        const layer = owners === undefined ? copied.layer : await layerWithOwners(this.#store, copied.layer.id, { parent: copied.below, owners });
        await this.#store.createContainer({ id: this.#key(id), labels: labelsOf({ kind, parent: this.parentOf(template), limit }), parent: layer.id, sealed: kind === 'image' });
      } finally {
        release();
      }
    });
  }

  /**
   * Makes all files that a layer shows belong to others: their owners go in by one map and out by another. What it stands on stays as it is, and so does a layer of the store
   * that others share: this one gets a new one, at one instant, with the data of the old by links (layerWithOwners says what is read and written). UFS_ID_NOT_MAPPED;
   * UFS_LAYER_IN_USE where it is mounted or others stand on it.
   */
  async updateIdMap(id: string, owners: NewOwners): Promise<void> {
    await this.#locks.run(id, async () => {
      if (this.#mounts.mountOf(id) !== undefined || this.#childrenOf(id).length > 0) throw new UfsError('UFS_LAYER_IN_USE', `Cannot change the owners of layer "${id}": it is in use`);
      const container = this.find(id);
      const { layer, below } = await this.#asLayer(id, { allXattrs: true });
      const release = this.#store.use(layer.id, `layer "${id}"`);
      try {
        const { id: owned } = await layerWithOwners(this.#store, layer.id, { parent: below, owners });
        await this.#store.replaceContainer(container.id, { parent: owned, sealed: container.sealed !== undefined });
      } finally {
        release();
      }
      await removeUnused(this.#store, [layer.id]);
    });
  }

  /** Whether mounts can show owners as others, without anything on disk being changed: always, by `idMaps`. */
  supportsShifting(): true {
    return true;
  }

  /**
   * Where read-only stores are that are consulted after the own one, in this order. A layer that only they have, and that isn't written to there any more, becomes one of these when it is mounted, copied,
   * told the difference of, or another is to stand on it; its data stays where it is.
   */
  additionalImageStores(): string[] {
    return this.#store.additionalStores().map(({ root }) => root);
  }

  /** Children before their parents: the order in which they can be removed. */
  list(): string[] {
    return this.ids().reverse();
  }

  /** For people: where it is, what it stands on, where it is mounted, what it takes and may take in bytes, and the number of the change that made it. */
  async metadata(id: string): Promise<Record<string, string>> {
    this.#mounts.flush(id);
    return await layerMetadata(this.#store, this.find(id), { ancestors: this.ancestors(id), mounted: this.#mounts.mountOf(id)?.spec.target });
  }

  /** Unmounts and removes a layer; nothing is done for one that isn't there. UFS_CONTAINER_IN_USE where another stands on it. */
  async remove(id: string): Promise<void> {
    await this.deferredRemove(id);
    this.#store.startEmptyingTrash();
  }

  /** As `remove`, but its files are deleted by the function given back; where that isn't called, by the next removal. */
  async deferredRemove(id: string): Promise<() => Promise<void>> {
    await this.#locks.run(id, async () => {
      if (!this.has(id)) return;
      const container = this.find(id);
      const [child] = this.#childrenOf(id);
      if (child !== undefined) throw new UfsError('UFS_CONTAINER_IN_USE', `Cannot remove layer "${id}": layer "${child}" stands on it`);
      this.#mounts.release(id);
      await this.#store.removeContainer(container.id);
      await removeUnused(this.#store, [container.sealed, container.parent]);
    });
    return async () => await this.#store.emptyTrash();
  }

  /** Mounts a layer with all below it; the path. */
  async get(id: string): Promise<string> {
    await this.#consult(id);
    return await this.#locks.run(id, async () => {
      const container = this.find(id);
      if (this.#store.isFilling(container)) throw new UfsError('UFS_LAYER_INCOMPLETE', `Cannot mount layer "${id}": its archive broke off, and it has to be made anew`);
      return await this.#mounts.get(id, () => this.#spec(id, container));
    });
  }

  async put(id: string): Promise<void> {
    await this.#locks.run(id, async () => {
      const upper = this.#mounts.mountOf(id)?.spec.upper;
      this.#mounts.put(id);
      if (upper !== undefined && upper.room === undefined && this.#mounts.mountOf(id) === undefined) await this.#store.countContainer(this.#key(id));
    });
  }

  /** Fills a layer from an uncompressed archive, once. */
  async apply(id: string, archive: AsyncIterable<Buffer>, work: Work = {}): Promise<LayerRecord> {
    return await this.#locks.run(id, async () => {
      const container = this.find(id);
      const parent = this.parentOf(id);
      if (container.sealed !== undefined) throw new UfsError('UFS_LAYER_EXISTS', `Cannot apply an archive to layer "${id}": it was filled before`);
      if (this.#mounts.mountOf(id) !== undefined || this.#childrenOf(id).length > 0) throw new UfsError('UFS_LAYER_IN_USE', `Cannot apply an archive to layer "${id}": it is in use`);
      // What it stands on may have other owners than its parent.
      const below = container.on === undefined || parent === undefined ? container.parent : (await this.seal(parent)).id;
      this.#store.beginFilling(container);
      const layer = await applyLayer(this.#store, archive, { ...work, parent: below });
      await this.#seal(id, container, layer);
      return layer;
    });
  }

  /** Makes a layer of the store of one that was written to through its mount, and of those below it; it can't be written to from then on. */
  async seal(id: string): Promise<LayerRecord> {
    return await this.#locks.run(id, async () => {
      const container = this.find(id);
      if (container.sealed !== undefined) return this.#store.findLayer(container.sealed);
      if (this.#isWritable(id)) throw new UfsError('UFS_LAYER_IN_USE', `Cannot make a layer of "${id}": it is mounted, and may be written to`);
      const { layer } = await this.#asLayer(id);
      await this.#seal(id, container, layer);
      await removeUnused(this.#store, [container.parent]);
      return layer;
    });
  }

  /** All of a layer as a layer of the store, above the one its parent is; the layer itself stays as it is. */
  async #asLayer(id: string, options = ENGINES): Promise<{ layer: LayerRecord; below: LayerId | undefined }> {
    const { sealed } = this.find(id);
    const parent = this.parentOf(id);
    const below = parent === undefined ? undefined : (await this.seal(parent)).id;
    return { below, layer: sealed === undefined ? await applyLayer(this.#store, this.#packed(id, parent, options), { parent: below }) : this.#store.findLayer(sealed) };
  }

  /**
   * What a layer changes relative to another (any; without one it is all of it), as an archive. That of an image's layer relative to its parent is always the same,
   * and the one it was filled from.
   */
  async diff(id: string, parent: string | undefined): Promise<AsyncIterable<Buffer>> {
    await this.#consult(id);
    const container = this.find(id);
    if (parent !== undefined) this.find(parent);
    if (container.labels[KIND] === 'image' && parent === this.parentOf(id) && !this.#isWritable(id)) return layerArchive(this.#store, await this.seal(id));
    this.#mounts.flush(id);
    return this.#packed(id, parent);
  }

  /** Sorted by path; without the root. */
  changes(id: string, parent: string | undefined): { path: Name; kind: 'added' | 'modified' | 'deleted' }[] {
    return this.#compare(id, parent, (before, after) => treeChanges(before, after, FOR_PEOPLE).filter(({ path }) => path !== '').map(({ path, kind }) => ({ path, kind })));
  }

  /** The bytes of the files a layer changes. */
  size(id: string, parent: string | undefined): number {
    const { sealed } = this.find(id);
    if (sealed !== undefined && parent === this.parentOf(id)) return this.#store.findLayer(sealed).size;
    return this.#compare(id, parent, (before, after) => changesSize(after, treeChanges(before, after)));
  }

  /** What its own files take: of a layer that is written to what is on disk for it, of another what it changes. */
  readWriteDiskUsage(id: string): DiskUsage {
    this.#mounts.flush(id);
    const container = this.find(id);
    return container.sealed === undefined ? usageOfDirectory(upperOf(container).directory) : this.#compare(id, this.parentOf(id), usageOfChanges);
  }

  /** Access by path to the files that a layer changes, which are those of its `diff`; those written to its mount later may be missing. Close it. */
  diffGetter(id: string): FileGetter {
    const { before, after, close } = this.#trees(id, this.parentOf(id));
    try {
      return new FileGetter({ before, layer: after, close });
    } catch (error) {
      close();
      throw error;
    }
  }

  #isWritable(id: string): boolean {
    return this.#mounts.mountOf(id)?.spec.upper !== undefined;
  }

  #key(id: string): string {
    return `${this.#engine}:${id}`;
  }

  /** Makes a layer one of these that only an additional store has, with those it stands on. */
  async #consult(id: string): Promise<void> {
    if (this.has(id)) return;
    await this.#locks.run(id, async () => {
      const found = this.has(id) ? undefined : this.#store.findAdditionalContainer(this.#key(id));
      if (found?.sealed === undefined) return;
      const { sealed, labels } = found;
      const parent = labels[PARENT];
      if (parent !== undefined) await this.#consult(parent);
      const release = await this.#store.borrow(sealed, `layer "${id}"`);
      try {
        await this.#store.createContainer({ id: this.#key(id), labels, parent: sealed, sealed: true });
      } finally {
        release();
      }
    });
  }

  #childrenOf(id: string): string[] {
    return this.ids().filter((child) => this.parentOf(child) === id);
  }

  #spec(id: string, container: Container): Omit<MountSpec, 'target'> {
    const frozen = container.sealed !== undefined || this.#childrenOf(id).length > 0;
    const { layer, containers } = container.sealed === undefined ? this.#store.below(container) : { layer: container.sealed, containers: [] };
    const between = frozen && container.sealed === undefined ? [...containers, container] : containers;
    const limit = this.limitOf(id);
    const room = this.#store.roomOf(container);
    return {
      ...(this.idMaps === undefined ? {} : { idMaps: this.idMaps }),
      passthrough: 'auto', mount: { source: container.id, ...(frozen ? { readonly: true } : {}) },
      lower: layer === undefined ? { kind: 'directories', paths: [] } : { kind: 'layer', store: this.#store.root, layer },
      between: between.map(upperOf),
      ...(frozen ? {} : { upper: { ...upperOf(container), metacopy: true, ...(limit === undefined ? {} : { limit }), ...(room === undefined ? {} : { room }) } }),
    };
  }

  async #seal(id: string, container: Container, layer: LayerRecord): Promise<void> {
    const release = this.#store.use(layer.id, `layer "${container.id}"`);
    try {
      await this.#store.sealContainer(container.id, layer.id, { mounted: this.#mounts.mountOf(id) !== undefined });
    } finally {
      release();
    }
  }

  #open(id: string): Layer {
    this.#mounts.flush(id);
    return openWhole(this.#store, this.find(id));
  }

  /** A layer as a whole, and what to compare it with. Nothing is an empty directory, as old as the layer: of a root like any other nothing is told. */
  #trees(id: string, parent: string | undefined): { before: Layer; after: Layer; close: () => void } {
    const after = this.#open(id);
    try {
      const before = parent === undefined ? (new EmptyLayer(after.stat(after.root)) as Layer) : this.#open(parent);
      return { before, after, close: () => { before.close(); after.close(); } };
    } catch (error) {
      after.close();
      throw error;
    }
  }

  #compare<T>(id: string, parent: string | undefined, use: (before: Layer, after: Layer) => T): T {
    const { before, after, close } = this.#trees(id, parent);
    try {
      return use(before, after);
    } finally {
      close();
    }
  }

  async *#packed(id: string, parent: string | undefined, options = ENGINES): AsyncGenerator<Buffer> {
    const { before, after, close } = this.#trees(id, parent);
    try {
      yield* archiveOf(before, after, options);
    } finally {
      close();
    }
  }
}
