import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { IdRange } from '../../fs/id-map.ts';
import { nameToBytes } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';
import { GraphLayers } from '../graph/layers.ts';
import { CountedMounts } from '../graph/mounts.ts';
import type { MountClient } from '../mount/mount-client.ts';
import type { ChangeKind, CreateOptions, GraphDriver, InitOptions } from '../plugin/graph-driver.ts';
import { NEW_CONTAINER } from '../store/containers.ts';
import { replaceFile } from '../store/durable.ts';
import type { Store } from '../store/store.ts';
import { type DriverOptions, parseDriverOptions, parseStorageOptions } from './options.ts';
import { statusRows } from './status.ts';

export interface StoreDriverOptions {
  store: Store;
  client: MountClient;
  /** Where mounts are made: not below dockerd's data root, which hides and detaches what is mounted there. */
  mountDirectory: string;
  /** For what Docker doesn't say. */
  options?: DriverOptions;
  log: (message: string) => void;
}

/** Docker's graph driver over a store. What Docker said at its start is kept in the store, for after a restart of this process Docker doesn't say it again. */
export class StoreDriver implements GraphDriver {
  readonly #store: Store;
  readonly #mounts: CountedMounts;
  readonly #layers: GraphLayers;
  readonly #stateFile: string;
  #told: InitOptions | undefined;
  readonly #defaults: DriverOptions;
  #options: DriverOptions;

  constructor({ store, client, mountDirectory, options = { storage: {} }, log }: StoreDriverOptions) {
    this.#store = store;
    this.#defaults = options;
    this.#options = this.#choose([]);
    this.#mounts = new CountedMounts({ directory: mountDirectory, client, log });
    this.#layers = new GraphLayers({ store, mounts: this.#mounts, engine: 'docker' });
    this.#stateFile = join(store.root, 'docker.json');
    if (existsSync(this.#stateFile)) this.#remember(JSON.parse(readFileSync(this.#stateFile, 'utf8')) as InitOptions);
  }

  async init(options: InitOptions): Promise<void> {
    parseDriverOptions(options.options);
    if (this.#told !== undefined && this.#told.home !== options.home && this.#mounts.size > 0) {
      throw new UfsError('UFS_STORE_IN_USE', `Cannot serve the daemon of ${options.home}: that of ${this.#told.home} has ${this.#mounts.size} layers mounted; a daemon needs a store of its own`);
    }
    const aside = `${this.#stateFile}.new`;
    rmSync(aside, { force: true });
    replaceFile(this.#stateFile, `${JSON.stringify(options)}\n`, aside);
    this.#remember(options);
  }

  #remember(options: InitOptions): void {
    this.#told = options;
    this.#options = this.#choose(options.options);
    const ranges = (maps: InitOptions['uidMaps']): IdRange[] => maps.map(({ containerId, hostId, size }) => ({ inside: containerId, outside: hostId, size }));
    this.#layers.idMaps = options.uidMaps.length + options.gidMaps.length === 0 ? undefined : { uid: ranges(options.uidMaps), gid: ranges(options.gidMaps) };
  }

  /** What Docker says, and what it doesn't from what this process was told; the store keeps what concerns all of it. */
  #choose(said: readonly string[]): DriverOptions {
    const { storage, ...others } = parseDriverOptions(said);
    const options = { ...this.#defaults, ...others, storage: { ...this.#defaults.storage, ...storage } };
    this.#store.pool.keepFree = options.minFreeSpace ?? { bytes: 0, part: 0 };
    return options;
  }

  capabilities(): { reproducesExactDiffs: boolean } {
    return { reproducesExactDiffs: true };
  }

  async create(id: string, options: CreateOptions): Promise<void> {
    if ('size' in options.storageOptions) throw new UfsError('UFS_USAGE', '--storage-opt size is only supported for ReadWrite Layers');
    await this.#create(id, 'image', options);
  }

  async createReadWrite(id: string, options: CreateOptions): Promise<void> {
    await this.#create(id, 'container', options);
  }

  async #create(id: string, kind: 'image' | 'container', { parent, mountLabel, storageOptions }: CreateOptions): Promise<void> {
    refuseLabel(id, mountLabel);
    const { size = kind === 'container' ? this.#options.storage.size : undefined } = parseStorageOptions(storageOptions);
    this.#store.pool.require(NEW_CONTAINER, `create layer "${id}"`);
    await this.#layers.create(id, { kind, parent, limit: size });
  }

  async remove(id: string): Promise<void> {
    await this.#layers.remove(id);
  }

  async get(id: string, mountLabel: string): Promise<string> {
    refuseLabel(id, mountLabel);
    return await this.#layers.get(id);
  }

  async put(id: string): Promise<void> {
    await this.#layers.put(id);
  }

  async exists(id: string): Promise<boolean> {
    return this.#layers.has(id);
  }

  async status(): Promise<[string, string][]> {
    return await statusRows(this.#store, { layers: this.#layers.ids().length, incomplete: this.#layers.incomplete(), mounts: this.#mounts.size });
  }

  async metadata(id: string): Promise<Record<string, string>> {
    return this.#layers.metadata(id);
  }

  async cleanup(): Promise<void> {
    this.#mounts.releaseAll();
  }

  async diff(id: string, parent: string | undefined): Promise<AsyncIterable<Buffer>> {
    return await this.#layers.diff(id, parent);
  }

  async changes(id: string, parent: string | undefined): Promise<{ path: Buffer; kind: ChangeKind }[]> {
    return this.#layers.changes(id, parent).map(({ path, kind }) => ({ path: nameToBytes(`/${path}`), kind }));
  }

  async applyDiff(id: string, parent: string | undefined, archive: AsyncIterable<Buffer>): Promise<number> {
    if (parent !== this.#layers.parentOf(id)) throw new UfsError('UFS_USAGE', `Cannot apply an archive to layer "${id}": it doesn't stand on "${parent ?? ''}"`);
    return (await this.#layers.apply(id, archive)).size;
  }

  async diffSize(id: string, parent: string | undefined): Promise<number> {
    return this.#layers.size(id, parent);
  }
}

/** Files would have another label than Docker thinks, and SELinux would keep the container from them: better said at once. */
function refuseLabel(id: string, mountLabel: string): void {
  if (mountLabel !== '') throw new UfsError('UFS_USAGE', `Cannot give the files of layer "${id}" the SELinux label "${mountLabel}": mounts of ufs have none; start dockerd without --selinux-enabled, or the container with --security-opt label=disable`);
}
