import { existsSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { UfsError } from '../errors.ts';
import { replaceFile } from './durable.ts';
import type { StorePaths } from './paths.ts';
import { ReadOnlyStore } from './read-only-store.ts';

/** An additional store as it is now. */
export interface AdditionalStore {
  /** Where it is, as the store's configuration says. */
  root: string;
  /** Absent where it can't be read. */
  store?: ReadOnlyStore;
  /** Why it can't be read. */
  problem?: UfsError;
}

/**
 * The stores that are consulted after the own one, in this order, and only read. Which they are stands in a file of the own store, so that whoever works with that
 * has the same. One that is missing is no error until it is needed: it may be on a file system that is mounted later.
 */
export class AdditionalStores {
  readonly #paths: StorePaths;
  readonly #uuid: string;
  readonly #log: (message: string) => void;
  #roots: readonly string[];
  readonly #opened = new Map<string, ReadOnlyStore>();

  /** `uuid`: of the own store. */
  constructor(paths: StorePaths, uuid: string, log: (message: string) => void) {
    this.#paths = paths;
    this.#uuid = uuid;
    this.#log = log;
    this.#roots = existsSync(paths.additionalStores) ? readRoots(paths.additionalStores) : [];
  }

  /** All, each looked at anew. */
  all(): AdditionalStore[] {
    return this.#roots.map((root) => {
      try {
        return { root, store: this.#open(root) };
      } catch (error) {
        const problem = error instanceof UfsError ? error : new UfsError('UFS_STORE_DAMAGED', `Cannot read the store ${root}: ${(error as Error).message}`, { cause: error });
        return { root, problem };
      }
    });
  }

  /** Those that can be read. */
  readable(): ReadOnlyStore[] {
    return this.all().flatMap(({ store }) => store ?? []);
  }

  /** Why some can't be read, as the end of a sentence; empty where all can. */
  problems(): string {
    return this.all().map(({ problem }) => (problem === undefined ? '' : `; an additional store could not be consulted: ${problem.message}`)).join('');
  }

  /** The last one from now on; where it is in the list already, it stays in its place. What `ReadOnlyStore.open` refuses, and UFS_USAGE for the own store. */
  add(root: string): void {
    const store = this.#open(resolve(root));
    if (store.uuid === this.#uuid) throw new UfsError('UFS_USAGE', `Cannot add the store ${root}: it is this store`);
    if (this.readable().some(({ uuid }) => uuid === store.uuid)) return;
    this.#write([...this.#roots, resolve(root)]);
  }

  /** UFS_NOT_FOUND where it isn't one of them. */
  remove(root: string): void {
    const path = resolve(root);
    if (!this.#roots.includes(path)) throw new UfsError('UFS_NOT_FOUND', `Cannot take the additional store ${path} away: there is none of that path`);
    this.#write(this.#roots.filter((other) => other !== path));
  }

  #open(root: string): ReadOnlyStore {
    const store = ReadOnlyStore.open(root, this.#log);
    const known = this.#opened.get(root);
    if (known?.uuid === store.uuid && known.root === store.root) return known;
    this.#opened.set(root, store);
    return store;
  }

  #write(roots: readonly string[]): void {
    const aside = `${this.#paths.additionalStores}.new`;
    rmSync(aside, { force: true });
    replaceFile(this.#paths.additionalStores, `${JSON.stringify({ stores: roots }, undefined, 1)}\n`, aside);
    this.#roots = roots;
  }
}

function readRoots(path: string): string[] {
  try {
    const { stores } = JSON.parse(readFileSync(path, 'utf8')) as { stores: unknown };
    if (!Array.isArray(stores) || !stores.every((root) => typeof root === 'string')) throw new Error('"stores" is no list of directories');
    return stores;
  } catch (cause) {
    throw new UfsError('UFS_STORE_DAMAGED', `Cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}
