import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UfsError } from '../errors.ts';
import { makeDirectory, replaceFile, syncDirectory, syncFile, writeNewFile } from './durable.ts';
import { putLayer } from './index-database.ts';
import { checkContainerId, type LayerId } from './layer-id.ts';
import { encodeManifest } from './manifest.ts';
import { layerNote } from './opening.ts';
import { manifestPath } from './paths.ts';
import type { ContainerRecord, Labels } from './records.ts';
import { discard } from './removal.ts';
import { treeOf, type StoreState } from './state.ts';
import { countUpper } from './store-pool.ts';
import { parentLayer, publish } from './transaction.ts';
import { dressRoot, makeUpper, type RootAttributes, rootOfUpper } from './upper-root.ts';

/** Bytes a container takes at least. */
export const NEW_CONTAINER = 4096;

export interface NewContainer {
  /** Random where absent. */
  id?: string;
  name?: string;
  parent?: LayerId;
  /** The container it is to stand on, instead of on a layer. */
  on?: string;
  /** `parent` is all of it, and it isn't to be written to. */
  sealed?: boolean;
  /** Id of the image `parent` is the top layer of. */
  image?: string;
  labels?: Labels;
  /** What its root directory is, where it isn't as that of what it stands on. */
  root?: RootAttributes;
}

export interface Container extends ContainerRecord {
  /** Absolute path of the upper directory. */
  diff: string;
  /** Absolute path of the directory copy-ups are built in. */
  work: string;
}

export function withPaths(state: StoreState, record: ContainerRecord): Container {
  const directory = state.paths.layer(record.number);
  return { ...record, diff: join(directory, 'diff'), work: join(directory, 'work') };
}

export async function createContainer(state: StoreState, options: NewContainer): Promise<Container> {
  const id = checkContainerId(options.id ?? randomBytes(32).toString('hex'));
  const { name, image, labels = {} } = options;
  if (name !== undefined) checkContainerId(name, 'the name of a container');
  return await state.serially(async () => {
    for (const taken of state.table.containers()) {
      if (taken.id === id) throw new UfsError('UFS_CONTAINER_EXISTS', `Cannot create container "${id}": there is one of that id`);
      if (name !== undefined && taken.name === name) throw new UfsError('UFS_CONTAINER_EXISTS', `Cannot create container "${name}": there is one of that name`);
    }
    const below = options.on === undefined ? undefined : state.table.findContainer(options.on);
    const parent = parentLayer(state, options.parent);
    state.pool.require(NEW_CONTAINER, `create container "${name ?? id}"`);
    const number = state.nextNumber++;
    const record: ContainerRecord = { kind: 'container', number, id, name, parent: parent?.id, ...(below === undefined ? {} : { on: below.id }), image, created: new Date().toISOString(), labels, ...(options.sealed === true ? { sealed: parent?.id } : {}) };
    const staged = state.paths.staged(number);
    makeDirectory(staged);
    try {
      makeDirectory(join(staged, 'work'));
      makeUpper(join(staged, 'diff'), below === undefined ? parent && treeOf(parent, state.reader).root : rootOfUpper(withPaths(state, below).diff));
      if (options.root !== undefined) dressRoot(join(staged, 'diff'), options.root);
      await publish(state, staged, record, [], { sync: syncNew });
    } catch (error) {
      if (existsSync(staged)) renameSync(staged, state.paths.trashed(number));
      throw error;
    }
    await countUpper(state, record);
    return withPaths(state, record);
  });
}

/** A new container is four inodes: they are synced by themselves, for who starts one isn't to wait until all that others wrote is on disk. */
function syncNew(staged: string): void {
  syncFile(manifestPath(staged));
  for (const path of [join(staged, 'diff'), join(staged, 'work'), staged]) syncDirectory(path);
}

