import { existsSync, lstatSync, readlinkSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UfsError } from '../errors.ts';
import { type Entry, linkKey, type ObjectKey } from '../tree/entry.ts';
import { decodeEntry, decodeLinks, Directory, encodeDirectory, encodeEntry, encodeLinks, objectKey } from './directory-object.ts';
import { makeDirectory } from './durable.ts';
import { putObject } from './index-database.ts';
import { shortId, type LayerId } from './layer-id.ts';
import { readObjects, writeObjects } from './objects-file.ts';
import { contentDirectory, objectsPath, recipePath, StorePaths } from './paths.ts';
import type { ReadOnlyStore } from './read-only-store.ts';
import type { LayerRecord } from './records.ts';
import type { StoreState } from './state.ts';
import { publish } from './transaction.ts';

/*
 * A borrowed layer is a layer of this store whose metadata is in this store, as any other's, and whose data is in an additional one: `content` and `recipe` in its
 * directory are symlinks to those there. It costs what its metadata takes; containers, layers and images stand on it as on any other. It needs the additional store
 * as long as it is there.
 */

/** The layers of an additional store up to one, made this store's; those that are in it already are used. */
export async function borrowLayers(state: StoreState, from: ReadOnlyStore, top: LayerId): Promise<void> {
  await state.serially(async () => {
    const translation = new Translation();
    for (const foreign of from.layers().chain(top)) {
      const own = state.table.layer(foreign.id);
      const number = own?.number ?? state.nextNumber++;
      const translated = translation.layer(from, foreign, number);
      if (own === undefined) await borrow(state, from, foreign, number, translated);
      else if (own.root !== translated.root) throw new UfsError('UFS_LAYER_DAMAGED', `Cannot use layer ${shortId(top)} of the store ${from.root}: layer ${shortId(own.id)} below it is another tree in this store, which a different version of ufs made`);
    }
  });
}

interface Translated {
  root: string;
  links: ObjectKey | undefined;
  objects: Map<ObjectKey, Buffer>;
}

async function borrow(state: StoreState, from: ReadOnlyStore, foreign: LayerRecord, number: number, { root, links, objects }: Translated): Promise<void> {
  const staged = state.paths.staged(number);
  const directory = from.paths.layer(foreign.number);
  // What that store has borrowed itself is borrowed from where it is.
  const home = borrowedFrom(directory) ?? directory;
  makeDirectory(staged);
  try {
    symlinkSync(contentDirectory(home), contentDirectory(staged));
    symlinkSync(recipePath(home), recipePath(staged));
    writeObjects(objectsPath(staged), objects);
    const record: LayerRecord = { ...foreign, number, root, links, objects: objects.size, ownBytes: 0, borrowed: foreign.borrowed ?? { store: from.uuid, number: foreign.number } };
    await publish(state, staged, record, [...objects].map(([key, bytes]) => putObject(key, bytes, state.index.objectCount(key) + 1)));
  } catch (error) {
    if (existsSync(staged)) renameSync(staged, state.paths.trashed(number));
    throw error;
  }
}

/** Trees of another store in this store's numbers: all that entries say of where they are. */
class Translation {
  readonly #numbers = new Map<number, number>();
  readonly #keys = new Map<ObjectKey, ObjectKey>();

  /** Layers come bottom first. */
  layer(from: ReadOnlyStore, record: LayerRecord, number: number): Translated {
    this.#numbers.set(record.number, number);
    const objects = new Map<ObjectKey, Buffer>();
    // What is in a directory stands before it in the file.
    for (const [key, bytes] of readObjects(objectsPath(from.paths.layer(record.number)))) {
      const translated = key === record.links ? this.#links(bytes) : encodeDirectory(new Directory(bytes).entries().map((entry) => this.#entry(entry)));
      const own = objectKey(translated);
      this.#keys.set(key, own);
      objects.set(own, translated);
    }
    return { objects, root: encodeEntry(this.#entry(decodeEntry(Buffer.from(record.root, 'base64')))).toString('base64'), links: record.links && this.#key(record.links) };
  }

  #entry(entry: Entry): Entry {
    return { ...entry, layer: this.#number(entry.layer), object: entry.object && this.#key(entry.object) };
  }

  #links(bytes: Buffer): Buffer {
    return encodeLinks(new Map([...decodeLinks(bytes)].map(([key, count]) => {
      const [layer, inode] = key.split(':').map(Number) as [number, number];
      return [linkKey({ layer: this.#number(layer), inode }), count];
    })));
  }

  #number(layer: number): number {
    return known(this.#numbers.get(layer), `layer number ${layer}`);
  }

  #key(object: ObjectKey): ObjectKey {
    return known(this.#keys.get(object), `object ${object}`);
  }
}

function known<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new UfsError('UFS_LAYER_DAMAGED', `Cannot use a layer of an additional store: it refers to ${what}, which isn't in the layers below it`);
  return value;
}

/** The directory in its own store of a layer that is borrowed, whether it is there or not; undefined for one that isn't. */
export function borrowedFrom(layerDirectory: string): string | undefined {
  const content = contentDirectory(layerDirectory);
  return lstatSync(content, { throwIfNoEntry: false })?.isSymbolicLink() === true ? dirname(readlinkSync(content)) : undefined;
}

/** The stores that have the data of layers of the store at `root`, other than that: their real paths. */
export function lendingStores(root: string, layers: readonly LayerRecord[]): string[] {
  const paths = new StorePaths(root);
  const lenders = layers.flatMap(({ number, borrowed }) => (borrowed === undefined ? [] : (borrowedFrom(paths.layer(number)) ?? [])));
  return [...new Set(lenders.map((directory) => dirname(dirname(directory))))].filter((lender) => existsSync(lender)).map((lender) => realpathSync(lender));
}

/** Has borrowed layers look where their stores are now: those may be mounted elsewhere than they were. */
export function followStores(state: StoreState, readable: () => readonly ReadOnlyStore[]): void {
  const borrowed = state.table.layers().filter((record) => record.borrowed !== undefined);
  if (borrowed.length === 0) return;
  const stores = new Map(readable().map((store) => [store.uuid, store]));
  for (const { number, borrowed: place } of borrowed) {
    const store = place && stores.get(place.store);
    if (place === undefined || store === undefined) continue;
    const [directory, home] = [state.paths.layer(number), store.paths.layer(place.number)];
    if (borrowedFrom(directory) === home) continue;
    for (const path of [contentDirectory, recipePath]) {
      const aside = join(state.paths.staging, `link-${number}`);
      rmSync(aside, { force: true });
      symlinkSync(path(home), aside);
      renameSync(aside, path(directory));
    }
  }
}
