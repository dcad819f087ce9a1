import { existsSync, readdirSync, renameSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import { decodeEntry } from './directory-object.ts';
import { contentFiles, type ContentLinks, contentLinks } from './content-files.ts';
import { syncDirectory } from './durable.ts';
import { deleteContent, deleteLayer, deleteObject, putContent, putContentSize, putObject, type IndexOperation } from './index-database.ts';
import { shortId, type LayerId } from './layer-id.ts';
import { readObjects } from './objects-file.ts';
import { objectsPath } from './paths.ts';
import type { LayerRecord, Manifest } from './records.ts';
import type { StoreState } from './state.ts';
import type { ObjectKey } from '../tree/entry.ts';

/** What keeps a layer from being removed, in words; undefined where nothing does. */
export function usedBy(state: StoreState, id: LayerId): string | undefined {
  const image = state.images.all().find(({ layers }) => layers.includes(id));
  if (image !== undefined) return `image ${image.names[0] ?? shortId(image.id)}`;
  const container = state.table.containers().find(({ parent, sealed }) => parent === id || sealed === id);
  if (container !== undefined) return `container ${container.name ?? shortId(container.id)}`;
  const child = state.table.layers().find(({ parent }) => parent === id);
  if (child !== undefined) return `layer ${shortId(child.id)}, which is on top of it`;
  return state.uses.get(id)?.values().next().value;
}

export async function removeLayer(state: StoreState, id: LayerId): Promise<void> {
  await state.serially(async () => {
    const record = state.table.layer(id);
    if (record === undefined) throw new UfsError('UFS_LAYER_NOT_FOUND', `Cannot remove layer ${shortId(id)}: there is none of that id`);
    const user = usedBy(state, id);
    if (user !== undefined) throw new UfsError('UFS_LAYER_IN_USE', `Cannot remove layer ${shortId(id)}: it is used by ${user}`);
    await discard(state, [record]);
  });
}

export interface GcResult {
  layers: LayerRecord[];
  /** Of file data no other layer has. */
  bytes: number;
}

/** Removes every layer that no image, container, use or one of `keep` needs. */
export async function collectGarbage(state: StoreState, keep: readonly LayerId[] = []): Promise<GcResult> {
  return await state.serially(async () => {
    const roots = [
      ...keep, ...state.uses.keys(), ...state.images.all().flatMap(({ layers }) => layers), ...state.table.containers().flatMap(({ parent, sealed }) => [parent, sealed].filter((id) => id !== undefined)),
    ];
    const needed = new Set<LayerId>();
    for (const root of roots) {
      for (let id: LayerId | undefined = root; id !== undefined && !needed.has(id); id = state.table.layer(id)?.parent) needed.add(id);
    }
    const layers = state.table.layers().filter(({ id }) => !needed.has(id));
    const bytes = await discard(state, layers);
    return { layers, bytes };
  });
}

/**
 * Moves layers and containers to the trash, then out of the index in one batch. The rename is the point of no return: a store opened after a
 * crash in between finds the directory gone and finishes.
 */
export async function discard(state: StoreState, manifests: readonly Manifest[]): Promise<number> {
  if (manifests.length === 0) return 0;
  // Children first: at no moment does a layer lack one below it.
  const gone: number[] = [];
  try {
    for (const manifest of [...manifests].sort((a, b) => b.number - a.number)) {
      state.step('remove-rename');
      renameSync(state.paths.layer(manifest.number), state.paths.trashed(manifest.number));
      state.table.delete(manifest);
      gone.push(manifest.number);
    }
  } catch (error) {
    giveBack(state, gone);
    throw error;
  }
  syncDirectory(state.paths.layers);
  const { operations, bytes } = giveBack(state, gone);
  state.step('remove-batch');
  await state.index.write([...operations, putContentSize(state.contentSize)]);
  return bytes;
}

/** What is in the trash takes nothing any more, whether the index learns of that now or when the store is opened next. */
function giveBack(state: StoreState, numbers: readonly number[]): { operations: IndexOperation[]; bytes: number } {
  const { operations, bytes, allocated } = forgetting(state, numbers);
  state.contentSize = { bytes: state.contentSize.bytes - bytes, allocated: state.contentSize.allocated - allocated };
  for (const number of numbers) state.pool.drop(number);
  state.pool.setContent(state.contentSize.allocated);
  return { operations, bytes };
}

/** The batch that takes removed layers, whose directories are in the trash, out of the index. */
export function forgetting(state: StoreState, numbers: readonly number[]): { operations: IndexOperation[]; bytes: number; allocated: number } {
  const operations: IndexOperation[] = numbers.map(deleteLayer);
  const counts = new Map<ObjectKey, number>();
  const orphans = new Map<string, ContentLinks>();
  const copies = new Map<string, ContentLinks>();
  for (const number of numbers) {
    const directory = state.paths.trashed(number);
    for (const key of storedObjects(state, directory)) counts.set(key, (counts.get(key) ?? 0) + 1);
    for (const { digest, path } of contentFiles(directory)) {
      const file = contentLinks(path);
      const other = state.index.contentLayer(digest);
      const isOrphan = other !== undefined && numbers.includes(other) && (orphans.get(digest)?.inode ?? file.inode) === file.inode;
      if (isOrphan) orphans.set(digest, file);
      // Content that was stored twice, as two layers with it were made at the same time.
      else if (file.links === 1) copies.set(file.inode, file);
    }
  }
  for (const [key, count] of counts) {
    operations.push(recount(state, key, state.index.objectCount(key) - count));
  }
  operations.push(...rehome(state, orphans));
  const freed = [...orphans.values(), ...copies.values()];
  return { operations, bytes: freed.reduce((sum, { size }) => sum + size, 0), allocated: freed.reduce((sum, { allocated }) => sum + allocated, 0) };
}

function recount(state: StoreState, key: ObjectKey, count: number): IndexOperation {
  if (count <= 0) return deleteObject(key);
  try {
    return putObject(key, state.index.object(key), count);
  } catch (error) {
    // A damaged object must not keep a layer from going; those that still need it learn of the damage when they read it.
    state.log((error as Error).message);
    return deleteObject(key);
  }
}

/** Content whose layer goes is looked for in the layers that stay: where it has other links it must be in one of them. `orphans` has what is in none afterwards. */
function* rehome(state: StoreState, orphans: Map<string, ContentLinks>): Generator<IndexOperation> {
  const linked = new Set([...orphans].filter(([, { links }]) => links > 1).map(([digest]) => digest));
  if (linked.size > 0) {
    for (const { number } of state.table.layers()) {
      for (const { digest } of contentFiles(state.paths.layer(number))) {
        if (!linked.delete(digest)) continue;
        orphans.delete(digest);
        yield putContent(digest, number);
      }
    }
  }
  for (const digest of orphans.keys()) yield deleteContent(digest);
}

/** Keys of the objects a layer counts in the index; none for a container, or where the file is gone (they stay until the index is rebuilt). */
function storedObjects(state: StoreState, directory: string): ObjectKey[] {
  if (!existsSync(objectsPath(directory))) return [];
  try {
    return [...readObjects(objectsPath(directory)).keys()];
  } catch (error) {
    state.log((error as Error).message);
    return [];
  }
}

/** The numbers that stand as names in a directory of the store. */
export function numbersIn(path: string): number[] {
  return readdirSync(path).filter((name) => /^[1-9][0-9]*$/.test(name)).map(Number).sort((a, b) => a - b);
}

export function rootObject(record: LayerRecord): ObjectKey {
  return decodeEntry(Buffer.from(record.root, 'base64')).object as ObjectKey;
}
