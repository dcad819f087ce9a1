import { chmodSync, existsSync, renameSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import type { Change } from '../tree/change.ts';
import type { ContentSink, Tree, TreeReader } from '../tree/entry.ts';
import { LayerSink } from './content.ts';
import { type ContentSize, NO_CONTENT, sizeOfFiles } from './content-size.ts';
import { encodeEntry } from './directory-object.ts';
import { FILE_MODE, makeDirectory, syncDirectory, syncTree, writeNewFile } from './durable.ts';
import { type IndexOperation, putContent, putContentSize, putLastNumber, putLayer, putObject } from './index-database.ts';
import { chainId, shortId, type LayerId } from './layer-id.ts';
import { encodeManifest } from './manifest.ts';
import { writeObjects } from './objects-file.ts';
import { layerNote } from './opening.ts';
import { contentPath, manifestPath, objectsPath, recipePath } from './paths.ts';
import type { GrowingLayer } from './pool.ts';
import type { Labels, LayerRecord, Manifest } from './records.ts';
import { treeOf, useLayer, type StoreState } from './state.ts';
import { buildTree } from './tree-builder.ts';

export interface CommitOptions {
  /** What the layer does. */
  root: Change;
  /** "sha256:…" of the uncompressed archive. */
  diffId: string;
  /** Bytes of the uncompressed archive. */
  archiveSize: number;
  /** Bytes of file data in it. */
  size: number;
  labels?: Labels;
}

/** A layer being made, in staging/. Whatever isn't committed is swept, at the latest when the store is opened again. */
export class LayerTransaction {
  readonly number: number;
  readonly parent: LayerRecord | undefined;
  readonly parentTree: Tree | undefined;
  readonly reader: TreeReader;
  /** Where the recipe is to be written. */
  readonly recipePath: string;
  readonly #state: StoreState;
  readonly #directory: string;
  readonly #sink: LayerSink;
  readonly #space: GrowingLayer;
  readonly #release: () => void;
  #ended = false;

  constructor(state: StoreState, parent: LayerRecord | undefined) {
    this.#state = state;
    this.number = state.nextNumber++;
    this.parent = parent;
    this.parentTree = parent && treeOf(parent, state.reader);
    this.reader = state.reader;
    this.#directory = state.paths.staged(this.number);
    this.recipePath = recipePath(this.#directory);
    makeDirectory(this.#directory);
    this.#space = state.pool.growing(this.number);
    this.#sink = new LayerSink({
      directory: this.#directory,
      find: (digest) => {
        const layer = state.index.contentLayer(digest);
        return layer === undefined ? undefined : state.paths.layer(layer);
      },
      take: (bytes) => this.#space.take(bytes),
      isOwn: (number) => number === this.number || !isBorrowed(state.table.byNumber(number)),
      layerDirectory: (number) => (number === this.number ? this.#directory : state.paths.layer(number)),
    });
    this.#release = parent === undefined ? () => undefined : useLayer(state, parent.id, 'a layer that is being made on top of it');
  }

  /** Where file data goes. */
  get sink(): ContentSink {
    return this.#sink;
  }

  /** The layer, on disk and in the index. Where the store has a layer of that id already, that one is given back and this one dropped. */
  async commit(options: CommitOptions): Promise<LayerRecord> {
    if (this.#ended) throw new UfsError('UFS_TRANSACTION_ENDED', 'Cannot commit a layer: its transaction has ended');
    const id = chainId(this.parent?.id, options.diffId);
    try {
      return await this.#state.serially(async () => this.#state.table.layer(id) ?? (await this.#publish(id, options)));
    } finally {
      this.abort();
    }
  }

  /** Leaves nothing; after a commit it does nothing. */
  abort(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    this.#space.end();
    if (existsSync(this.#directory)) renameSync(this.#directory, this.#state.paths.trashed(this.number));
  }

  async #publish(id: LayerId, { root, diffId, archiveSize, size, labels = {} }: CommitOptions): Promise<LayerRecord> {
    const state = this.#state;
    const built = buildTree({ parent: this.parentTree, layer: this.number, root, reader: this.reader });
    const record: LayerRecord = {
      kind: 'layer', number: this.number, id, parent: this.parent?.id, diffId, archiveSize, size, ownBytes: this.#sink.ownBytes,
      root: encodeEntry(built.tree.root).toString('base64'), links: built.links, objects: built.objects.size, created: new Date().toISOString(), labels,
    };
    if (!existsSync(this.recipePath)) throw new UfsError('UFS_NO_RECIPE', `Cannot commit layer ${shortId(id)}: no recipe was written to ${this.recipePath}`);
    chmodSync(this.recipePath, FILE_MODE);
    state.step('commit-objects');
    writeObjects(objectsPath(this.#directory), built.objects);
    const operations = [
      ...[...built.objects].map(([key, bytes]) => putObject(key, bytes, state.index.objectCount(key) + 1)),
      ...[...this.#sink.own].map((digest) => putContent(digest, this.number)),
    ];
    await publish(state, this.#directory, record, operations, { content: () => sizeOfFiles([...this.#sink.own].map((digest) => contentPath(this.#directory, digest))) });
    return record;
  }
}

export interface Publishing {
  sync?: (staged: string) => void | Promise<void>;
  content?: () => ContentSize;
}

/**
 * Makes a staged directory a layer or container of the store. Everything in it is on disk (by `sync`) before it gets its place, and it has its place before the
 * index says so: after a power cut the index lacks it at worst, and is mended from its files. `content`: what its own content takes, once it is on disk.
 */
export async function publish(state: StoreState, staged: string, manifest: Manifest, operations: IndexOperation[], { sync = syncTree, content = () => NO_CONTENT }: Publishing = {}): Promise<void> {
  state.step('commit-manifest');
  writeNewFile(manifestPath(staged), encodeManifest(manifest), { sync: false });
  state.step('commit-sync');
  await sync(staged);
  const { bytes, allocated } = content();
  const contentSize = { bytes: state.contentSize.bytes + bytes, allocated: state.contentSize.allocated + allocated };
  const lastNumber = Math.max(state.lastNumber, manifest.number);
  state.step('commit-rename');
  const place = state.paths.layer(manifest.number);
  renameSync(staged, place);
  try {
    syncDirectory(state.paths.layers);
    state.step('commit-batch');
    await state.index.write([putLayer(manifest.number, layerNote(manifest)), putContentSize(contentSize), putLastNumber(lastNumber), ...operations]);
  } catch (error) {
    renameSync(place, state.paths.trashed(manifest.number));
    throw error;
  }
  state.table.add(manifest);
  state.contentSize = contentSize;
  state.lastNumber = lastNumber;
  state.pool.setContent(contentSize.allocated);
  state.step('committed');
}

function isBorrowed(manifest: Manifest | undefined): boolean {
  return manifest?.kind === 'layer' && manifest.borrowed !== undefined;
}

/** The layer a new one is to stand on. */
export function parentLayer(state: StoreState, id: LayerId | undefined): LayerRecord | undefined {
  if (id === undefined) return undefined;
  const parent = state.table.layer(id);
  if (parent === undefined) throw new UfsError('UFS_LAYER_NOT_FOUND', `Cannot make a layer on top of ${shortId(id)}: there is no such layer`);
  return parent;
}
