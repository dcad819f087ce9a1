/** A volume, as Docker is told of it. */
export interface VolumeInfo {
  name: string;
  /** Absolute; absent where it isn't mounted. */
  mountpoint?: string;
  createdAt?: Date;
  /** Whatever `docker volume inspect` is to show as "Status". */
  status?: Readonly<Record<string, unknown>>;
}

/**
 * What a volume driver does for Docker (moby, daemon/volume/drivers/proxy.go). Whatever is thrown is Docker's error message. Calls overlap. Docker asks `get` before it
 * creates: a volume that is there is used as it is, whatever the options.
 */
export interface VolumeDriver {
  /** `options`: `docker volume create -o`. */
  create(name: string, options: Readonly<Record<string, string>>): Promise<void>;
  remove(name: string): Promise<void>;
  list(): Promise<readonly VolumeInfo[]>;
  /** Throws where there is none. */
  get(name: string): Promise<VolumeInfo>;
  /** Where it is mounted; empty where it isn't. */
  path(name: string): Promise<string>;
  /**
   * Mounts it for a holder (`id`: 64 hexadecimal digits); the absolute path. Docker mounts for the same holder again for `docker cp`, and gives each of them back; after it
   * was killed it mounts again what it never gave back.
   */
  mount(name: string, id: string): Promise<string>;
  /** A holder that is unknown, or whose `mount` failed, is no error. */
  unmount(name: string, id: string): Promise<void>;
  /** "global": the same volumes on each machine. */
  capabilities(): { scope: 'local' | 'global' };
}
