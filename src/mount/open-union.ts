import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../fs/errno.ts';
import { DirectoryStack } from '../../fs/layer/directory-stack.ts';
import { EmptyLayer } from '../../fs/layer/empty-layer.ts';
import type { FileSystem } from '../../fs/file-system.ts';
import { effectiveGid, effectiveUid } from '../../fs/host/process.ts';
import { IdMap, type IdMapping, type IdMaps, SquashedIds } from '../../fs/id-map.ts';
import { MappedFileSystem } from '../../fs/mapped-file-system.ts';
import type { Layer } from '../../fs/layer/layer.ts';
import type { Helpers } from '../../fs/union/helpers.ts';
import { stackUppers } from '../../fs/union/stack-uppers.ts';
import { UnionFs } from '../../fs/union/union-fs.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { UpperLimits } from '../store/limits.ts';
import type { UpperRoom } from '../store/upper-room.ts';
import type { MountSpec } from './spec.ts';

/** The file system a mount is to show. `close` what is below it when it has been destroyed. `store`: whether this process has the store open. */
export async function openUnion(spec: MountSpec, helpers: Helpers, { store }: { store: boolean }): Promise<{ fileSystem: FileSystem; union: UnionFs; close: () => void }> {
  const lower = stackUppers(await openLower(spec, store), spec.between ?? []);
  let room: UpperRoom | undefined;
  try {
    if (spec.upper?.room !== undefined) room = new (await import('../store/upper-room.ts')).UpperRoom(spec.upper.room);
    const limits = spec.limitsOf === undefined ? undefined : await limitsReader(spec.limitsOf);
    const union = await whenFree(() => new UnionFs({
      lower, helpers, passthrough: spec.passthrough,
      ...(spec.upper === undefined ? { statistics: '/' } : { upper: spec.upper }),
      ...(spec.upper?.limit === undefined ? {} : { limit: spec.upper.limit }),
      ...(limits === undefined ? {} : { ...limits(), limits }),
      ...(room === undefined ? {} : { room }),
      ...(spec.volatile === true ? { volatile: true } : {}),
    }));
    const fileSystem = spec.idMaps === undefined && spec.squash === undefined ? union : new MappedFileSystem(union, ownersShown(spec));
    return { fileSystem, union, close: () => lower.close() };
  } catch (error) {
    room?.close();
    lower.close();
    throw error;
  }
}

/** Tells the limits of a container. Loaded where it is used, as others. */
async function limitsReader(directory: string): Promise<() => UpperLimits> {
  const { readLimits } = await import('../store/limits.ts');
  let limits = readLimits(directory);
  return () => {
    try {
      limits = readLimits(directory);
    } catch {
      // It was removed while somebody has files of it open.
    }
    return limits;
  };
}

function ownersShown({ idMaps, squash }: MountSpec): IdMaps {
  // Who isn't root can give no file away.
  const given = effectiveUid() === 0;
  const map = (key: 'uid' | 'gid', own: number): IdMapping => (squash?.[key] === undefined ? new IdMap(idMaps?.[key] ?? []) : new SquashedIds(squash[key], given ? undefined : own));
  return { uid: map('uid', effectiveUid()), gid: map('gid', effectiveGid()) };
}

/** Milliseconds a mount that was just unmounted may take to give up its upper directory. */
const PATIENCE = 2000;

async function whenFree<T>(open: () => T): Promise<T> {
  for (const started = Date.now(); ; await sleep(20)) {
    try {
      return open();
    } catch (error) {
      if (!hasCode(error, 'EBUSY') || Date.now() - started > PATIENCE) throw error;
    }
  }
}

async function openLower(spec: MountSpec, store: boolean): Promise<Layer> {
  if (spec.lower.kind === 'layer') {
    const layer = { root: spec.lower.store, layerId: spec.lower.layer as LayerId };
    // Loaded where it is used: mounts of plain directories start sooner.
    if (store) return await (await import('../store/indexed-layer.ts')).openIndexedLayer(layer);
    return (await import('../store/layer-from-files.ts')).openLayerFromFiles(layer);
  }
  return spec.lower.paths.length === 0 ? new EmptyLayer() : new DirectoryStack(spec.lower.paths, {
    ...(spec.lower.data === undefined ? {} : { data: spec.lower.data }),
    // Who lets the kernel keep nothing wants to see what others do in the directories.
    ...(spec.kernel?.timeout === 0 ? { cachedNames: 0 } : {}),
  });
}
