import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { serializer } from '../serializer.ts';
import { relabels } from './mode.ts';
import type { Mount, MountType } from './mount.ts';
import { refused } from './refused.ts';
import { makeSourceDirectory, type Owner } from './source-directory.ts';
import { type HeldPath, holdSubpath } from './subpath.ts';
import type { Volume } from './volume.ts';

export interface SetupOptions {
  /** Of directories that are made on the host; root unless told otherwise. */
  owner?: Owner;
  check?: (point: MountPoint) => void | Promise<void>;
}

/** What is to be mounted where in a container (moby, daemon/volume/mounts/mounts.go). The parser makes them; `setup` makes the source available. */
export class MountPoint {
  /** Absolute path of a bind's source, and of a volume's once it is known; else empty. */
  source: string;
  /** Absolute path in the container, clean. */
  destination: string;
  rw: boolean;
  /** A volume's; empty: an anonymous one. */
  name: string;
  /** A volume's; empty: the default. */
  driver: string;
  type: MountType;
  /** The words after the second colon of `-v`, or the options of `--tmpfs`, as they were given. */
  mode: string;
  /** A `Propagation` of a bind, else empty. */
  propagation: string;
  /** What the image has at the destination is copied to the volume if that is empty. */
  copyData: boolean;
  /** Whom the volume was mounted for: from `setup` to the last `cleanup`, else empty. */
  id = '';
  /** What was asked for. */
  spec: Mount;
  /** `setup` leaves a bind's source as it is: it was found to exist. */
  skipMountpointCreation = false;
  /** The volume that is mounted; whoever found or made it sets it. */
  volume: Volume | undefined;
  /** How many `setup`s weren't cleaned up yet: a running container and each `docker cp` have one. */
  #active = 0;
  readonly #unreleased = new Set<() => Promise<void>>();
  readonly #serially = serializer();

  constructor(fields: Pick<MountPoint, 'destination' | 'type' | 'rw' | 'spec'> & Partial<Pick<MountPoint, 'source' | 'name' | 'driver' | 'mode' | 'propagation' | 'copyData'>>) {
    this.destination = fields.destination;
    this.type = fields.type;
    this.rw = fields.rw;
    this.spec = fields.spec;
    this.source = fields.source ?? '';
    this.name = fields.name ?? '';
    this.driver = fields.driver ?? '';
    this.mode = fields.mode ?? '';
    this.propagation = fields.propagation ?? '';
    this.copyData = fields.copyData ?? false;
  }

  /**
   * Makes the source available and gives its path: mounts the volume, for a holder of `id`, or makes the missing source of a bind a directory of the owner's, where Docker does that. A subpath of a
   * volume is a path that holds it until `release` is called; the last `cleanup` releases what wasn't. `check` may refuse, by throwing, that a source is made. Labels of SELinux (`z`, `Z` of the mode) aren't
   * set: where SELinux runs they are refused, elsewhere they mean nothing.
   */
  async setup(options: SetupOptions = {}): Promise<HeldPath> {
    return await this.#serially(async () => await this.#setup(options));
  }

  async #setup({ owner = { uid: 0, gid: 0 }, check }: SetupOptions): Promise<HeldPath> {
    if (this.skipMountpointCreation) return { path: this.source, release: nothing };
    if (this.type !== 'tmpfs' && relabels(this.mode) && selinuxRuns()) throw refused(`Cannot relabel the source of ${this.destination}: labels of SELinux aren't supported (mode "${this.mode}")`);
    if (this.volume !== undefined) return await this.#mount(this.volume);
    if (this.source === '') throw new Error('Unable to setup mount point, neither source nor volume defined');
    if (this.type === 'bind') {
      await check?.(this);
      await makeSourceDirectory(this.source, owner);
    }
    return { path: this.source, release: nothing };
  }

  async #mount(volume: Volume): Promise<HeldPath> {
    const id = this.id === '' ? randomBytes(32).toString('hex') : this.id;
    const path = await volume.mount(id).catch((error: unknown) => {
      throw wrapped(`error while mounting volume '${this.source}'`, error);
    });
    const subpath = this.spec.volumeOptions?.subpath;
    let held: HeldPath = { path, release: nothing };
    if (subpath) {
      try {
        held = this.#held(await holdSubpath(path, subpath));
      } catch (error) {
        await volume.unmount(id).catch(nothing);
        throw error;
      }
    }
    this.id = id;
    this.#active += 1;
    return held;
  }

  #held(held: HeldPath): HeldPath {
    const release = async (): Promise<void> => {
      if (this.#unreleased.delete(release)) await held.release();
    };
    this.#unreleased.add(release);
    return { path: held.path, release };
  }

  /** Gives back what one `setup` mounted; `id` is kept until the last is. Where nothing is mounted, it does nothing; where the volume can't be unmounted, it stays counted. */
  async cleanup(): Promise<void> {
    await this.#serially(async () => {
      if (this.volume === undefined || this.#active === 0) return;
      if (this.#active === 1) for (const release of this.#unreleased) await release();
      await this.volume.unmount(this.id).catch((error: unknown) => {
        throw wrapped(`error unmounting volume ${this.volume?.name}`, error);
      });
      this.#active -= 1;
      if (this.#active === 0) this.id = '';
    });
  }

  /** Where the data is on the host: the volume's path, or the source. */
  async path(): Promise<string> {
    return this.volume === undefined ? this.source : await this.volume.path();
  }
}

function wrapped(doing: string, error: unknown): Error {
  return new Error(`${doing}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

async function nothing(): Promise<void> {}

function selinuxRuns(): boolean {
  return existsSync('/sys/fs/selinux/enforce');
}
