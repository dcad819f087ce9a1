import { statSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import type { ObjectKey } from '../tree/entry.ts';
import { damaged } from './index-database.ts';
import { IndexedLayer } from './indexed-layer.ts';
import { shortId, type LayerId } from './layer-id.ts';
import { readManifest } from './manifest.ts';
import { ObjectReader } from './object-reader.ts';
import { readObjects } from './objects-file.ts';
import { manifestPath, objectsPath, type StorePaths } from './paths.ts';
import type { LayerRecord } from './records.ts';
import { numbersIn } from './removal.ts';
import { treeOf } from './state.ts';

/** Bytes of objects kept of layers nobody has open: those of containers are opened again and again. */
const UNUSED_LIMIT = 64 * 1024 * 1024;

interface Loaded {
  objects: ReadonlyMap<ObjectKey, Buffer>;
  bytes: number;
  users: number;
}

/**
 * The layers of a store as their files say, for processes that don't have its index: only one can. All objects of the layers that are open are in memory; what
 * several images stand on is there once. The store may be changed by its own process meanwhile.
 */
export class StoreFiles {
  readonly #paths: StorePaths;
  readonly #uuid: string;
  readonly #limit: number;
  readonly #reader = new ObjectReader((key) => this.#object(key));
  /** By number, as long as the manifest's file is the same; undefined for what is no layer. */
  readonly #records = new Map<number, { file: string; record: LayerRecord | undefined }>();
  /** By the layer's number, in the order they were opened in. */
  readonly #loaded = new Map<number, Loaded>();

  /** `limit`: bytes of objects kept of layers nobody has open. */
  constructor(paths: StorePaths, uuid: string, limit = UNUSED_LIMIT) {
    this.#paths = paths;
    this.#uuid = uuid;
    this.#limit = limit;
  }

  /** A layer with all below it. UFS_LAYER_NOT_FOUND, UFS_LAYER_DAMAGED. */
  openLayer(id: LayerId): IndexedLayer {
    const chain = this.#chain(id);
    const release = this.#use(chain);
    try {
      return new IndexedLayer({ paths: this.#paths, uuid: this.#uuid, reader: this.#reader, tree: treeOf(chain[chain.length - 1], this.#reader), chain, onClose: release });
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The layer and those below it, bottom first. */
  #chain(top: LayerId): LayerRecord[] {
    this.#readRecords();
    const records = new Map([...this.#records.values()].flatMap(({ record }) => (record === undefined ? [] : [[record.id, record]])));
    const chain: LayerRecord[] = [];
    for (let id: LayerId | undefined = top; id !== undefined; id = chain[0].parent) {
      const record = records.get(id);
      if (record === undefined) throw new UfsError('UFS_LAYER_NOT_FOUND', `Cannot open layer ${shortId(top)}: the store has no layer ${shortId(id)}`);
      chain.unshift(record);
    }
    return chain;
  }

  #readRecords(): void {
    const present = new Set(numbersIn(this.#paths.layers));
    for (const number of this.#records.keys()) if (!present.has(number)) this.#forget(number);
    for (const number of present) {
      try {
        const path = manifestPath(this.#paths.layer(number));
        const { ino, mtimeNs } = statSync(path, { bigint: true });
        const file = `${ino} ${mtimeNs}`;
        if (this.#records.get(number)?.file === file) continue;
        this.#forget(number);
        const manifest = readManifest(path);
        this.#records.set(number, { file, record: manifest.kind === 'layer' ? manifest : undefined });
      } catch {
        // Gone since it was listed, or damaged: where it is needed, its absence is told.
        this.#forget(number);
      }
    }
  }

  #forget(number: number): void {
    this.#records.delete(number);
    this.#loaded.delete(number);
  }

  /** Has the objects of layers in memory until the function given back is called. */
  #use(chain: readonly LayerRecord[]): () => void {
    const used: Loaded[] = [];
    const release = (): void => {
      for (const layer of used.splice(0)) layer.users -= 1;
      this.#forgetUnused();
    };
    try {
      for (const { number } of chain) {
        const layer = this.#loaded.get(number) ?? load(objectsPath(this.#paths.layer(number)));
        this.#loaded.delete(number);
        this.#loaded.set(number, layer);
        layer.users += 1;
        used.push(layer);
      }
      return release;
    } catch (error) {
      release();
      throw error;
    }
  }

  #forgetUnused(): void {
    const unused = [...this.#loaded].filter(([, { users }]) => users === 0);
    let bytes = unused.reduce((sum, [, layer]) => sum + layer.bytes, 0);
    for (const [number, layer] of unused) {
      if (bytes <= this.#limit) return;
      this.#loaded.delete(number);
      bytes -= layer.bytes;
    }
  }

  #object(key: ObjectKey): Buffer {
    for (const { objects } of this.#loaded.values()) {
      const bytes = objects.get(key);
      if (bytes !== undefined) return bytes;
    }
    throw damaged(this.#paths.layers, `object ${key} is in none of the layers that are open`);
  }
}

function load(path: string): Loaded {
  const objects = readObjects(path);
  let bytes = 0;
  for (const object of objects.values()) bytes += object.length;
  return { objects, bytes, users: 0 };
}
