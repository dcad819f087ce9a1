import { createReadStream } from 'node:fs';
import { hasCode } from '../../fs/errno.ts';
import { UfsError } from '../errors.ts';
import type { Container } from '../store/containers.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { LayerRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { applyLayer, type Work } from './apply.ts';
import { archiveOf } from './diff.ts';
import { findImage, findSubject, openWhole, topLayer } from './trees.ts';
import type { Seed } from './volume-options.ts';

/** What layers say that were made for volumes. */
const MADE_FOR_VOLUME = { 'ufs.made-for': 'volume' };

/** Whether a layer may go with the last volume that needs it. Others stay until `gc`. */
export function isMadeForVolume({ labels }: LayerRecord): boolean {
  return labels['ufs.made-for'] === 'volume';
}

/** Where the content of a new volume comes from. */
export interface Source {
  seed: Required<Seed>;
  /** The layer with it. In use until `release` is called; without one it is nothing. */
  layer: LayerId | undefined;
  release: () => void;
}

/** What seeds are looked up in. */
export interface SeedPlaces {
  store: Store;
  /** Undefined where there is no such volume. */
  volume: (name: string) => Container | undefined;
  /** Brings what programs wrote through a container's mount to its directory, where it is mounted. */
  flush: (container: Container) => void;
}

/** What a seed means. UFS_NOT_FOUND, UFS_AMBIGUOUS for one without a kind. */
export function resolveSeed({ store, volume }: SeedPlaces, { kind, name }: Seed): Required<Seed> {
  if (kind !== undefined) return { kind, name };
  const kinds = (['image', 'volume'] as const).filter((each) => (each === 'volume' ? volume(name) : tryImage(store, name)) !== undefined);
  if (kinds.length > 1) throw new UfsError('UFS_AMBIGUOUS', `Cannot tell what "${name}" is: there is an image and a volume of that name; write image:${name} or volume:${name}`);
  if (kinds[0] === undefined) throw new UfsError('UFS_NOT_FOUND', `Cannot find "${name}": no image or volume of the store has that name; for others write layer:ID, container:NAME or tar:/PATH`);
  return { kind: kinds[0], name };
}

/**
 * The layer a volume is to stand on. An image's or layer's is there; of a container or volume, which may be written to meanwhile, one is made of what was written so far; a tar is read. UFS_IMAGE_NOT_FOUND,
 * UFS_LAYER_NOT_FOUND, UFS_CONTAINER_NOT_FOUND, UFS_VOLUME_NOT_FOUND, UFS_ARCHIVE.
 */
export async function openSource(places: SeedPlaces, seed: Required<Seed>, work: Work & { reason: string }): Promise<Source> {
  const { store, volume } = places;
  const { kind, name } = seed;
  const used = (layer: LayerId): Source => ({ seed, layer, release: store.use(layer, work.reason) });
  if (kind === 'tar') return { ...(await openArchive(store, createReadStream(name, { highWaterMark: 1 << 20 }), work, name)), seed };
  if (kind === 'image' || kind === 'layer') {
    const top = kind === 'image' ? findImage(store, name).layers.at(-1) : topLayer(findSubject(store, name, ['layer']));
    return { seed, layer: top, release: await store.borrow(top, work.reason) };
  }
  const container = kind === 'container' ? store.findContainer(name) : volume(name);
  if (container === undefined) throw new UfsError('UFS_VOLUME_NOT_FOUND', `Cannot find volume "${name}"`);
  places.flush(container);
  return used(container.sealed ?? (await layerOf(store, container, work)).id);
}

/** What a container shows as a layer, above the one it stands on in the end. */
async function layerOf(store: Store, container: Container, work: Work): Promise<LayerRecord> {
  const { layer: bottom } = store.below(container);
  const before = bottom === undefined ? undefined : store.openLayer(bottom);
  try {
    const after = openWhole(store, container);
    try {
      const archive = archiveOf(before, after, { allXattrs: true, skipped: (path, reason) => work.warn?.(`${path}: ${reason}`) });
      return await applyLayer(store, archive, { ...work, parent: bottom, labels: MADE_FOR_VOLUME });
    } finally {
      after.close();
    }
  } finally {
    before?.close();
  }
}

/** The layer of what is in an archive. */
export async function openArchive(store: Store, archive: AsyncIterable<Buffer>, work: Work & { reason: string }, path = '-'): Promise<Source> {
  try {
    const { id } = await applyLayer(store, archive, { ...work, labels: MADE_FOR_VOLUME });
    return { seed: { kind: 'tar', name: path }, layer: id, release: store.use(id, work.reason) };
  } catch (cause) {
    if ((cause as Error).name === 'AbortError') throw cause;
    const why = hasCode(cause, 'ENOENT') ? 'there is no such file' : hasCode(cause, 'EISDIR') ? 'it is a directory' : (cause as Error).message;
    throw new UfsError('UFS_ARCHIVE', `Cannot make a volume of ${path === '-' ? 'an archive' : `the tar "${path}"`}: ${why}`, { cause });
  }
}

function tryImage(store: Store, name: string): object | undefined {
  try {
    return findImage(store, name);
  } catch (error) {
    if (hasCode(error, 'UFS_IMAGE_NOT_FOUND')) return undefined;
    throw error;
  }
}
