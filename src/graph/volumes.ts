import { statfsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../fs/errno.ts';
import { nameToText } from '../../fs/name.ts';
import { unmount } from '../../fs/transport/mount.ts';
import { isStaleMount } from '../../fs/transport/mounts.ts';
import { UfsError } from '../errors.ts';
import { NEW_CONTAINER, type Container } from '../store/containers.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { Store } from '../store/store.ts';
import { humanSize } from '../store/size-text.ts';
import { takenBelow } from '../store/taken-space.ts';
import type { Work } from './apply.ts';
import { archiveOf } from './diff.ts';
import { KeyedLocks } from './keyed-locks.ts';
import { isMountedElsewhere } from './mount-use.ts';
import type { CountedMounts } from './mounts.ts';
import { SlowFigures } from './slow-figures.ts';
import { openWhole } from './trees.ts';
import { removeUnused } from './unused-layers.ts';
import { VolumeHolders } from './volume-holders.ts';
import { differences, optionTexts, parseSeed, parseVolumeOptions, seedText, type VolumeOptions } from './volume-options.ts';
import { checkVolumeName, containerIdOf, findVolume, labelsOfVolume, listVolumes, mountSpecOf, type Volume } from './volume-record.ts';
import { basesOf, removeBases, repairVolumes, splitVolume } from './volume-split.ts';
import { isMadeForVolume, openArchive, openSource, resolveSeed, type SeedPlaces, type Source } from './volume-seeds.ts';

/** Milliseconds a container that has ended may take to let go of a volume. */
const LETTING_GO = 500;

export interface VolumesOptions {
  store: Store;
  /** Below a directory of their own. */
  mounts: CountedMounts;
  /** The file with who has what, as long as the machine runs. */
  holdersFile: string;
  /** Brings what programs wrote through the mount of a container that isn't a volume to its directory, where it is mounted. */
  flush?: (container: Container) => void;
  log: (message: string) => void;
}

/**
 * Directories by name that outlive the containers they are mounted in. Each is a container of the store, empty at first or with the content of something else, which it shares. It is mounted
 * once, for as long as anybody has it; what is done to one runs one after another.
 */
export class Volumes {
  readonly #store: Store;
  readonly #mounts: CountedMounts;
  readonly #holders: VolumeHolders;
  readonly #log: (message: string) => void;
  readonly #places: SeedPlaces;
  readonly #locks = new KeyedLocks();
  /** How many are reading each. */
  readonly #kept = new Map<string, number>();
  readonly #removing = new Set<string>();
  /** Those that are just being split, as they were. */
  readonly #splitting = new Map<string, Volume>();
  readonly #taken = new SlowFigures<{ bytes: number; inodes: number }>();

  /** Takes over the mounts there are, and who has them; what isn't mounted any more nobody has. */
  static async open(options: VolumesOptions): Promise<Volumes> {
    await repairVolumes(options.store);
    return new Volumes(options);
  }

  private constructor({ store, mounts, holdersFile, flush, log }: VolumesOptions) {
    this.#store = store;
    this.#mounts = mounts;
    this.#holders = new VolumeHolders(holdersFile);
    this.#log = log;
    this.#places = {
      store,
      volume: (name) => this.#find(name)?.container,
      flush: (container) => {
        const volume = this.list().find(({ container: { id } }) => id === container.id);
        if (volume === undefined) flush?.(container);
        else mounts.flush(volume.name);
      },
    };
    for (const name of this.#holders.volumes()) if (mounts.mountOf(name) === undefined) this.#holders.forget(name);
    for (const { name } of this.list()) if (this.#holders.of(name).length === 0) this.#release(name);
  }

  /** In the order they were made in. */
  list(): Volume[] {
    return [...listVolumes(this.#store).filter(({ name }) => !this.#removing.has(name) && !this.#splitting.has(name)), ...this.#splitting.values()];
  }

  /** UFS_VOLUME_NOT_FOUND. */
  find(name: string): Volume {
    const volume = this.#find(name);
    if (volume === undefined) throw new UfsError('UFS_VOLUME_NOT_FOUND', `Cannot find volume "${name}": there is none of that name`);
    return volume;
  }

  #find(name: string): Volume | undefined {
    return this.#removing.has(name) ? undefined : (this.#splitting.get(name) ?? findVolume(this.#store, name));
  }

  /**
   * A volume with options as of `docker volume create -o` (OPTION_HELP). Where there is one of that name it is that one, if it was made with the same. UFS_USAGE, UFS_VOLUME_EXISTS, and what `openSource`
   * says of what it is from.
   */
  async create(name: string, given: Readonly<Record<string, string>>, work: Work = {}): Promise<Volume> {
    checkVolumeName(name);
    const options = parseVolumeOptions(name, given);
    return await this.#locks.run(name, async () => {
      const there = this.#find(name);
      if (there !== undefined) {
        const different = differences(there.options, options);
        if (different.length > 0) throw new UfsError('UFS_VOLUME_EXISTS', `Cannot create volume "${name}": there is one of that name with other options: ${different.join(', ')}`);
        return there;
      }
      if (options.from === undefined) return await this.#make(name, options);
      const seed = resolveSeed(this.#places, parseSeed(options.from));
      const made = { ...options, from: seedText(seed) };
      const copy = async (): Promise<Volume> => await this.#makeFrom(name, made, await openSource(this.#places, seed, { ...work, reason: `volume "${name}"` }));
      if (seed.kind !== 'volume') return await copy();
      return await this.#keeping(seed.name, async () => {
        const base = await this.#split(seed.name);
        return base === undefined ? await copy() : await this.#make(name, made, { on: base });
      });
    });
  }

  /** A new volume with what is in an archive, compressed or not. UFS_USAGE, UFS_VOLUME_EXISTS. */
  async createFromArchive(name: string, archive: AsyncIterable<Buffer>, given: Readonly<Record<string, string>>, work: Work = {}): Promise<Volume> {
    checkVolumeName(name);
    const options = parseVolumeOptions(name, given);
    if (options.from !== undefined) throw new UfsError('UFS_USAGE', `Cannot make volume "${name}" of an archive: it is to be from ${options.from}`);
    return await this.#locks.run(name, async () => {
      if (this.#find(name) !== undefined) throw new UfsError('UFS_VOLUME_EXISTS', `Cannot create volume "${name}": there is one of that name`);
      return await this.#makeFrom(name, { ...options, from: 'tar:-' }, await openArchive(this.#store, archive, { ...work, reason: `volume "${name}"` }));
    });
  }

  async #makeFrom(name: string, options: VolumeOptions, { layer, release }: Source): Promise<Volume> {
    try {
      const made = await this.#make(name, options, layer === undefined ? {} : { parent: layer });
      release();
      return made;
    } catch (error) {
      release();
      await removeUnused(this.#store, [layer], isMadeForVolume);
      throw error;
    }
  }

  async #make(name: string, options: VolumeOptions, below: { parent?: LayerId; on?: string } = {}): Promise<Volume> {
    this.#store.pool.require(NEW_CONTAINER, `create volume "${name}"`);
    const { uid, gid, mode } = options;
    await this.#store.createContainer({ id: containerIdOf(name), labels: labelsOfVolume(options), root: { uid, gid, mode }, ...below });
    return this.find(name);
  }

  /** Makes what a volume is now the base of it and others, where that can be; the base. */
  async #split(name: string): Promise<string | undefined> {
    return await this.#locks.run(name, async () => {
      if (this.#mounts.mountOf(name) !== undefined) return undefined;
      const volume = this.find(name);
      this.#splitting.set(name, volume);
      try {
        return await splitVolume(this.#store, volume);
      } finally {
        this.#splitting.delete(name);
      }
    });
  }

  /** Does something with a volume that must stay meanwhile; it may be used. */
  async #keeping<T>(name: string, action: () => Promise<T>): Promise<T> {
    this.find(name);
    this.#kept.set(name, (this.#kept.get(name) ?? 0) + 1);
    try {
      return await action();
    } finally {
      const left = (this.#kept.get(name) as number) - 1;
      if (left === 0) this.#kept.delete(name);
      else this.#kept.set(name, left);
    }
  }

  /** All that is in it as an archive; of one that is written to what was written so far. */
  async export(name: string, use: (archive: AsyncIterable<Buffer>) => Promise<void>, work: Work = {}): Promise<void> {
    await this.#keeping(name, async () => {
      this.#mounts.flush(name);
      const tree = openWhole(this.#store, this.find(name).container);
      try {
        await use(archiveOf(undefined, tree, { allXattrs: true, skipped: (path, reason) => work.warn?.(`${path}: ${reason}`) }));
      } finally {
        tree.close();
      }
    });
  }

  /**
   * Changes its limits; null takes one away. Where it is mounted they hold at once, unless it had none when it was mounted: `held` tells. UFS_USAGE where more is taken already.
   */
  async resize(name: string, { size, inodes }: { size?: number | null; inodes?: number | null }): Promise<{ volume: Volume; held: boolean }> {
    return await this.#locks.run(name, async () => {
      const { options, container } = this.find(name);
      const changed = { ...options, ...(size === undefined ? {} : { size: size ?? undefined }), ...(inodes === undefined ? {} : { inodes: inodes ?? undefined }) };
      this.#mounts.flush(name);
      const taken = await takenBelow(container.diff);
      if (changed.size !== undefined && changed.size < taken.mapped) throw new UfsError('UFS_USAGE', `Cannot resize volume "${name}" to ${humanSize(changed.size)}: ${humanSize(taken.mapped)} are used`);
      // Its root isn't counted.
      if (changed.inodes !== undefined && changed.inodes < taken.inodes - 1) throw new UfsError('UFS_USAGE', `Cannot resize volume "${name}" to ${changed.inodes} inodes: it has ${taken.inodes - 1}`);
      await this.#store.relabelContainer(container.id, labelsOfVolume(changed, container.labels));
      const mounted = this.#mounts.mountOf(name)?.spec;
      // Asked for its space, the mount learns of its limits.
      if (mounted !== undefined) statfsSync(nameToText(mounted.target));
      return { volume: this.find(name), held: mounted === undefined || mounted.limitsOf !== undefined || mounted.upper === undefined };
    });
  }

  /** What is written to it, in bytes and inodes (without its root). It is looked at, and where that takes long, what was seen some time ago is told. */
  async taken(name: string): Promise<{ bytes: number; inodes: number }> {
    const { container } = this.find(name);
    return await this.#taken.of(String(container.number), async () => {
      // What was written before it was split, too.
      const uppers = [container, ...basesOf(container).flatMap((id) => this.#store.container(id) ?? [])];
      const taken = await Promise.all(uppers.map(async ({ diff }) => await takenBelow(diff)));
      return { bytes: taken.reduce((sum, { mapped }) => sum + mapped, 0), inodes: taken.reduce((sum, { inodes }) => sum + inodes - 1, 0) };
    });
  }

  /**
   * Mounts it for a holder, where it isn't mounted; the path. A holder may have it several times, and gives it back as often. UFS_VOLUME_NOT_FOUND, UFS_MOUNT.
   */
  async mount(name: string, holder: string): Promise<string> {
    return await this.#locks.run(name, async () => {
      const volume = this.find(name);
      const there = this.#mounts.mountOf(name)?.spec.target;
      // What served it may have been killed just now.
      if (there !== undefined && isStaleMount(there)) this.#mounts.release(name);
      const path = this.mountpoint(name) ?? (await this.#mounts.get(name, () => mountSpecOf(this.#store, volume)));
      this.#holders.take(name, holder);
      return path;
    });
  }

  /** Where it is mounted; undefined where it isn't. */
  mountpoint(name: string): string | undefined {
    const mounted = this.#mounts.mountOf(name);
    return mounted && nameToText(mounted.spec.target);
  }

  /** Who has it. */
  holders(name: string): { holder: string; count: number; doubtful: boolean }[] {
    return this.#holders.of(name);
  }

  /**
   * Gives it back; the last one unmounts it. Nothing is done for one who doesn't have it, and where it is the last one although it is in use somewhere, it stays: then somebody gave back what
   * was never given.
   */
  async unmount(name: string, holder: string): Promise<void> {
    await this.#locks.run(name, async () => {
      if (!this.#holders.give(name, holder)) return;
      const left = this.#holders.of(name);
      // Those that are in doubt are there if it is in use.
      if (left.some(({ doubtful }) => !doubtful)) return;
      if (await this.#isInUse(name, left.length === 0 ? LETTING_GO : 0)) {
        if (left.length === 0) this.#holders.keep(name, holder);
        return;
      }
      this.#holders.forget(name);
      await this.#unmount(name);
    });
  }

  /** Unmounts it where all who have it are in doubt and it isn't in use: they have forgotten it. */
  async settle(name: string): Promise<void> {
    if (this.#holders.of(name).length === 0) return;
    await this.#locks.run(name, async () => {
      const holders = this.#holders.of(name);
      const path = this.mountpoint(name);
      if (holders.length === 0 || holders.some(({ doubtful }) => !doubtful) || (path !== undefined && isMountedElsewhere(path))) return;
      this.#holders.forget(name);
      await this.#unmount(name);
    });
  }

  /** Some holders (those of a daemon that was started again) may have forgotten what they have: where a volume isn't in use, it isn't theirs. */
  doubt(isMeant: (holder: string) => boolean): void {
    this.#holders.doubt(isMeant);
  }

  /** Removes it with all in it. UFS_VOLUME_NOT_FOUND; UFS_VOLUME_IN_USE. `force`: although somebody has it, as long as it isn't in use. */
  async remove(name: string, { force = false }: { force?: boolean } = {}): Promise<void> {
    await this.#locks.run(name, async () => {
      const { container, layer } = this.find(name);
      const inUse = (by: string): UfsError => new UfsError('UFS_VOLUME_IN_USE', `Cannot remove volume "${name}": it is in use ${by}`);
      if (this.#kept.has(name)) throw inUse('by who copies it');
      const sure = this.#holders.of(name).filter(({ doubtful }) => !doubtful).map(({ holder }) => holder);
      if (sure.length > 0 && !force) throw inUse(`by ${sure.join(', ')}`);
      const path = this.mountpoint(name);
      if (path !== undefined && isMountedElsewhere(path)) throw inUse('somewhere it is mounted');
      this.#endMount(name, inUse);
      this.#holders.forget(name);
      this.#removing.add(name);
      try {
        await this.#store.removeContainer(container.id);
      } finally {
        this.#removing.delete(name);
      }
      await removeBases(this.#store, container.on);
      await removeUnused(this.#store, [layer], isMadeForVolume);
    });
    this.#store.startEmptyingTrash();
  }

  /** Unmounts it where no file of it is open. */
  #endMount(name: string, inUse: (by: string) => UfsError): void {
    const mounted = this.#mounts.mountOf(name);
    if (mounted === undefined) return;
    try {
      unmount(mounted.spec.target);
    } catch (error) {
      if (hasCode(error, 'EBUSY')) throw inUse('by a program');
      this.#log(`Cannot unmount volume "${name}": ${(error as Error).message}`);
    }
    this.#mounts.release(name);
  }

  /** Whether it is, and still is after so many milliseconds. */
  async #isInUse(name: string, patience: number): Promise<boolean> {
    for (const started = Date.now(); ; await sleep(20)) {
      const path = this.mountpoint(name);
      if (path === undefined || !isMountedElsewhere(path)) return false;
      if (Date.now() - started >= patience) return true;
    }
  }

  async #unmount(name: string): Promise<void> {
    const upper = this.#mounts.mountOf(name)?.spec.upper;
    this.#mounts.release(name);
    if (upper !== undefined && upper.room === undefined) await this.#store.countContainer(containerIdOf(name));
  }

  #release(name: string): void {
    const path = this.mountpoint(name);
    if (path !== undefined && !isMountedElsewhere(path)) this.#mounts.release(name);
  }
}

/** A volume's options as `docker volume create -o` takes them. */
export function volumeOptionTexts({ options }: Volume): Record<string, string> {
  return optionTexts(options);
}
