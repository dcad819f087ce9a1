import { nameToText } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';
import { lendingStores } from '../store/borrow.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { Store } from '../store/store.ts';
import type { Mounted } from './mounter.ts';
import type { MountSpec } from './spec.ts';

/**
 * Refuses mounts that would have their server wait for itself for ever: it finds the data of a store's layers by path, and that may lead through what it serves. UFS_MOUNT.
 * `top`: the layer that is mounted; `mounts`: what is served already.
 */
export function refuseWaiting(store: Store, { target: at }: Pick<MountSpec, 'target'>, top: LayerId | undefined, mounts: readonly Mounted[]): void {
  const target = nameToText(at);
  // Of whatever layer: others may be mounted.
  const hidden = [store.root, ...lendingStores(store.root, store.layers())].find((root) => isIn(root, target));
  if (hidden !== undefined) throw new UfsError('UFS_MOUNT', `Cannot mount on "${target}": that would hide the store ${hidden}, which the mount has its data from`);
  for (const lender of top === undefined ? [] : lendingStores(store.root, store.chain(top))) {
    const around = mounts.map(({ spec }) => nameToText(spec.target)).find((mounted) => isIn(lender, mounted));
    if (around === undefined) continue;
    throw new UfsError('UFS_MOUNT', `Cannot mount on "${target}": its data is in the store ${lender}, in the mount on ${around} that the same process serves, which would wait for itself; mount one of them from a store of its own (--root)`);
  }
}

function isIn(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}
