import { hasCode } from '../../fs/errno.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { LayerRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';

/** Removes layers of the store that nothing needs any more, and those below, down to one that isn't meant. */
export async function removeUnused(store: Store, layers: readonly (LayerId | undefined)[], isMeant: (layer: LayerRecord) => boolean = () => true): Promise<void> {
  for (const top of layers) {
    for (let layer = top && store.layer(top); layer !== undefined && isMeant(layer); layer = layer.parent && store.layer(layer.parent)) {
      try {
        await store.removeLayer(layer.id);
      } catch (error) {
        if (!hasCode(error, 'UFS_LAYER_IN_USE')) throw error;
        break;
      }
    }
  }
}
