import { hasCode } from '../../fs/errno.ts';
import { UfsError } from '../errors.ts';
import type { AdditionalStores } from './additional-stores.ts';
import type { ImageTable } from './image-table.ts';
import type { ImageRecord } from './records.ts';

/** The images of a store, then those of the stores consulted after it, in their order. A name is the first one's that has it. */
export class ConsultedImages {
  readonly #own: ImageTable;
  readonly #additional: AdditionalStores;

  constructor(own: ImageTable, additional: AdditionalStores) {
    this.#own = own;
    this.#additional = additional;
  }

  /** Each image once. */
  all(): ImageRecord[] {
    const images = this.#own.all();
    const ids = new Set(images.map(({ id }) => id));
    const taken = new Set(images.flatMap(({ names }) => names));
    for (const { root, store } of this.#additional.all()) {
      for (const image of store?.images().all() ?? []) {
        if (ids.has(image.id)) continue;
        ids.add(image.id);
        images.push({ ...image, names: image.names.filter((name) => !taken.has(name)), store: root });
      }
      for (const { names } of images) for (const name of names) taken.add(name);
    }
    return images;
  }

  /** UFS_IMAGE_NOT_FOUND, which says of the stores that couldn't be consulted; UFS_AMBIGUOUS. */
  find(nameOrId: string): ImageRecord {
    try {
      return this.#own.find(nameOrId);
    } catch (error) {
      if (!hasCode(error, 'UFS_IMAGE_NOT_FOUND')) throw error;
      for (const { store } of this.#additional.all()) {
        const found = store && findIn(store.images(), nameOrId);
        if (found !== undefined) return this.all().find(({ id }) => id === found.id) as ImageRecord;
      }
      const problems = this.#additional.problems();
      throw problems === '' ? error : new UfsError('UFS_IMAGE_NOT_FOUND', `${(error as Error).message}${problems}`, { cause: error });
    }
  }

  /** Refuses to change what only an additional store has: UFS_STORE_READ_ONLY. */
  refuseOthers(nameOrId: string, action: string): void {
    if (findIn(this.#own, nameOrId) !== undefined) return;
    const store = this.#additional.all().find((other) => other.store !== undefined && findIn(other.store.images(), nameOrId) !== undefined);
    if (store !== undefined) throw new UfsError('UFS_STORE_READ_ONLY', `Cannot ${action} the image "${nameOrId}": it is in the additional store ${store.root}, which is only read`);
  }
}

function findIn(table: ImageTable, nameOrId: string): ImageRecord | undefined {
  try {
    return table.find(nameOrId);
  } catch (error) {
    if (hasCode(error, 'UFS_IMAGE_NOT_FOUND')) return undefined;
    throw error;
  }
}
