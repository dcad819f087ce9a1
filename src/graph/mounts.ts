import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import { nameFromText } from '../../fs/name.ts';
import { unmount } from '../../fs/transport/mount.ts';
import { findMounts } from '../../fs/transport/mounts.ts';
import { flushMount } from '../mount/flush.ts';
import type { Mounted, Mounter } from '../mount/mounter.ts';
import type { MountSpec } from '../mount/spec.ts';

interface Entry {
  mounted: Mounted;
  count: number;
}

/**
 * Mounts that are asked for and given back by several users, each below one directory, in a directory named by its key. The kernel holds what is left after a
 * crash: it is unmounted when this is made, because nobody serves it any more.
 */
export class CountedMounts {
  readonly #directory: string;
  readonly #mounter: Mounter;
  readonly #log: (message: string) => void;
  readonly #entries = new Map<string, Entry>();

  constructor(options: { directory: string; mounter: Mounter; log: (message: string) => void }) {
    this.#directory = options.directory;
    this.#mounter = options.mounter;
    this.#log = options.log;
    mkdirSync(options.directory, { recursive: true, mode: 0o711 });
    for (const name of readdirSync(options.directory)) this.#clear(join(options.directory, name));
  }

  get size(): number {
    return this.#entries.size;
  }

  mountOf(key: string): Mounted | undefined {
    return this.#entries.get(key)?.mounted;
  }

  /** Where it is mounted; `spec` says what to mount where it isn't yet. Calls for one key don't overlap: the caller sees to it. */
  async get(key: string, spec: () => Omit<MountSpec, 'target'>): Promise<string> {
    const path = join(this.#directory, key);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      known.count += 1;
      return path;
    }
    this.#clear(path);
    mkdirSync(path, { mode: 0o711 });
    const mounted = await this.#mounter.mount({ ...spec(), target: nameFromText(path) });
    const entry: Entry = { mounted, count: 1 };
    this.#entries.set(key, entry);
    void mounted.ended.then(() => {
      if (this.#entries.get(key) !== entry) return;
      this.#entries.delete(key);
      this.#log(`${path} was unmounted by somebody else`);
    });
    return path;
  }

  /** Gives it back; the last one unmounts it, and it goes when nobody uses it any more. Nothing is done for what isn't mounted. */
  async put(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry === undefined || --entry.count > 0) return;
    await this.release(key);
  }

  /** Unmounts it, whoever has it. */
  async release(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#clear(join(this.#directory, key));
  }

  /** Brings what programs wrote through a mount to its upper directory, where it is mounted. */
  flush(key: string): void {
    const mounted = this.mountOf(key);
    if (mounted !== undefined) flushMount(mounted);
  }

  /** Unmounts all. */
  async close(): Promise<void> {
    for (const key of [...this.#entries.keys()]) await this.release(key);
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
