import type { Change } from '../tree/change.ts';
import type { ContentSink, ContentSource, Entry, Tree, TreeReader } from '../tree/entry.ts';
import type { IndexedLayer } from './indexed-layer.ts';
import type { LayerId } from './layer-id.ts';
import type { ContainerRecord, ImageRecord, Labels, LayerRecord } from './records.ts';

export interface StoreOptions {
  /** Make the store where there is none. */
  create?: boolean;
  /** Throw the index away and make it anew from the layers. */
  rebuild?: boolean;
  /** Told what was mended or swept away at open. */
  log?: (message: string) => void;
}

export interface CommitOptions {
  root: Change;
  /** "sha256:…" of the uncompressed archive. */
  diffId: string;
  archiveSize: number;
  size: number;
  labels?: Labels;
}

export interface LayerTransaction {
  readonly number: number;
  readonly sink: ContentSink;
  /** Where the recipe is to be written. */
  readonly recipePath: string;
  readonly parent: LayerRecord | undefined;
  readonly parentTree: Tree | undefined;
  readonly reader: TreeReader;
  commit(options: CommitOptions): Promise<LayerRecord>;
  /** Leaves nothing; may be called at any time, after a commit it does nothing. */
  abort(): void;
}

export interface NewContainer {
  /** Random where absent. */
  id?: string;
  name?: string;
  parent?: LayerId;
  /** Id of the image `parent` is the top layer of. */
  image?: string;
  labels?: Labels;
}

export interface Container extends ContainerRecord {
  /** Absolute paths of the upper directory and of the directory copy-ups are built in. */
  diff: string;
  work: string;
}

export interface NewImage {
  names?: readonly string[];
  config: Buffer;
  /** Bottom first; every one is in the store. */
  layers: readonly LayerId[];
}

export interface GcResult {
  layers: LayerRecord[];
  bytes: number;
}

export interface StoreStatus {
  root: string;
  uuid: string;
  layers: number;
  images: number;
  containers: number;
  /** Bytes of file data in content directories, shared data once. */
  contentBytes: number;
  indexBytes: number;
}

export interface CheckProblem {
  /** A layer's id, or "store", "images". */
  layer: string;
  problem: string;
  fixed: boolean;
}

export interface CheckOptions {
  /** Mend what can be mended. */
  rebuild?: boolean;
  /** Only these layers. */
  layers?: readonly LayerId[];
  /** The archive's bytes from recipe and content. */
  replay?: (recipePath: string, source: ContentSource) => AsyncIterable<Buffer>;
  /** What the archive does, read once more from recipe and content. */
  reapply?: (recipePath: string, source: ContentSource, parent: Tree | undefined, reader: TreeReader) => Promise<Change>;
  onProgress?: (done: number, total: number, what: string) => void;
}

export declare class Store {
  static open(root: string, options?: StoreOptions): Promise<Store>;
  readonly root: string;
  readonly uuid: string;
  readonly reader: TreeReader;

  layers(): LayerRecord[];
  layer(id: LayerId): LayerRecord | undefined;
  layerByNumber(number: number): LayerRecord | undefined;
  /** By id or by 4 or more of its first digits; UFS_LAYER_NOT_FOUND, UFS_AMBIGUOUS. */
  findLayer(idOrPrefix: string): LayerRecord;
  /** The layer and all below it, bottom first. */
  chain(id: LayerId): LayerRecord[];
  tree(id: LayerId): Tree;
  recipePath(layer: number): string;
  contentSource(layer: number): ContentSource;
  beginLayer(options?: { parent?: LayerId }): LayerTransaction;
  /** Refuses with UFS_LAYER_IN_USE, saying by what. */
  removeLayer(id: LayerId): Promise<void>;
  /** Keeps a layer from being removed until the function given back is called; `by` says why, to people. */
  use(id: LayerId, by: string): () => void;
  openLayer(id: LayerId): IndexedLayer;

  createContainer(options: NewContainer): Promise<Container>;
  containers(): Container[];
  /** By id, name, or 4 or more first characters of the id. UFS_CONTAINER_NOT_FOUND. */
  findContainer(idOrName: string): Container;
  removeContainer(id: string): Promise<void>;

  putImage(image: NewImage): Promise<ImageRecord>;
  images(): ImageRecord[];
  /** By name ("app", "app:latest"), id or 4 or more first digits. UFS_IMAGE_NOT_FOUND, UFS_AMBIGUOUS. */
  findImage(nameOrId: string): ImageRecord;
  tagImage(nameOrId: string, name: string): Promise<ImageRecord>;
  /** Takes a name away; the image stays. */
  untagImage(name: string): Promise<void>;
  /** Removes the image with all its names; its layers stay until `gc`. */
  removeImage(nameOrId: string): Promise<void>;

  gc(options?: { keep?: readonly LayerId[] }): Promise<GcResult>;
  /** Deletes what was removed, for real. */
  emptyTrash(): Promise<void>;
  status(): Promise<StoreStatus>;
  check(options?: CheckOptions): Promise<CheckProblem[]>;
  close(): Promise<void>;
}

/** For a worker thread of the process that has the store open. */
export declare function openIndexedLayer(options: { root: string; layerId: LayerId }): Promise<IndexedLayer>;
export type { Entry };
