import { createHash } from 'node:crypto';
import { decompress } from '../archive/compression.ts';
import { RecipeWriter } from '../archive/recipe.ts';
import { applyArchive } from '../archive/unpack.ts';
import { UfsError } from '../errors.ts';
import { chainId, type LayerId } from '../store/layer-id.ts';
import type { Labels, LayerRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { Entry } from '../tree/entry.ts';
import { LinkingSink } from './linking-sink.ts';

export interface Work {
  signal?: AbortSignal | undefined;
  /** Bytes of archive read so far, and its entries. */
  progress?: ((bytes: number, entries: number) => void) | undefined;
  /** What was left out, and why. */
  warn?: ((message: string) => void) | undefined;
}

/**
 * Applies a layer archive, compressed or not, on top of a layer. Where the store has that layer already it is used, and nothing is made. `diffId`: what the
 * uncompressed archive's digest must be. `known`: files of the store, by digest, that have all data of the archive, which is linked to then. `labels`: of a layer that is made.
 */
export async function applyLayer(store: Store, archive: AsyncIterable<Buffer>, options: Work & { parent?: LayerId | undefined; diffId?: string; known?: ReadonlyMap<string, Entry>; labels?: Labels }): Promise<LayerRecord> {
  if (options.diffId !== undefined) {
    const known = store.layer(chainId(options.parent, options.diffId));
    if (known !== undefined) return known;
  }
  const transaction = store.beginLayer(options.parent === undefined ? {} : { parent: options.parent });
  try {
    const { stream } = await decompress(archive);
    const applied = await applyArchive(stream, {
      sink: options.known === undefined ? transaction.sink : new LinkingSink(transaction.sink, options.known),
      recipe: new RecipeWriter(transaction.recipePath),
      ...(transaction.parentTree === undefined ? {} : { lower: { tree: transaction.parentTree, reader: transaction.reader } }),
      ...(options.progress === undefined ? {} : { progress: options.progress }),
      ...(options.warn === undefined ? {} : { warn: options.warn }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (options.diffId !== undefined && applied.diffId !== options.diffId) {
      throw new UfsError('UFS_DIGEST_MISMATCH', `Cannot apply a layer: its archive is ${applied.diffId}, but the image says ${options.diffId}`);
    }
    const known = store.layer(chainId(options.parent, applied.diffId));
    if (known !== undefined) {
      transaction.abort();
      return known;
    }
    return await transaction.commit(options.labels === undefined ? applied : { ...applied, labels: options.labels });
  } catch (error) {
    transaction.abort();
    throw error;
  }
}

/** The id of an image: the digest of its configuration. */
export function imageIdOf(config: Buffer): string {
  return `sha256:${createHash('sha256').update(config).digest('hex')}`;
}
