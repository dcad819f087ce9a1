import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UfsError } from '../errors.ts';
import type { ContentSource, Tree, TreeReader } from '../tree/entry.ts';
import { type AdditionalStore, AdditionalStores } from './additional-stores.ts';
import { borrowLayers, followStores } from './borrow.ts';
import { checkStore, type CheckOptions, type CheckProblem } from './check.ts';
import { beginFilling, belowContainer, createContainer, isFilling, relabelContainer, removeContainer, sealContainer, withPaths, type Container, type NewContainer } from './containers.ts';
import { ConsultedImages } from './consulted-images.ts';
import { LayerContent } from './content.ts';
import { takenByContent } from './content-size.ts';
import { checkImageLayers, type NewImage } from './image-table.ts';
import { IndexedLayer } from './indexed-layer.ts';
import { shortId, type LayerId } from './layer-id.ts';
import { openStore, type StoreOptions } from './opening.ts';
import { recipePath } from './paths.ts';
import type { Pool, PoolFigures } from './pool.ts';
import type { ContainerRecord, ImageRecord, Labels, LayerRecord } from './records.ts';
import { collectGarbage, numbersIn, removeLayer, type GcResult } from './removal.ts';
import { replaceContainer } from './replace-container.ts';
import { treeOf, useLayer, type StoreState } from './state.ts';
import { countUpper, resizePool } from './store-pool.ts';
import { LayerTransaction, parentLayer } from './transaction.ts';
import type { TakenSpace } from './taken-space.ts';
import { emptyDirectory } from './trash.ts';
import type { RoomOfUpper } from './upper-room.ts';

export interface StoreStatus {
  root: string;
  uuid: string;
  layers: number;
  images: number;
  containers: number;
  /** Bytes of file data of all layers, what they share counted once. */
  contentBytes: number;
  /** Bytes of file data the layers bring, what they share each time. */
  layerBytes: number;
  indexBytes: number;
  /** Removed layers and containers that are still being deleted. */
  removed: number;
  /** The greatest number a layer or container ever had: it only grows. */
  lastNumber: number;
  pool: PoolFigures;
}

/**
 * Layers, containers and images on disk. One process has a store open at a time. Every change is on disk when its promise is kept, and is there
 * wholly or not at all after a crash. Changes run one after another; reading is synchronous.
 */
export class Store {
  readonly #state: StoreState;
  readonly #unlock: () => void;
  readonly #trees = new Map<LayerId, Tree>();
  readonly #additional: AdditionalStores;
  readonly #images: ConsultedImages;
  #emptying: Promise<void> | undefined;
  #closed = false;

  private constructor(state: StoreState, additional: AdditionalStores, unlock: () => void) {
    this.#state = state;
    this.#unlock = unlock;
    this.#additional = additional;
    this.#images = new ConsultedImages(state.images, additional);
  }

  /** UFS_STORE_MISSING, UFS_STORE_LOCKED, UFS_STORE_VERSION, UFS_STORE_UNSAFE, UFS_INDEX_DAMAGED. */
  static async open(root: string, options: StoreOptions = {}): Promise<Store> {
    const { state, unlock } = await openStore(root, options);
    try {
      const additional = new AdditionalStores(state.paths, state.uuid, state.log);
      followStores(state, () => additional.readable());
      return new Store(state, additional, unlock);
    } catch (error) {
      await state.index.close();
      state.pool.close();
      unlock();
      throw error;
    }
  }

  /** Its real path. */
  get root(): string {
    return this.#state.paths.root;
  }

  get uuid(): string {
    return this.#state.uuid;
  }

  /** Reads the trees of all layers. */
  get reader(): TreeReader {
    return this.#state.reader;
  }

  /** Parents before their children. */
  layers(): LayerRecord[] {
    return this.#state.table.layers();
  }

  layer(id: LayerId): LayerRecord | undefined {
    return this.#state.table.layer(id);
  }

  layerByNumber(number: number): LayerRecord | undefined {
    const manifest = this.#state.table.byNumber(number);
    return manifest?.kind === 'layer' ? manifest : undefined;
  }

  /** By id or by 4 or more of its first digits; UFS_LAYER_NOT_FOUND, UFS_AMBIGUOUS. */
  findLayer(idOrPrefix: string): LayerRecord {
    return this.#state.table.findLayer(idOrPrefix);
  }

  /** The layer and all below it, bottom first. */
  chain(id: LayerId): LayerRecord[] {
    return this.#state.table.chain(id);
  }

