import type { ImageRecord, LayerRecord } from '../store/records.ts';
import type { Container } from '../store/containers.ts';
import type { Store } from '../store/store.ts';
import { applyLayer, type Work } from './apply.ts';
import { changesArchive } from './diff.ts';
import { nameLayer } from './images.ts';

/** Makes what a container changed a layer on its image, and an image of that. The container stays as it is. */
export async function commitContainer(store: Store, container: Container, options: Work & { name?: string | undefined; comment?: string | undefined }): Promise<{ layer: LayerRecord; image: ImageRecord }> {
  const archive = changesArchive(store, { kind: 'container', container }, { skipped: (path, reason) => options.warn?.(`${path}: ${reason}`) });
  const layer = await applyLayer(store, archive, { ...options, parent: container.parent });
  const base = store.images().find(({ id }) => id === container.image);
  return { layer, image: await nameLayer(store, layer.id, { name: options.name, createdBy: 'ufs commit', base, comment: options.comment }) };
}
