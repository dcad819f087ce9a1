import { createHash } from 'node:crypto';
import { existsSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { UfsError } from '../errors.ts';
import { replaceFile, syncDirectory } from './durable.ts';
import { digestPrefix, shortId, type LayerId } from './layer-id.ts';
import { single, type LayerTable } from './layer-table.ts';
import { encodeImage, encodeNames, readImage, readNames } from './manifest.ts';
import type { StorePaths } from './paths.ts';
import type { ImageRecord } from './records.ts';

type Image = Omit<ImageRecord, 'names'>;

export interface NewImage {
  names?: readonly string[];
  config: Buffer;
  /** Bottom first; every one is in the store. */
  layers: readonly LayerId[];
}

/** Printable, and not like a path that climbs; what else a name may look like is the registries' affair. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}$/;

/** Refuses what can't be the name of an image. */
export function checkImageName(name: string): string {
  if (!NAME.test(name)) throw new UfsError('UFS_BAD_NAME', `Cannot use ${JSON.stringify(name.slice(0, 600))} as the name of an image`);
  return name;
}

/** Refuses an image whose layers aren't in the store, or not each on top of the one before. */
export function checkImageLayers({ layers }: NewImage, table: LayerTable): void {
  layers.forEach((id, index) => {
    const record = table.layer(id);
    if (record === undefined) throw new UfsError('UFS_LAYER_NOT_FOUND', `Cannot make an image: its layer ${shortId(id)} is not in the store`);
    if (record.parent !== layers[index - 1]) throw new UfsError('UFS_LAYER_NOT_FOUND', `Cannot make an image: its layer ${shortId(id)} is not on top of the one before it`);
  });
}

/**
 * Images: one immutable file each, and one file with all names, so that moving a name from one image to another is a single rename.
 * INVARIANT: every name in `#names` is that of an image in `#images`.
 */
export class ImageTable {
  readonly #paths: StorePaths;
  readonly #images = new Map<string, Image>();
  #names = new Map<string, string>();

  constructor(paths: StorePaths, log: (message: string) => void) {
    this.#paths = paths;
    for (const file of readdirSync(paths.images)) {
      if (!/^[0-9a-f]{64}\.json$/.test(file)) continue;
      const image = attempt(() => readImage(join(paths.images, file)), log);
      if (image !== undefined) this.#images.set(image.id, image);
    }
    if (!existsSync(paths.names)) return;
    for (const [name, id] of attempt(() => readNames(paths.names), log) ?? []) {
      if (this.#images.has(id)) this.#names.set(name, id);
      else log(`The image that "${name}" names (${id}) is not in the store; the name is dropped`);
    }
  }

  all(): ImageRecord[] {
    return [...this.#images.values()].map((image) => this.#withNames(image)).sort((a, b) => (a.created < b.created ? -1 : 1));
  }

  find(nameOrId: string): ImageRecord {
    const id = this.#names.get(nameOrId) ?? this.#names.get(`${nameOrId}:latest`);
    if (id !== undefined) return this.#withNames(this.#images.get(id) as Image);
    const prefix = digestPrefix(nameOrId);
    const found = prefix === undefined ? [] : [...this.#images.values()].filter((image) => image.id.startsWith(prefix, 'sha256:'.length));
    return this.#withNames(single(found, nameOrId, 'image', 'UFS_IMAGE_NOT_FOUND'));
  }

  put({ names = [], config, layers }: NewImage): ImageRecord {
    names.forEach(checkImageName);
    const id = `sha256:${createHash('sha256').update(config).digest('hex')}`;
    let image = this.#images.get(id);
    if (image === undefined) {
      image = { id, layers: [...layers], config: Buffer.from(config), created: new Date().toISOString() };
      replaceFile(this.#paths.image(id), encodeImage(image), this.#aside());
      this.#images.set(id, image);
    }
    if (names.length > 0) this.#writeNames(new Map([...this.#names, ...names.map((name) => [name, id] as const)]));
    return this.#withNames(image);
  }

  tag(nameOrId: string, name: string): ImageRecord {
    checkImageName(name);
    const { id } = this.find(nameOrId);
    this.#writeNames(new Map(this.#names).set(name, id));
    return this.#withNames(this.#images.get(id) as Image);
  }

  untag(name: string): void {
    const names = new Map(this.#names);
    if (!names.delete(name) && !names.delete(`${name}:latest`)) throw new UfsError('UFS_IMAGE_NOT_FOUND', `Cannot find an image named "${name}"`);
    this.#writeNames(names);
  }

  remove(nameOrId: string, table: LayerTable): ImageRecord {
    const image = this.find(nameOrId);
    const container = table.containers().find((container) => container.image === image.id);
    if (container !== undefined) throw new UfsError('UFS_IMAGE_IN_USE', `Cannot remove image "${nameOrId}": container ${container.name ?? shortId(container.id)} was made from it`);
    if (image.names.length > 0) this.#writeNames(new Map([...this.#names].filter(([, id]) => id !== image.id)));
    unlinkSync(this.#paths.image(image.id));
    syncDirectory(this.#paths.images);
    this.#images.delete(image.id);
    return image;
  }

  #withNames(image: Image): ImageRecord {
    return { ...image, names: [...this.#names].filter(([, id]) => id === image.id).map(([name]) => name).sort() };
  }

  #writeNames(names: Map<string, string>): void {
    replaceFile(this.#paths.names, encodeNames(names), this.#aside());
    this.#names = names;
  }

  #lastAside = 0;

  #aside(): string {
    return join(this.#paths.staging, `image-${++this.#lastAside}`);
  }
}

function attempt<T>(action: () => T, log: (message: string) => void): T | undefined {
  try {
    return action();
  } catch (error) {
    log((error as Error).message);
    return undefined;
  }
}
