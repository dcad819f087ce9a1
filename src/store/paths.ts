import { join } from 'node:path';

/** Where things are below the root of a store. Only numbers and digests become names here, never what a user or an archive calls something. */
export class StorePaths {
  readonly root: string;
  readonly storeFile: string;
  readonly lock: string;
  readonly layers: string;
  readonly images: string;
  readonly names: string;
  readonly index: string;
  readonly staging: string;
  readonly trash: string;
  /** An empty file, which every file of size 0 is opened as. */
  readonly empty: string;
  /** Its limit, and what takes how much of it: see pool-file.ts. */
  readonly pool: string;
  /** Which stores are consulted after this one. */
  readonly additionalStores: string;

  constructor(root: string) {
    this.root = root;
    this.storeFile = join(root, 'store.json');
    this.lock = join(root, 'lock');
    this.layers = join(root, 'layers');
    this.images = join(root, 'images');
    this.names = join(this.images, 'names.json');
    this.index = join(root, 'index');
    this.staging = join(root, 'staging');
    this.trash = join(root, 'trash');
    this.empty = join(root, 'empty');
    this.pool = join(root, 'pool');
    this.additionalStores = join(root, 'additional-stores.json');
  }

  layer(number: number): string {
    return join(this.layers, String(number));
  }

  staged(number: number): string {
    return join(this.staging, String(number));
  }

  trashed(name: string | number): string {
    return join(this.trash, String(name));
  }

  image(id: string): string {
    return join(this.images, `${id.replace(/^sha256:/, '')}.json`);
  }
}

export function manifestPath(directory: string): string {
  return join(directory, 'manifest.json');
}

/** A container's upper directory. */
export function upperPath(directory: string): string {
  return join(directory, 'diff');
}

export function recipePath(directory: string): string {
  return join(directory, 'recipe');
}

export function objectsPath(directory: string): string {
  return join(directory, 'objects');
}

export function contentDirectory(directory: string): string {
  return join(directory, 'content');
}

export function contentPath(directory: string, digest: string): string {
  return `${directory}/content/${digest.slice(0, 2)}/${digest}`;
}
