import { realpathSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import type { ObjectKey } from '../tree/entry.ts';
import { damaged } from './index-database.ts';
import { IndexedLayer } from './indexed-layer.ts';
import { shortId, type LayerId } from './layer-id.ts';
import { readManifest } from './manifest.ts';
import { ObjectReader } from './object-reader.ts';
import { readObjects } from './objects-file.ts';
import { readStoreFile } from './opening.ts';
import { manifestPath, objectsPath, StorePaths } from './paths.ts';
import type { LayerRecord, Manifest } from './records.ts';
import { numbersIn } from './removal.ts';
import { treeOf } from './state.ts';

/**
 * Opens a layer in another process than the store's, from what the index is made of: only one process can have that open. All objects of the layer and
 * those below it are in memory then.
 */
export function openLayerFromFiles({ root, layerId }: { root: string; layerId: LayerId }): IndexedLayer {
  const paths = new StorePaths(realpathSync(root));
  const chain = readChain(paths, layerId);
  const objects = new Map<ObjectKey, Buffer>();
  for (const { number } of chain) for (const [key, bytes] of readObjects(objectsPath(paths.layer(number)))) objects.set(key, bytes);
  const reader = new ObjectReader((key) => {
    const bytes = objects.get(key);
    if (bytes === undefined) throw damaged(paths.index, `object ${key} is in none of the layers of ${shortId(layerId)}`);
    return bytes;
  });
  const { uuid } = readStoreFile(paths);
  return new IndexedLayer({ paths, uuid, reader, tree: treeOf(chain[chain.length - 1], reader), chain });
}

/** The layer and those below it, bottom first. Containers may come and go meanwhile. */
function readChain(paths: StorePaths, top: LayerId): LayerRecord[] {
  const records = new Map(numbersIn(paths.layers).map((number) => manifestOf(paths, number)).filter((record) => record?.kind === 'layer').map((record) => [record.id, record]));
  const chain: LayerRecord[] = [];
  for (let id: LayerId | undefined = top; id !== undefined; id = chain[0].parent) {
    const record = records.get(id);
    if (record === undefined) throw new UfsError('UFS_LAYER_NOT_FOUND', `Cannot open layer ${shortId(top)}: the store has no layer ${shortId(id)}`);
    chain.unshift(record);
  }
  return chain;
}

function manifestOf(paths: StorePaths, number: number): Manifest | undefined {
  try {
    return readManifest(manifestPath(paths.layer(number)));
  } catch {
    // Gone since it was listed, or damaged: where it is needed, its absence is told.
    return undefined;
  }
}
