import { humanSize } from '../store/size-text.ts';
import { optionTexts } from '../graph/volume-options.ts';
import { volumeStatus, type VolumeStatus } from '../graph/volume-status.ts';
import type { Volume } from '../graph/volume-record.ts';
import type { Volumes } from '../graph/volumes.ts';
import type { VolumeDriver, VolumeInfo } from '../plugin/volume-driver.ts';

/** Ids of what Docker mounts a volume for. */
const DOCKERS = /^[0-9a-f]{64}$/;

/** Docker's volume driver over the volumes of a store. */
export class StoreVolumeDriver implements VolumeDriver {
  readonly #volumes: Volumes;
  readonly #scope: 'local' | 'global';

  constructor({ volumes, scope }: { volumes: Volumes; scope: 'local' | 'global' }) {
    this.#volumes = volumes;
    this.#scope = scope;
  }

  /** Docker asks once after each start: one that was killed has forgotten what it had mounted for containers that it then ended. */
  capabilities(): { scope: 'local' | 'global' } {
    this.#volumes.doubt((holder) => DOCKERS.test(holder));
    return { scope: this.#scope };
  }

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    await this.#volumes.create(name, options);
  }

  async remove(name: string): Promise<void> {
    await this.#volumes.remove(name);
  }

  async list(): Promise<VolumeInfo[]> {
    return this.#volumes.list().map((volume) => this.#info(volume));
  }

  async get(name: string): Promise<VolumeInfo> {
    const volume = this.#volumes.find(name);
    // With live-restore Docker forgets, after a docker cp, what a container has.
    await this.#volumes.settle(name);
    return { ...this.#info(volume), status: statusRows(volume, await volumeStatus(this.#volumes, volume)) };
  }

  async path(name: string): Promise<string> {
    this.#volumes.find(name);
    return this.#volumes.mountpoint(name) ?? '';
  }

  async mount(name: string, id: string): Promise<string> {
    return await this.#volumes.mount(name, id);
  }

  async unmount(name: string, id: string): Promise<void> {
    await this.#volumes.unmount(name, id);
  }

  #info({ name, created }: Volume): VolumeInfo {
    const mountpoint = this.#volumes.mountpoint(name);
    return { name, createdAt: new Date(created), ...(mountpoint === undefined ? {} : { mountpoint }) };
  }
}

/** What `docker volume inspect` shows as "Status"; sizes in words and in bytes. */
function statusRows({ options, layer }: Volume, { used, mountpoint, holders }: VolumeStatus): Record<string, unknown> {
  const { from = 'nothing', size, inodes, readOnly = false, labels } = options;
  return {
    From: from, ...(layer === undefined ? {} : { Layer: layer }), ReadOnly: readOnly,
    Used: humanSize(used.bytes), UsedBytes: used.bytes, UsedInodes: used.inodes,
    Limit: size === undefined ? 'none' : humanSize(size), ...(size === undefined ? {} : { LimitBytes: size }), ...(inodes === undefined ? {} : { LimitInodes: inodes }),
    Mounted: mountpoint !== undefined, Holders: holders.length, HeldBy: holders.map(({ holder, count }) => ({ Holder: holder, Count: count })),
    Options: optionTexts(options), ...(labels === undefined ? {} : { Labels: labels }),
  };
}