/** Gives a container other labels, and another id, at one instant; its files stay where they are. UFS_CONTAINER_EXISTS; UFS_CONTAINER_IN_USE where another stands on one that is to have another id. */
export async function relabelContainer(state: StoreState, id: string, labels: Labels, newId = id): Promise<void> {
  checkContainerId(newId);
  await state.serially(async () => {
    const record = state.table.findContainer(id);
    const changed: ContainerRecord = { ...record, id: newId, labels };
    if (newId === id) return writeRecord(state, changed);
    if (state.table.container(newId) !== undefined) throw new UfsError('UFS_CONTAINER_EXISTS', `Cannot call container "${id}" otherwise: there is one called "${newId}"`);
    if (state.table.containers().some(({ on }) => on === record.id)) throw new UfsError('UFS_CONTAINER_IN_USE', `Cannot call container "${id}" otherwise: another stands on it`);
    state.step('rename');
    writeRecord(state, changed, () => state.table.delete(record));
    state.step('renamed');
    await state.index.write([putLayer(record.number, layerNote(changed))]);
  });
}

/** `written`: what is to be done before it is what others see. */
function writeRecord(state: StoreState, record: ContainerRecord, written: () => void = () => undefined): void {
  const aside = join(state.paths.staging, `manifest-${record.number}`);
  rmSync(aside, { force: true });
  replaceFile(manifestPath(state.paths.layer(record.number)), encodeManifest(record), aside);
  written();
  state.table.add(record);
}

export async function removeContainer(state: StoreState, idOrName: string): Promise<void> {
  await state.serially(async () => {
    const record = state.table.findContainer(idOrName);
    const above = state.table.containers().find(({ on }) => on === record.id);
    if (above !== undefined) throw new UfsError('UFS_CONTAINER_IN_USE', `Cannot remove container "${record.name ?? record.id}": container "${above.name ?? above.id}" stands on it`);
    await discard(state, [record]);
  });
}

/** Says that a container was begun to be filled. */
export function fillingMark(directory: string): string {
  return join(directory, 'filling');
}

/**
 * Marks a container as one that is being filled, which happens once: a second attempt may be with a part of what the first one should have had. UFS_LAYER_EXISTS.
 */
export function beginFilling(state: StoreState, record: ContainerRecord): void {
  const mark = fillingMark(state.paths.layer(record.number));
  try {
    writeNewFile(mark, '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new UfsError('UFS_LAYER_EXISTS', `Cannot fill "${record.id}": that was begun before; it has to be made anew`, { cause: error });
  }
}

/** Whether filling a container was begun, and hasn't made a layer of it. */
export function isFilling(state: StoreState, record: ContainerRecord): boolean {
  return record.sealed === undefined && existsSync(join(state.paths.layer(record.number), 'filling'));
}

/** What a container stands on: a layer (or nothing), and the containers on that, bottom first. */
export function belowContainer(state: StoreState, record: ContainerRecord): { layer: LayerId | undefined; containers: Container[] } {
  const containers: Container[] = [];
  let bottom = record;
  while (bottom.on !== undefined) {
    bottom = state.table.findContainer(bottom.on);
    containers.unshift(withPaths(state, bottom));
  }
  return { layer: bottom.parent, containers };
}

/**
 * Notes the layer that was made of a container. Where nothing stands on the container itself, and it isn't mounted, it needs its own files no more: they are removed, and it stands on that
 * layer.
 */
export async function sealContainer(state: StoreState, id: string, layer: LayerId, { mounted }: { mounted: boolean }): Promise<void> {
  await state.serially(async () => {
    const record = state.table.findContainer(id);
    const { on, ...rest } = record;
    const used = mounted || state.table.containers().some((other) => other.on === record.id);
    const sealed: ContainerRecord = used ? { ...record, sealed: layer } : { ...rest, parent: layer, sealed: layer };
    const directory = state.paths.layer(record.number);
    writeRecord(state, sealed);
    if (used) return;
    for (const name of ['diff', 'work']) {
      renameSync(join(directory, name), state.paths.trashed(`${name}-${record.number}`));
      mkdirSync(join(directory, name), 0o755);
    }
    await countUpper(state, sealed);
  });
}
