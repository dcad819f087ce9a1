import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import { renameAt } from '../../fs/host/at.ts';
import { AT_FDCWD, RENAME_EXCHANGE } from '../../fs/host/constants.ts';
import { nameFromText } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';
import { fillingMark } from './containers.ts';
import { makeDirectory, syncDirectory, syncTree, writeNewFile } from './durable.ts';
import type { LayerId } from './layer-id.ts';
import { encodeManifest } from './manifest.ts';
import { manifestPath } from './paths.ts';
import type { ContainerRecord } from './records.ts';
import { treeOf, type StoreState } from './state.ts';
import { countUpper } from './store-pool.ts';
import { parentLayer } from './transaction.ts';
import { makeUpper } from './upper-root.ts';

/**
 * Puts a container on another layer, with nothing changed in it yet, at one instant: its directory is made anew aside and exchanged with the one that is there. `sealed`: the layer is all of
 * it, and it isn't written to any more. It must not be mounted. UFS_CONTAINER_IN_USE where another container stands on its files.
 */
export async function replaceContainer(state: StoreState, id: string, { parent, sealed }: { parent: LayerId; sealed: boolean }): Promise<void> {
  await state.serially(async () => {
    const { on, ...record } = state.table.findContainer(id);
    const above = state.table.containers().find((other) => other.on === record.id);
    if (above !== undefined) throw new UfsError('UFS_CONTAINER_IN_USE', `Cannot replace container "${record.name ?? record.id}": container "${above.name ?? above.id}" stands on it`);
    const layer = parentLayer(state, parent);
    const replaced: ContainerRecord = { ...record, parent, sealed: sealed ? parent : undefined };
    const [place, staged] = [state.paths.layer(record.number), state.paths.staged(record.number)];
    makeDirectory(staged);
    try {
      makeDirectory(join(staged, 'work'));
      makeUpper(join(staged, 'diff'), layer && treeOf(layer, state.reader).root);
      if (existsSync(fillingMark(place))) writeNewFile(fillingMark(staged), '');
      writeNewFile(manifestPath(staged), encodeManifest(replaced));
      await syncTree(staged);
      state.step('exchange');
      exchange(staged, place);
      state.step('exchanged');
      state.table.add(replaced);
      syncDirectory(state.paths.layers);
    } finally {
      renameSync(staged, state.paths.trashed(`replaced-${record.number}-${state.nextNumber++}`));
    }
    await countUpper(state, replaced);
  });
}

function exchange(one: string, other: string): void {
  try {
    renameAt(AT_FDCWD, nameFromText(one), AT_FDCWD, nameFromText(other), RENAME_EXCHANGE);
  } catch (error) {
    if (!hasCode(error, 'EINVAL')) throw error;
    throw new UfsError('UFS_STORE_WRITE', 'Cannot replace a container: the store\'s file system can\'t exchange two directories', { cause: error });
  }
}
