import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import { nameFromText } from '../../fs/name.ts';
import { type RunConfig, runConfigOf } from '../archive/run-config.ts';
import type { Io } from '../control/io.ts';
import type { Subject } from '../graph/trees.ts';
import type { OciMount } from '../oci/defaults.ts';
import { ociMountOf, rootPropagation } from '../oci/mounts.ts';
import { bindPath } from '../mount/bind-path.ts';
import { deleteContainer, type RuntimeContainer, takesMountOption } from '../oci/runtime.ts';
import type { Mounted } from '../mount/mounter.ts';
import type { Store } from '../store/store.ts';
import { aborted } from './aborted.ts';
import type { Context } from './context.ts';
import { clearLeftovers, finishMount } from './leftovers.ts';
import { type MountFlags, mountPointsOf } from './mount-flags.ts';
import { type MountRecord, MountRecords } from './mount-record.ts';
import { MountSources } from './mount-sources.ts';
import { mountFromStore } from './store-mount.ts';

/** A mount that the process which serves the store has for another one, which runs a command in it, as long as that lives and wants it. */
export interface HoldRequest extends MountFlags {
  /** An image, container or layer. */
  what: string;
  name?: string;
  rm: boolean;
  /** The program that runs containers. */
  runtime: string;
}

export interface Hold {
  /** The container's id in the store. */
  container: string;
  /** How the image wants to be run. */
  image: RunConfig;
  /** What is to be mounted in it. */
  mounts: OciMount[];
  propagation?: 'rslave' | 'shared';
  rootfs: string;
  running: RuntimeContainer;
  /** The bundle: where config.json and the runtime's log are to be. */
  bundle: string;
}

/** Mounts, says so (a Hold, in JSON), and unmounts when the input ends. Whoever asked may die: what it runs is ended then. */
export async function holdMount(context: Context, request: HoldRequest): Promise<void> {
  const { io } = context;
  await clearLeftovers(context);
  const store = await context.store();
  const points = mountPointsOf(request, io.cwd);
  const id = randomBytes(8).toString('hex');
  const directory = join(store.root, 'run', 'containers', id);
  const rootfs = join(directory, 'rootfs');
  const running = { runtime: request.runtime, id: `ufs-${id}`, state: join(directory, 'state') };
  const sources = await MountSources.setUp(context, points, `ufs run ${request.what}`);
  // What is known by a descriptor of this process, the runtime finds only by a path.
  const parts = sources.sources.filter(({ path }) => path.startsWith('/proc/'));
  const record: MountRecord = { target: nameFromText(rootfs), volumes: [...sources.volumes], removeAnonymous: request.rm, directory, parts: parts.map((_, index) => join(directory, `part-${index}`)) };
  const records = new MountRecords(store.root);
  const recorded = records.add(record);
  const finish = async ({ failed }: { failed: boolean }): Promise<void> => {
    await sources.release();
    await finishMount(context, { ...record, removeAnonymous: request.rm || failed });
    records.remove(recorded);
  };
  makeDirectories(directory, rootfs, running.state);
  const { subject, container, mounted, finished } = await mountFromStore(context, {
    what: request.what, directory: rootfs, target: record.target, name: request.name, rm: request.rm, passthrough: 'auto', transport: 'dev-fuse',
    prepare: async ({ spec }) => {
      await sources.fill(spec.target);
      for (const [index, part] of parts.entries()) bindPath(part.path, (part.path = record.parts?.[index] as string));
    },
    finish,
  });
  const containerId = container?.id as string;
  try {
    records.replace(recorded, { ...record, running, ...(request.rm ? { remove: containerId } : {}) });
    io.signal.throwIfAborted();
    const recursive = points.some(({ rw, type }) => !rw && type !== 'tmpfs') && takesMountOption(request.runtime, 'rro');
    const propagation = rootPropagation(points);
    const hold: Hold = {
      container: containerId, image: imageConfig(store, subject), mounts: sources.sources.map(({ point, path }) => ociMountOf(point, path, { recursive })),
      ...(propagation === undefined ? {} : { propagation }), rootfs, running, bundle: directory,
    };
    await io.out(`${JSON.stringify(hold)}\n`);
    const done = await Promise.race([inputEnds(io), aborted(context.closing).then(() => false), mounted.ended.then(() => false)]);
    // Else the runtime has seen its end. The mount ends only when nothing runs in it any more.
    if (!done) await deleteContainer(running);
  } finally {
    await unmountIfMounted(context, mounted);
    await finished;
  }
}

/** Below the store, which nobody else gets into; a container's own processes are in there as root, or as whom the store belongs to. */
function makeDirectories(directory: string, rootfs: string, state: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  for (const path of [rootfs, state]) mkdirSync(path);
  // Whatever the mask.
  chmodSync(rootfs, 0o755);
  chmodSync(state, 0o700);
}

/** How it ends: true by its end, false where whoever writes it is gone. */
async function inputEnds(io: Io): Promise<boolean> {
  try {
    for await (const _ of io.input());
    return true;
  } catch (error) {
    if (io.signal.aborted) return false;
    throw error;
  }
}

/** Lazily where something of the container still runs. */
async function unmountIfMounted(context: Context, mounted: Mounted): Promise<void> {
  const gone = mounted.ended.then(() => undefined);
  try {
    if (context.mounter.mounts().includes(mounted)) await context.mounter.unmount(mounted);
  } catch (error) {
    if (hasCode(error, 'EBUSY')) await context.mounter.unmount(mounted, { lazy: true });
    // EINVAL: somebody has unmounted it already.
    else if (!hasCode(error, 'EINVAL')) throw error;
  }
  await gone;
}

/** A container's is that of the image it was made of, if there is that. */
function imageConfig(store: Store, subject: Subject): RunConfig {
  const config = subject.kind === 'image' ? subject.image.config : subject.kind === 'container' ? store.images().find(({ id }) => id === subject.container.image)?.config : undefined;
  return runConfigOf(config ?? Buffer.from('{}'));
}
