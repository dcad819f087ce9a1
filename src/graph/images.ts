import { fullImageName } from '../archive/image-name.ts';
import { openImages } from '../archive/image.ts';
import type { SavedImage } from '../archive/image-save.ts';
import { replay } from '../archive/recipe.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { ImageRecord, LayerRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { applyLayer, type Work } from './apply.ts';
import { findImage, nameAskedFor } from './trees.ts';

/** Loads every image of a docker archive or OCI layout (a path, or a stream of a tar). */
export async function loadImages(store: Store, from: string | AsyncIterable<Buffer>, work: Work & { names?: readonly string[] }): Promise<ImageRecord[]> {
  const source = await openImages(from, { spoolDirectory: store.root, ...(work.signal === undefined ? {} : { signal: work.signal }) });
  try {
    const loaded: ImageRecord[] = [];
    for (const image of source.images) {
      const release: (() => void)[] = [];
      try {
        const layers: LayerId[] = [];
        for (const layer of image.layers) {
          const { id } = await applyLayer(store, layer.open(), { ...work, parent: layers.at(-1), diffId: layer.diffId });
          // A `gc` meanwhile must not take what the image isn't named for yet.
          release.push(store.use(id, 'an image being loaded'));
          layers.push(id);
        }
        loaded.push(await store.putImage({ names: work.names ?? image.names, config: image.config, layers }));
      } finally {
        for (const free of release) free();
      }
    }
    return loaded;
  } finally {
    source.close();
  }
}

/** Imports a tar of a root file system, or of one more layer on `parent`, as a layer; with a name, as an image. */
export async function importArchive(store: Store, archive: AsyncIterable<Buffer>, options: Work & { name?: string | undefined; parent?: LayerId | undefined }): Promise<{ layer: LayerRecord; image?: ImageRecord }> {
  const layer = await applyLayer(store, archive, options);
  if (options.name === undefined) return { layer };
  // A `gc` meanwhile must not take what the image isn't named for yet.
  const release = store.use(layer.id, 'an import');
  try {
    return { layer, image: await nameLayer(store, layer.id, { name: options.name, createdBy: 'ufs import' }) };
  } finally {
    release();
  }
}

/** Makes a layer, with all below it, an image of that name. `base`: the configuration to carry on (environment, entry point …). */
export async function nameLayer(store: Store, layer: LayerId, options: { name?: string | undefined; createdBy: string; base?: ImageRecord | undefined; comment?: string | undefined }): Promise<ImageRecord> {
  const chain = store.chain(layer);
  const base = options.base === undefined ? {} : (JSON.parse(options.base.config.toString()) as Record<string, unknown>);
  const created = new Date().toISOString();
  const history = Array.isArray(base['history']) ? (base['history'] as unknown[]) : chain.slice(0, -1).map((record) => ({ created: record.created, created_by: 'ufs import' }));
  const config = {
    ...base,
    architecture: base['architecture'] ?? (process.arch === 'x64' ? 'amd64' : process.arch),
    os: base['os'] ?? 'linux',
    config: base['config'] ?? {},
    created,
    history: [...history, { created, created_by: options.createdBy, ...(options.comment === undefined ? {} : { comment: options.comment }) }],
    rootfs: { type: 'layers', diff_ids: chain.map(({ diffId }) => diffId) },
  };
  return await store.putImage({
    names: options.name === undefined ? [] : [fullImageName(options.name)],
    config: Buffer.from(JSON.stringify(config)),
    layers: chain.map(({ id }) => id),
  });
}

/**
 * Images as `save…` of src/archive wants them; their layers' archives are byte for byte those that were applied. Each image comes once, under the names it is asked
 * for by, or under all it has where that is its id.
 */
export function savedImages(store: Store, namesOrIds: readonly string[]): SavedImage[] {
  const asked = new Map<string, { image: ImageRecord; names: Set<string> }>();
  for (const text of namesOrIds) {
    const image = findImage(store, text);
    const entry = asked.get(image.id) ?? { image, names: new Set() };
    asked.set(image.id, entry);
    const name = nameAskedFor(image, text);
    for (const each of name === undefined ? image.names : [name]) entry.names.add(each);
  }
  return [...asked.values()].map(({ image, names }) => savedImage(store, image, [...names]));
}

function savedImage(store: Store, image: ImageRecord, names: string[]): SavedImage {
  return {
    names,
    config: image.config,
    layers: image.layers.map((id) => {
      const record = store.findLayer(id);
      return { diffId: record.diffId, size: record.archiveSize, open: () => layerArchive(store, record) };
    }),
  };
}

/** The exact archive a layer was made from. */
export function layerArchive(store: Store, layer: LayerRecord): AsyncIterable<Buffer> {
  return replay(store.recipePath(layer.number), store.contentSource(layer.number));
}
