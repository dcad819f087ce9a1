import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import type { Name } from '../../fs/name.ts';
import type { Attached } from '../mount/attach.ts';
import type { RuntimeContainer } from '../oci/runtime.ts';
import type { HeldVolume } from './mount-sources.ts';

/** What has to be undone when a mount ends, for the case that the process that made it doesn't live to do it. */
export interface MountRecord {
  target: Name;
  attached?: Attached;
  volumes: HeldVolume[];
  /** Volumes without a name are removed. */
  removeAnonymous: boolean;
  /** The container that is removed. */
  remove?: string;
  /** What runs in it. */
  running?: RuntimeContainer;
  /** Paths that parts of volumes are mounted at. */
  parts?: string[];
  /** A directory of its own, which is removed; the target is in it. */
  directory?: string;
}

/** Those of this process: what they say is done here. */
const own = new Set<string>();

/** The records of a store's mounts, a file for each. */
export class MountRecords {
  readonly #directory: string;

  constructor(root: string) {
    this.#directory = join(root, 'run', 'mounts');
  }

  /** A new record; its name. */
  add(record: MountRecord): string {
    mkdirSync(this.#directory, { recursive: true, mode: 0o711 });
    const name = randomBytes(8).toString('hex');
    own.add(this.#path(name));
    this.replace(name, record);
    return name;
  }

  /** The file is there as a whole, or as it was, whenever the process is killed. */
  replace(name: string, record: MountRecord): void {
    writeFileSync(`${this.#path(name)}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${this.#path(name)}.new`, this.#path(name));
  }

  remove(name: string): void {
    rmSync(this.#path(name), { force: true });
    own.delete(this.#path(name));
  }

  /** Those of processes before this one, by name. */
  leftBehind(): Map<string, MountRecord> {
    const left = new Map<string, MountRecord>();
    for (const file of filesOf(this.#directory)) {
      const name = file.replace(/\.json$/, '');
      if (name === file || own.has(this.#path(name))) continue;
      left.set(name, JSON.parse(readFileSync(this.#path(name), 'utf8')) as MountRecord);
    }
    return left;
  }

  #path(name: string): string {
    return join(this.#directory, `${name}.json`);
  }
}

function filesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
