import { statfsSync } from 'node:fs';
import { findMountOf } from '../../fs/transport/mounts.ts';
import { nameFromText } from '../../fs/name.ts';
import { humanSize } from '../store/size-text.ts';
import type { Store } from '../store/store.ts';

/** What `docker info` shows of the driver, in this order. */
export async function statusRows(store: Store, counts: { layers: number; incomplete: number; mounts: number }): Promise<[string, string][]> {
  const { files, ffree } = statfsSync(store.root);
  const status = await store.status();
  return [
    ['Root Dir', store.root],
    ['Backing Filesystem', findMountOf(nameFromText(store.root))?.type ?? '<unknown>'],
    ['Layers', String(counts.layers)],
    ['Incomplete Layers', String(counts.incomplete)],
    ['Mounts', String(counts.mounts)],
    ['Pool Space Used', humanSize(status.pool.used)],
    ['Pool Space Total', humanSize(status.pool.total)],
    ['Pool Space Available', humanSize(status.pool.available)],
    ['Minimum Free Space', humanSize(status.pool.keepFree)],
    ['Content', humanSize(status.contentBytes)],
    ['Shared Content Saved', humanSize(Math.max(0, status.layerBytes - status.contentBytes))],
    ['Inodes Used', String(files - ffree)],
    ['Inodes Available', String(ffree)],
    ['Deferred Deletion Enabled', 'true'],
    ['Deferred Deleted Layer Count', String(status.removed)],
    ['Transaction Id', String(status.lastNumber)],
    ['Supports d_type', 'true'],
    ['Supports shifting', 'true'],
  ];
}
