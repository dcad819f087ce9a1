import { realpathSync } from 'node:fs';
import type { IndexedLayer } from './indexed-layer.ts';
import type { LayerId } from './layer-id.ts';
import { readStoreFile } from './opening.ts';
import { StorePaths } from './paths.ts';
import { StoreFiles } from './store-files.ts';

/** By path and identity: a store may have been removed, and another made in its place. */
const stores = new Map<string, StoreFiles>();

/** Opens a layer in another process than the store's, from what the index is made of: only one process can have that open. */
export function openLayerFromFiles({ root, layerId }: { root: string; layerId: LayerId }): IndexedLayer {
  const paths = new StorePaths(realpathSync(root));
  const { uuid } = readStoreFile(paths);
  const key = `${uuid} ${paths.root}`;
  let files = stores.get(key);
  if (files === undefined) stores.set(key, (files = new StoreFiles(paths, uuid)));
  return files.openLayer(layerId);
}
