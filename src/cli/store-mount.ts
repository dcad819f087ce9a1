import type { Name } from '../../fs/name.ts';
import type { PassthroughMode } from '../../fs/transport/mount.ts';
import type { Transport } from '../../fs/transport/transport.ts';
import { UfsError } from '../errors.ts';
import { belongsToEngine } from '../graph/layer-labels.ts';
import { findSubject, type Subject, topLayer, upperOf, withSubject } from '../graph/trees.ts';
import type { Mounted } from '../mount/mounter.ts';
import type { MountSpec } from '../mount/spec.ts';
import { refuseWaiting } from '../mount/waiting.ts';
import type { Container } from '../store/containers.ts';
import { newContainer } from './commands/containers.ts';
import type { Context } from './context.ts';
import { mountedAt } from './mounted.ts';

export interface StoreMountRequest {
  /** An image, container or layer, as it was called. */
  what: string;
  target: Name;
  /** The target, as it was called. */
  directory: string;
  /** Of the new container. */
  name?: string | undefined;
  readOnly?: boolean | undefined;
  /** The new container is removed when it is unmounted. */
  rm?: boolean | undefined;
  passthrough: PassthroughMode;
  transport: Transport;
  allowOther?: boolean | undefined;
  /** What else belongs to the mount: where it fails, there is none. */
  prepare?: (mounted: Mounted) => Promise<void>;
  /** Undoes that, and what was done before, when the mount has ended; also where it failed. */
  finish?: (how: { failed: boolean }) => Promise<void>;
}

export interface StoreMount {
  subject: Subject;
  /** Absent where nothing can be changed. */
  container: Container | undefined;
  mounted: Mounted;
  /** Resolves when it is unmounted, and all is done that comes after that. */
  finished: Promise<void>;
}

/** Mounts what is in the store: an image in a new container. */
export async function mountFromStore(context: Context, request: StoreMountRequest): Promise<StoreMount> {
  try {
    return await mountSubject(context, request);
  } catch (error) {
    await request.finish?.({ failed: true });
    throw error;
  }
}

async function mountSubject(context: Context, request: StoreMountRequest): Promise<StoreMount> {
  const { what, target, directory, name, readOnly = false, rm = false } = request;
  const store = await context.store();
  const subject = findSubject(store, what);
  if ((subject.kind === 'container' || readOnly) && (name !== undefined || rm)) {
    throw new UfsError('UFS_USAGE', `Cannot mount "${what}": --name and --rm are for the new container of an image that is mounted to be changed`);
  }
  if (subject.kind === 'container' && belongsToEngine(subject.container) && !readOnly) {
    throw new UfsError('UFS_CONTAINER_IN_USE', `Cannot mount "${what}": it belongs to the engine that made it; --read-only shows it`);
  }
  const container = subject.kind === 'container' ? subject.container : readOnly ? undefined : await withSubject(store, what, (found) => newContainer(store, found, name), ['image', 'layer']);
  const made = container !== undefined && subject.kind !== 'container';
  const top = topLayer(subject);
  const below = container === undefined ? { layer: top, containers: [] } : store.below(container);
  const bottom = container?.sealed ?? below.layer;
  const room = container && store.roomOf(container);
  const spec: MountSpec = {
    target, passthrough: request.passthrough, transport: request.transport,
    mount: { source: container?.id ?? top ?? 'ufs', ...(readOnly ? { readonly: true } : {}), ...(request.allowOther === true ? { allowOther: true } : {}) },
    lower: bottom === undefined ? { kind: 'directories', paths: [] } : { kind: 'layer', store: store.root, layer: bottom },
    between: below.containers.map(upperOf),
    ...(container === undefined ? {} : { upper: { ...upperOf(container), metacopy: true, ...(room === undefined ? {} : { room }) } }),
  };
  if (container !== undefined) refuseMounted(context, container);
  const release = await store.borrow(bottom, `the mount on ${directory}`);
  let mounted: Mounted | undefined;
  try {
    refuseWaiting(store, spec, bottom, context.mounts());
    mounted = await context.mounter.mount(spec);
    await request.prepare?.(mounted);
  } catch (error) {
    if (mounted !== undefined) await context.mounter.unmount(mounted, { lazy: true });
    release();
    if (made) await store.removeContainer(container.id);
    throw error;
  }
  const finished = mounted.ended.then(async () => {
    release();
    await request.finish?.({ failed: false });
    if (made && rm) await store.removeContainer(container.id);
    else if (container !== undefined && room === undefined) await store.countContainer(container.id);
  });
  return { subject, container, mounted, finished };
}

function refuseMounted(context: Context, container: Container): void {
  const at = mountedAt(context, container);
  if (at !== undefined) throw new UfsError('UFS_CONTAINER_IN_USE', `Cannot mount the container "${container.name ?? container.id}": it is mounted on ${at}`);
}
