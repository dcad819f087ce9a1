import { existsSync, realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import { UfsError } from '../errors.ts';
import { ImageTable } from './image-table.ts';
import { LayerTable } from './layer-table.ts';
import { readManifest } from './manifest.ts';
import { readStoreFile } from './opening.ts';
import { manifestPath, StorePaths } from './paths.ts';
import { numbersIn } from './removal.ts';

/**
 * A store that is only read, perhaps on a read-only or network file system, and by many at once: no lock is taken, nothing is written, and its index isn't
 * needed. The process whose store it is may change it meanwhile: what is asked is read from its files then.
 */
export class ReadOnlyStore {
  readonly paths: StorePaths;
  readonly uuid: string;
  readonly #log: (message: string) => void;
  #images: { directory: string; table: ImageTable } | undefined;

  private constructor(paths: StorePaths, uuid: string, log: (message: string) => void) {
    this.paths = paths;
    this.uuid = uuid;
    this.#log = log;
  }

  /** UFS_STORE_MISSING, UFS_STORE_UNSAFE (others than its owner may write to it), UFS_STORE_VERSION, UFS_STORE_DAMAGED. `log`: told of what in it is damaged. */
  static open(root: string, log: (message: string) => void): ReadOnlyStore {
    const given = resolve(root);
    let paths: StorePaths;
    try {
      paths = new StorePaths(realpathSync(given));
      statSync(paths.storeFile);
    } catch (cause) {
      const why = !hasCode(cause, 'ENOENT', 'ENOTDIR') ? (cause as Error).message : existsSync(given) ? 'there is none' : 'no such directory';
      throw new UfsError('UFS_STORE_MISSING', `Cannot read the store ${given}: ${why}`, { cause });
    }
    const { mode } = statSync(paths.root);
    if ((mode & 0o022) !== 0) throw new UfsError('UFS_STORE_UNSAFE', `Cannot use the store ${given}: others may write to it (mode ${(mode & 0o7777).toString(8)})`);
    return new ReadOnlyStore(paths, readStoreFile(paths).uuid, log);
  }

  get root(): string {
    return this.paths.root;
  }

  /** Kept as long as the directory with the images is the same. */
  images(): ImageTable {
    const { ino, mtimeNs } = statSync(this.paths.images, { bigint: true });
    const directory = `${ino} ${mtimeNs}`;
    if (this.#images?.directory !== directory) this.#images = { directory, table: new ImageTable(this.paths, this.#log) };
    return this.#images.table;
  }

  /** Layers and containers. */
  layers(): LayerTable {
    const table = new LayerTable();
    for (const number of numbersIn(this.paths.layers)) {
      const path = manifestPath(this.paths.layer(number));
      try {
        table.add(readManifest(path));
      } catch (error) {
        // Not told of what was removed since it was listed.
        if (existsSync(path)) this.#log(`${(error as Error).message}; the layer is left out`);
      }
    }
    return table;
  }
}
