import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import { nameFromText, nameToText } from '../../fs/name.ts';
import { unmount } from '../../fs/transport/mount.ts';
import { findMounts } from '../../fs/transport/mounts.ts';
import { flushMount } from '../mount/flush.ts';
import type { Mounted, Mounter } from '../mount/mounter.ts';
import type { MountSpec } from '../mount/spec.ts';
import { UsersFile } from './users-file.ts';

interface Entry {
  /** How many asked for it and haven't given it back. */
  users: number;
  /** undefined where what served it was killed, or somebody else unmounted it. */
  mount: Mounted | undefined;
}

/** What serves mounts: this process, or one that outlives it. */
export type Mounting = Pick<Mounter, 'mount' | 'mounts'>;

/**
 * Mounts that are asked for and given back by several users, each below one directory, in a directory named by its key. Mounts and users of a process before this one
 * go on; what the kernel holds beyond those is unmounted when this is made, because nobody serves it any more.
 */
export class CountedMounts {
  readonly #directory: string;
  readonly #client: Mounting;
  readonly #log: (message: string) => void;
  readonly #users: UsersFile;
  readonly #entries = new Map<string, Entry>();

  constructor(options: { directory: string; client: Mounting; log: (message: string) => void }) {
    this.#directory = options.directory;
    this.#client = options.client;
    this.#log = options.log;
    mkdirSync(options.directory, { recursive: true, mode: 0o711 });
    this.#users = new UsersFile(`${options.directory}.json`);
    for (const [key, users] of this.#users.read()) this.#entries.set(key, { users, mount: undefined });
    const served = new Map(this.#client.mounts().map((mount) => [nameToText(mount.spec.target), mount]));
    for (const key of readdirSync(options.directory)) {
      const path = this.#path(key);
      const [entry, mount] = [this.#entries.get(key), served.get(path)];
      if (entry !== undefined && mount !== undefined && findMounts(mount.spec.target).length > 0) this.#keep(entry, key, mount);
      else this.#clear(path);
    }
  }

  /** How many there are. */
  get size(): number {
    return [...this.#entries.values()].filter(({ mount }) => mount !== undefined).length;
  }

  mountOf(key: string): Mounted | undefined {
    return this.#entries.get(key)?.mount;
  }

  /** Where it is mounted; `spec` says what to mount where it isn't yet. Calls for one key don't overlap: the caller sees to it. */
  async get(key: string, spec: () => Omit<MountSpec, 'target'>): Promise<string> {
    const path = this.#path(key);
    const entry = this.#entries.get(key) ?? { users: 0, mount: undefined };
    if (entry.mount === undefined) {
      this.#clear(path);
      mkdirSync(path, { mode: 0o711 });
      this.#keep(entry, key, await this.#client.mount({ ...spec(), target: nameFromText(path) }));
    }
    entry.users += 1;
    this.#entries.set(key, entry);
    this.#save();
    return path;
  }

  #keep(entry: Entry, key: string, mount: Mounted): void {
    entry.mount = mount;
    void mount.ended.then(() => {
      if (entry.mount !== mount) return;
      // Those who have it don't know, and will give it back.
      entry.mount = undefined;
      if (this.#entries.get(key) === entry) this.#log(`${this.#path(key)} was unmounted by somebody else`);
    });
  }

  /** Gives it back; the last one unmounts it, and it goes when nobody uses it any more. Nothing is done for what isn't mounted. */
  put(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.users -= 1;
    if (entry.users > 0) this.#save();
    else this.release(key);
  }

  /** Unmounts it, whoever has it. */
  release(key: string): void {
    if (!this.#entries.delete(key)) return;
    this.#save();
    this.#clear(this.#path(key));
  }

  #save(): void {
    this.#users.write([...this.#entries].map(([key, { users }]) => [key, users]));
  }

  /** Brings what programs wrote through a mount to its upper directory, where it is mounted. */
  flush(key: string): void {
    const mounted = this.mountOf(key);
    if (mounted !== undefined) flushMount(mounted);
  }

  /** Unmounts all. */
  releaseAll(): void {
    for (const key of [...this.#entries.keys()]) this.release(key);
  }

  #path(key: string): string {
    return join(this.#directory, key);
  }

  /** Takes every mount off a mount point, and the mount point away. */
  #clear(path: string): void {
    try {
      for (const _ of findMounts(nameFromText(path))) unmount(nameFromText(path), { lazy: true });
      rmdirSync(path);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) this.#log(`Cannot clear the mount point ${path}: ${(error as Error).message}`);
    }
  }
}
