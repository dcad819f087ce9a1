import { hasCode } from '../../fs/errno.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { Store } from '../store/store.ts';

/** Removes layers of the store that nothing needs any more, and those below. */
export async function removeUnused(store: Store, ...layers: (LayerId | undefined)[]): Promise<void> {
  for (const top of layers) {
    for (let layer = top && store.layer(top); layer !== undefined; layer = layer.parent && store.layer(layer.parent)) {
      try {
        await store.removeLayer(layer.id);
      } catch (error) {
        if (!hasCode(error, 'UFS_LAYER_IN_USE')) throw error;
        break;
      }
    }
  }
}