  /** The whole file system a layer is the top of. */
  tree(id: LayerId): Tree {
    let tree = this.#trees.get(id);
    if (tree === undefined) {
      const chain = this.chain(id);
      tree = treeOf(chain[chain.length - 1], this.#state.reader);
      this.#trees.set(id, tree);
    }
    return tree;
  }

  recipePath(layer: number): string {
    return recipePath(this.#state.paths.layer(layer));
  }

  contentSource(layer: number): ContentSource {
    return new LayerContent(this.#state.paths.layer(layer));
  }

  /** Starts a new layer. End it with `commit` or `abort`. Ask `layer(chainId(parent, diffId))` first whether it is there already. */
  beginLayer(options: { parent?: LayerId } = {}): LayerTransaction {
    return new LayerTransaction(this.#state, parentLayer(this.#state, options.parent));
  }

  /** Refuses with UFS_LAYER_IN_USE, saying by what. */
  async removeLayer(id: LayerId): Promise<void> {
    await removeLayer(this.#state, id);
    this.#trees.delete(id);
  }

  /** Keeps a layer (and all below it) from being removed until the function given back is called; `by` says to people why. */
  use(id: LayerId, by: string): () => void {
    this.chain(id);
    return useLayer(this.#state, id, by);
  }

  /** The layer as the lower side of a union, for this thread; in use until it is closed. */
  openLayer(id: LayerId): IndexedLayer {
    const { paths, uuid, reader } = this.#state;
    return new IndexedLayer({ paths, uuid, reader, tree: this.tree(id), chain: this.chain(id), onClose: this.use(id, 'a mount') });
  }

  /** The stores that are consulted after this one for images and layers, and only read. */
  additionalStores(): AdditionalStore[] {
    return this.#additional.all();
  }

  /** UFS_STORE_MISSING, UFS_STORE_UNSAFE, UFS_STORE_VERSION, UFS_STORE_DAMAGED; UFS_USAGE for this store itself. */
  async addAdditionalStore(root: string): Promise<void> {
    await this.#state.serially(async () => {
      this.#additional.add(root);
      followStores(this.#state, () => this.#additional.readable());
    });
  }

  /** Consults it no more. What was made of its layers goes on, and needs it to stay where it is. UFS_NOT_FOUND. */
  async removeAdditionalStore(root: string): Promise<void> {
    await this.#state.serially(async () => this.#additional.remove(root));
  }

  /** A layer of an additional store: what it is there. By id or by 4 or more of its first digits; undefined where none of them has it. UFS_AMBIGUOUS. */
  findAdditionalLayer(idOrPrefix: string): (LayerRecord & { store: string }) | undefined {
    for (const { root, store } of this.#additional.all()) {
      const layer = store?.layers().searchLayer(idOrPrefix);
      if (layer !== undefined) return { ...layer, store: root };
    }
    return undefined;
  }

  /** A container of an additional store, by its whole id: what it is there. */
  findAdditionalContainer(id: string): ContainerRecord | undefined {
    return this.#additional.readable().map((store) => store.layers().container(id)).find((record) => record !== undefined);
  }

  /**
   * Keeps a layer as `use` does. One that only an additional store has is made this store's before, with all below it: its metadata is copied, its data stays
   * there. UFS_LAYER_NOT_FOUND. Nothing is done for no layer.
   */
  async borrow(id: LayerId | undefined, by: string): Promise<() => void> {
    if (id === undefined) return () => undefined;
    const missing = this.layer(id) === undefined;
    // From now on: a `gc` may be waiting for its turn.
    const release = useLayer(this.#state, id, by);
    try {
      if (missing) await this.#borrow(id);
      return release;
    } catch (error) {
      release();
      throw error;
    }
  }

  async #borrow(id: LayerId): Promise<void> {
    const from = this.#additional.readable().find((store) => store.layers().layer(id) !== undefined);
    if (from === undefined) throw new UfsError('UFS_LAYER_NOT_FOUND', `Cannot find layer ${shortId(id)}${this.#additional.problems()}`);
    await borrowLayers(this.#state, from, id);
  }

  async createContainer(options: NewContainer = {}): Promise<Container> {
    return await createContainer(this.#state, options);
  }

  containers(): Container[] {
    return this.#state.table.containers().map((record) => withPaths(this.#state, record));
  }

  /** By its whole id. */
  container(id: string): Container | undefined {
    const record = this.#state.table.container(id);
    return record && withPaths(this.#state, record);
  }

  /** By id, name, or 4 or more first characters of the id. UFS_CONTAINER_NOT_FOUND, UFS_AMBIGUOUS. */
  findContainer(idOrName: string): Container {
    return withPaths(this.#state, this.#state.table.findContainer(idOrName));
  }

  /** What a container stands on: a layer (or nothing), and the containers on that, bottom first. */
  below(container: Container): { layer: LayerId | undefined; containers: Container[] } {
    return belowContainer(this.#state, container);
  }

  /** Once for each container: see `beginFilling` of containers.ts. */
  beginFilling(container: Container): void {
    beginFilling(this.#state, container);
  }

  /** Whether filling it was begun, and didn't end (yet). */
  isFilling(container: Container): boolean {
    return isFilling(this.#state, container);
  }

  /** Notes that a layer was made of a container, which isn't to be written to any more. */
  async sealContainer(id: string, layer: LayerId, how: { mounted: boolean }): Promise<Container> {
    await sealContainer(this.#state, id, layer, how);
    return this.findContainer(id);
  }

  /** Puts a container on another layer, with nothing changed in it: see replace-container.ts. */
  async replaceContainer(id: string, how: { parent: LayerId; sealed: boolean }): Promise<Container> {
    await replaceContainer(this.#state, id, how);
    return this.findContainer(id);
  }

  /** Gives a container other labels, and another id; its files stay where they are. */
  async relabelContainer(id: string, labels: Labels, newId = id): Promise<void> {
    await relabelContainer(this.#state, id, labels, newId);
  }

  async removeContainer(idOrName: string): Promise<void> {
    await removeContainer(this.#state, idOrName);
  }

  /** Makes an image, or gives one that is there these names too. A name another image has is taken from it. */
  async putImage(image: NewImage): Promise<ImageRecord> {
    return await this.#state.serially(async () => {
      checkImageLayers(image, this.#state.table);
      return this.#state.images.put(image);
    });
  }

  /** Those of additional stores come after the own. What a name means here it doesn't mean there: their images are without it. */
  images(): ImageRecord[] {
    return this.#images.all();
  }

  /** By name ("app" is "app:latest" too), id or 4 or more first digits. UFS_IMAGE_NOT_FOUND, UFS_AMBIGUOUS. */
  findImage(nameOrId: string): ImageRecord {
    return this.#images.find(nameOrId);
  }

  async tagImage(nameOrId: string, name: string): Promise<ImageRecord> {
    const { id, store, config, layers } = this.findImage(nameOrId);
    if (store === undefined) return await this.#state.serially(async () => this.#state.images.tag(id, name));
    const release = await this.borrow(layers.at(-1), `the image "${name}"`);
    try {
      return await this.putImage({ names: [name], config, layers });
    } finally {
      release();
    }
  }

  /** Takes a name away; the image stays. */
  async untagImage(name: string): Promise<void> {
    await this.#state.serially(async () => {
      this.#images.refuseOthers(name, 'take a name of');
      this.#state.images.untag(name);
    });
  }

  /** Removes an image with all its names; its layers stay until `gc`. UFS_IMAGE_IN_USE where a container was made from it. */
  async removeImage(nameOrId: string): Promise<ImageRecord> {
    return await this.#state.serially(async () => {
      this.#images.refuseOthers(nameOrId, 'remove');
      return this.#state.images.remove(nameOrId, this.#state.table);
    });
  }

  /** Removes the layers that no image, container, use or one of `keep` needs. */
  async gc(options: { keep?: readonly LayerId[] } = {}): Promise<GcResult> {
    const result = await collectGarbage(this.#state, options.keep);
    for (const { id } of result.layers) this.#trees.delete(id);
    return result;
  }

  /** Deletes for real what was removed or swept. Others get their turn in between. */
  async emptyTrash(): Promise<void> {
    this.#emptying ??= emptyDirectory(this.#state.paths.trash).finally(() => (this.#emptying = undefined));
    await this.#emptying;
  }

  /** Its space. */
  get pool(): Pool {
    return this.#state.pool;
  }

  /** Sets the limit of what layers and containers take in all, or takes it away. UFS_POOL_TOO_SMALL. */
  async resizePool(limit: number | undefined): Promise<void> {
    await resizePool(this.#state, limit);
  }

  /** For the mount of a container: its part of the pool, where that has a limit. */
  roomOf({ number }: Container): RoomOfUpper | undefined {
    return this.pool.limit === undefined ? undefined : { file: this.#state.paths.pool, owner: number };
  }

  /** What the content of a layer is on disk: also what it shares with others. */
  takenByContent(number: number): Omit<TakenSpace, 'inodes'> {
    return takenByContent(this.#state.paths.layer(number));
  }

  /** Counts anew what a container takes, after a mount of it that didn't (there was no limit then). */
  async countContainer(id: string): Promise<void> {
    const record = this.#state.table.container(id);
    if (record !== undefined) await countUpper(this.#state, record);
  }

  /** As `emptyTrash`, by and by: nobody waits for it, and where it fails the log says so. */
  startEmptyingTrash(): void {
    void this.emptyTrash().catch((error: unknown) => this.#state.log(`Cannot delete all that was removed: ${(error as Error).message}; it is tried again with the next removal`));
  }

  async status(): Promise<StoreStatus> {
    const { table, images, paths, uuid, pool, contentSize, lastNumber } = this.#state;
    const layers = table.layers();
    return {
      root: paths.root, uuid, layers: layers.length, images: images.all().length, containers: table.containers().length,
      contentBytes: contentSize.bytes,
      layerBytes: layers.reduce((sum, { size, borrowed }) => (borrowed === undefined ? sum + size : sum), 0),
      indexBytes: directorySize(paths.index),
      removed: numbersIn(paths.trash).length,
      lastNumber, pool: pool.figures(),
    };
  }

  /** Compares everything with everything; see CheckOptions. `Store.open(root, { rebuild: true })` makes the index anew before. */
  async check(options: CheckOptions = {}): Promise<CheckProblem[]> {
    return await checkStore(this.#state, options);
  }

  /** Waits for changes under way, then gives the store up to others. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#emptying;
    await this.#state.serially(async () => await this.#state.index.close());
    this.#state.pool.close();
    this.#unlock();
  }
}

/** LevelDB drops files while it works: what is gone between looking and asking counts nothing. */
function directorySize(path: string): number {
  return readdirSync(path).reduce((sum, name) => sum + (statSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}
