import { statfsSync } from 'node:fs';
import { findMountOf } from '../../fs/transport/mounts.ts';
import { nameFromText } from '../../fs/name.ts';
import { type DriverOptions, minimumFree } from './options.ts';
import type { Store } from '../store/store.ts';

/** What `docker info` shows of the driver, in this order. */
export async function statusRows(store: Store, counts: { layers: number; mounts: number; minFreeSpace: DriverOptions['minFreeSpace'] }): Promise<[string, string][]> {
  const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(store.root);
  const status = await store.status();
  return [
    ['Root Dir', store.root],
    ['Backing Filesystem', findMountOf(nameFromText(store.root))?.type ?? '<unknown>'],
    ['Layers', String(counts.layers)],
    ['Mounts', String(counts.mounts)],
    ['Pool Space Used', humanSize((blocks - bfree) * bsize)],
    ['Pool Space Total', humanSize(blocks * bsize)],
    ['Pool Space Available', humanSize(bavail * bsize)],
    ['Minimum Free Space', humanSize(minimumFree(counts.minFreeSpace, blocks * bsize))],
    ['Content', humanSize(status.contentBytes)],
    ['Inodes Used', String(files - ffree)],
    ['Inodes Available', String(ffree)],
    ['Deferred Deletion Enabled', 'true'],
    ['Deferred Deleted Layer Count', String(status.removed)],
    ['Transaction Id', String(status.lastNumber)],
    ['Supports d_type', 'true'],
    ['Supports shifting', 'true'],
  ];
}

/** As Docker says sizes (go-units, HumanSize): 1000-based, four digits. */
export function humanSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${Number(size.toPrecision(4))}${units[unit]}`;
}
