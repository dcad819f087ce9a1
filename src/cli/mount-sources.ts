import { randomBytes } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { effectiveGid, effectiveUid } from '../../fs/host/process.ts';
import { type Name, nameFromText, nameToText } from '../../fs/name.ts';
import { findMountOf } from '../../fs/transport/mounts.ts';
import { UfsError } from '../errors.ts';
import type { Attachment } from '../mount/attach.ts';
import { fillFrom } from '../mount/fill.ts';
import { tmpfsWords } from '../mount/tmpfs-words.ts';
import type { MountPoint } from '../volume/mount-point.ts';
import type { HeldPath } from '../volume/subpath.ts';
import { tmpfsMountOptions } from '../volume/tmpfs.ts';
import type { Context } from './context.ts';
import { volumeDrivers } from './volume-drivers.ts';

/** A mount point whose source is there. */
export interface Source {
  point: MountPoint;
  /** Absolute path on the host; empty for a tmpfs. */
  path: string;
}

/** A volume that somebody has. */
export interface HeldVolume {
  name: string;
  holder: string;
  /** Nobody gave it a name. */
  anonymous: boolean;
}

/** What mount points are of, from when it is made available until it is given back. */
export class MountSources {
  readonly sources: Source[] = [];
  readonly volumes: HeldVolume[] = [];
  readonly #held: HeldPath[] = [];
  readonly #context: Context;

  private constructor(context: Context) {
    this.#context = context;
  }

  /** Makes missing volumes, and directories where Docker does, and mounts the volumes. `holder`: who has them, in words. All or none. */
  static async setUp(context: Context, points: readonly MountPoint[], holder: string): Promise<MountSources> {
    const made = new MountSources(context);
    try {
      for (const point of points) await made.#setUp(point, `${holder} (${randomBytes(6).toString('hex')})`);
    } catch (error) {
      await made.giveBack({ anonymous: true });
      throw error;
    }
    return made;
  }

  async #setUp(point: MountPoint, holder: string): Promise<void> {
    if (point.type === 'tmpfs') {
      this.sources.push({ point, path: '' });
      return;
    }
    if (point.type === 'volume') {
      const anonymous = point.name === '';
      if (anonymous) point.name = randomBytes(32).toString('hex');
      const { labels = {}, driverConfig } = point.spec.volumeOptions ?? {};
      const options = { ...driverConfig?.options, ...Object.fromEntries(Object.entries(labels).map(([key, value]) => [`label.${key}`, value])) };
      const driver = volumeDrivers(await this.#context.volumes()).get(point.driver);
      point.volume = await driver.create(point.name, options);
      point.id = holder;
      this.volumes.push({ name: point.name, holder, anonymous });
    }
    if (point.type === 'bind') refuseWithoutPropagation(point);
    const held = await point.setup({ owner: { uid: effectiveUid(), gid: effectiveGid() } });
    this.#held.push(held);
    this.sources.push({ point, path: held.path });
  }

  /** Copies what the image has to volumes that are empty, as Docker does. `target`: where the root file system is mounted. */
  async fill(target: Name): Promise<void> {
    for (const { point, path } of this.sources) if (point.type === 'volume' && point.copyData) await fillFrom(target, point.destination, path);
  }

  /** What to attach to a mount. */
  attachments(): Attachment[] {
    return this.sources.map(({ point, path }): Attachment => {
      const { destination } = point;
      if (point.type === 'tmpfs') return { destination, kind: 'tmpfs', ...tmpfsWords(tmpfsMountOptions(point)) };
      const { nonRecursive = false, readOnlyNonRecursive = false } = point.spec.bindOptions ?? {};
      return {
        destination, kind: 'bind', source: path, recursive: !nonRecursive, readonly: point.rw ? 'no' : readOnlyNonRecursive ? 'this' : 'all',
        propagation: point.propagation === '' ? 'rprivate' : point.propagation,
      };
    });
  }

  /** Lets go of paths that were held. */
  async release(): Promise<void> {
    for (const { release } of this.#held.splice(0)) await release();
  }

  /** Unmounts the volumes for this holder; those without a name are removed with `anonymous`. */
  async giveBack({ anonymous = false }: { anonymous?: boolean } = {}): Promise<void> {
    await this.release();
    await giveBackVolumes(this.#context, this.volumes.splice(0), { anonymous });
  }
}

/** Gives volumes back that were held, perhaps by a process that is gone. */
export async function giveBackVolumes(context: Context, held: readonly HeldVolume[], { anonymous }: { anonymous: boolean }): Promise<void> {
  if (held.length === 0) return;
  const volumes = await context.volumes();
  for (const { name, holder } of held) await volumes.unmount(name, holder);
  for (const { name, anonymous: nameless } of held) if (anonymous && nameless) await volumes.remove(name);
}

/** Refuses to pass mounts on where the source's mount doesn't do so, in Docker's words (moby, daemon/oci_linux.go). One that isn't there yet will be where its parent is. UFS_MOUNT. */
function refuseWithoutPropagation({ source, propagation }: MountPoint): void {
  const kind = /(shared|slave)$/.exec(propagation)?.[1];
  if (kind === undefined || !existsSync(source)) return;
  const mount = findMountOf(nameFromText(realpathSync(source)));
  if (mount === undefined || /shared:/.test(mount.propagation) || (kind === 'slave' && /master:/.test(mount.propagation))) return;
  throw new UfsError('UFS_MOUNT', `path ${source} is mounted on ${nameToText(mount.target)} but it is not a shared${kind === 'slave' ? ' or slave' : ''} mount`);
}
