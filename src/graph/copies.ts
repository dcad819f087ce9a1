import { UfsError } from '../errors.ts';
import type { Container } from '../store/containers.ts';
import type { LayerRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { applyLayer, type Work } from './apply.ts';
import { changesArchive } from './diff.ts';
import { belongsToEngine } from './layer-labels.ts';
import { layerWithOwners, type NewOwners } from './owners.ts';

/**
 * A container with the content of another, on the same image. What that one changed becomes a layer, which shares what the store has; what the new one changes is told
 * against that.
 */
export async function cloneContainer(store: Store, container: Container, { name, ...work }: Work & { name?: string | undefined }): Promise<Container> {
  refuseEngines(container, 'clone');
  return await withLayer(store, container, work, async (layer) => {
    const { image } = container;
    return await store.createContainer({ ...(name === undefined ? {} : { name }), parent: layer.id, ...(image === undefined ? {} : { image }) });
  });
}

/**
 * Makes all files that a container shows belong to others, at one instant: their owners go in by one map and out by another. Image and other containers stay as they are: what this
 * one shows becomes a layer of its own, which shares their data, and what it changes from then on is told against that. It must not be mounted. UFS_ID_NOT_MAPPED.
 */
export async function remapContainer(store: Store, container: Container, { owners, ...work }: Work & { owners: NewOwners }): Promise<LayerRecord> {
  refuseEngines(container, 'change the owners of');
  return await withLayer(store, container, work, async (layer) => {
    const owned = await layerWithOwners(store, layer.id, { parent: container.parent, owners });
    await store.replaceContainer(container.id, { parent: owned.id, sealed: false });
    return owned;
  });
}

function refuseEngines(container: Container, action: string): void {
  if (belongsToEngine(container)) throw new UfsError('UFS_CONTAINER_IN_USE', `Cannot ${action} "${container.id}": it belongs to the engine that made it`);
}

/** Does something with what a container shows, as a layer of the store. */
async function withLayer<T>(store: Store, container: Container, work: Work, action: (layer: LayerRecord) => Promise<T>): Promise<T> {
  const archive = changesArchive(store, { kind: 'container', container }, { allXattrs: true, skipped: (path, reason) => work.warn?.(`${path}: ${reason}`) });
  const layer = await applyLayer(store, archive, { ...work, parent: container.parent });
  const release = store.use(layer.id, `container "${container.name ?? container.id}"`);
  try {
    return await action(layer);
  } finally {
    release();
  }
}
