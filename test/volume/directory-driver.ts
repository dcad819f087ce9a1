import { mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Driver, Volume, VolumeScope } from '../../src/index.ts';

/** A volume that is a directory, and counts whom it is mounted for. */
export class DirectoryVolume implements Volume {
  readonly name: string;
  readonly driverName: string;
  readonly directory: string;
  /** Ids it is mounted for, once for each time. */
  readonly holders: string[] = [];

  constructor(name: string, driverName: string, directory: string) {
    this.name = name;
    this.driverName = driverName;
    this.directory = directory;
  }

  async path(): Promise<string> {
    return this.directory;
  }

  async mount(id: string): Promise<string> {
    statSync(this.directory);
    this.holders.push(id);
    return this.directory;
  }

  async unmount(id: string): Promise<void> {
    const at = this.holders.indexOf(id);
    if (at === -1) throw new Error(`${id} doesn't hold ${this.name}`);
    this.holders.splice(at, 1);
  }

  async createdAt(): Promise<Date | undefined> {
    return undefined;
  }

  async status(): Promise<Record<string, unknown>> {
    return { holders: this.holders.length };
  }
}

/** Volumes that are directories of one directory. */
export class DirectoryDriver implements Driver {
  readonly name: string;
  readonly #root: string;
  readonly #scope: VolumeScope;

  constructor(name: string, root: string, scope: VolumeScope = 'local') {
    this.name = name;
    this.#root = root;
    this.#scope = scope;
  }

  async create(name: string): Promise<DirectoryVolume> {
    mkdirSync(join(this.#root, name), { recursive: true });
    return new DirectoryVolume(name, this.name, join(this.#root, name));
  }

  async remove(volume: Volume): Promise<void> {
    rmdirSync(await volume.path());
  }

  async list(): Promise<Volume[]> {
    return readdirSync(this.#root).map((name) => new DirectoryVolume(name, this.name, join(this.#root, name)));
  }

  async get(name: string): Promise<Volume> {
    const found = (await this.list()).find((volume) => volume.name === name);
    if (found === undefined) throw new Error(`no such volume: ${name}`);
    return found;
  }

  scope(): VolumeScope {
    return this.#scope;
  }
}
