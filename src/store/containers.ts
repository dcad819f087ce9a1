import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { utimensAt } from '../../fs/host/attributes.ts';
import { AT_FDCWD } from '../../fs/host/constants.ts';
import { nameFromText } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';
import { makeDirectory } from './durable.ts';
import { checkContainerId, type LayerId } from './layer-id.ts';
import type { ContainerRecord, Labels } from './records.ts';
import { discard } from './removal.ts';
import { treeOf, type StoreState } from './state.ts';
import { parentLayer, publish } from './transaction.ts';

export interface NewContainer {
  /** Random where absent. */
  id?: string;
  name?: string;
  parent?: LayerId;
  /** Id of the image `parent` is the top layer of. */
  image?: string;
  labels?: Labels;
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
    const parent = parentLayer(state, options.parent);
    const number = state.nextNumber++;
    const record: ContainerRecord = { kind: 'container', number, id, name, parent: parent?.id, image, created: new Date().toISOString(), labels };
    const staged = state.paths.staged(number);
    makeDirectory(staged);
    try {
      makeDirectory(join(staged, 'work'));
      makeUpper(join(staged, 'diff'), parent && treeOf(parent, state.reader).root);
      await publish(state, staged, record, []);
    } catch (error) {
      if (existsSync(staged)) renameSync(staged, state.paths.trashed(number));
      throw error;
    }
    return withPaths(state, record);
  });
}

/** The upper's own directory shows as the root of what is mounted, so it looks like the root below it as far as our rights go. */
function makeUpper(path: string, root: { mode: number; uid: number; gid: number; mtimeSec: number; mtimeNsec: number } | undefined): void {
  mkdirSync(path);
  if (root !== undefined) {
    try {
      chownSync(path, root.uid, root.gid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPERM' && (error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    }
    const time = { sec: root.mtimeSec, nsec: root.mtimeNsec };
    utimensAt(AT_FDCWD, nameFromText(path), time, time);
  }
  // After the owner: chown(2) clears setuid and setgid.
  chmodSync(path, root === undefined ? 0o755 : root.mode & 0o7777);
}

export async function removeContainer(state: StoreState, idOrName: string): Promise<void> {
  await state.serially(async () => {
    await discard(state, [state.table.findContainer(idOrName)]);
  });
}
