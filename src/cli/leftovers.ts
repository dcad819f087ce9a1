import { rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import { type Name, nameToText } from '../../fs/name.ts';
import { isStaleMount } from '../../fs/transport/mounts.ts';
import { unmount } from '../../fs/transport/mount.ts';
import { othersBelow, unmountWith } from '../mount/attach.ts';
import { unbindPath } from '../mount/bind-path.ts';
import { deleteContainer } from '../oci/runtime.ts';
import type { Context } from './context.ts';
import { type MountRecord, MountRecords } from './mount-record.ts';
import { giveBackVolumes } from './mount-sources.ts';

/** Undoes what mounts of processes that were killed have left: what runs in them, what is attached to them, volumes they have, containers that were to be removed. Needs the store. */
export async function clearLeftovers(context: Context): Promise<void> {
  const records = new MountRecords(context.root);
  for (const [name, record] of records.leftBehind()) {
    // Mounted by somebody anew, it isn't ours.
    if (isStaleMount(record.target)) unmount(record.target, { lazy: true });
    await finishMount(context, record);
    records.remove(name);
  }
}

/** Unmounts what a process that is gone has mounted, with what it has attached to it, and undoes the rest; false where nothing is known of it. */
export async function unmountLeftover(context: Context, target: Name, { lazy }: { lazy: boolean }): Promise<boolean> {
  const records = new MountRecords(context.root);
  const [name, record] = [...records.leftBehind()].find(([, left]) => left.target === target) ?? [];
  if (name === undefined || record === undefined) return false;
  try {
    unmountWith(target, record.attached, { lazy, changed: (attached) => records.replace(name, { ...record, attached }) });
  } catch (error) {
    // Places in it may be found no more. All that is below it goes with it then: nothing is, but what is its own.
    if (hasCode(error, 'EBUSY') || !isStaleMount(target) || othersBelow(target, record.attached)) throw error;
    unmount(target, { lazy: true });
  }
  await clearLeftovers(context);
  return true;
}

/** What comes after a mount has ended. */
export async function finishMount(context: Context, record: MountRecord): Promise<void> {
  if (record.running !== undefined) await deleteContainer(record.running);
  for (const part of record.parts ?? []) unbindPath(part);
  await giveBackVolumes(context, record.volumes, { anonymous: record.removeAnonymous });
  if (record.remove !== undefined) await removeIfThere(context, record.remove);
  if (record.directory !== undefined) removeDirectory(record.directory, nameToText(record.target));
}

async function removeIfThere(context: Context, container: string): Promise<void> {
  const store = await context.store();
  try {
    await store.removeContainer(container);
  } catch (error) {
    if (!hasCode(error, 'UFS_CONTAINER_NOT_FOUND')) throw error;
  }
}

/** Nothing below the mount point is removed, whatever may still be mounted there. */
function removeDirectory(directory: string, mountPoint: string): void {
  try {
    rmdirSync(mountPoint);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  rmSync(join(directory, 'state'), { recursive: true, force: true });
  for (const file of ['config.json', 'runtime.log']) rmSync(join(directory, file), { force: true });
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
