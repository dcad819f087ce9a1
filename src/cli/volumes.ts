import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import { CountedMounts, type Mounting } from '../graph/mounts.ts';
import { Volumes } from '../graph/volumes.ts';
import { MountClient } from '../mount/mount-client.ts';
import { replaceFile } from '../store/durable.ts';
import type { Store } from '../store/store.ts';
import { connectToListener } from '../unix-socket.ts';
import type { Context } from './context.ts';
import { flushContainer } from './mounted.ts';

/** Where mounts that outlive the process are served, and what is mounted is found. */
export interface RunDirectory {
  directory: string;
  client: MountClient;
}

/** A client of the process that serves the mounts of a run directory. */
export async function openMountClient(store: Store, directory: string, log: (message: string) => void): Promise<MountClient> {
  return await MountClient.open({ socket: mountSocket(directory), serves: store.root, logFile: join(store.root, 'mounts.log'), log });
}

/**
 * The volumes of a store. Their mounts are served by the process of a run directory, whose place the store remembers; where none is given, and that one has ended, by this process.
 */
export async function openVolumes(context: Context, given: RunDirectory | undefined, log: (message: string) => void): Promise<Volumes> {
  const store = await context.store({ create: true });
  if (given !== undefined) remember(store, given.directory);
  const run = given ?? (await remembered(context, store, log));
  const { directory, mounting }: { directory: string; mounting: Mounting } = run === undefined ? { directory: join(store.root, 'run'), mounting: context.mounter } : { directory: run.directory, mounting: run.client };
  return await Volumes.open({
    store, log, holdersFile: join(directory, 'volume-holders.json'),
    mounts: new CountedMounts({ directory: join(directory, 'volumes'), client: mounting, log }),
    flush: (container) => flushContainer(context, container),
  });
}

/** The run directory that was served last, if its mounts are still served. */
async function remembered(context: Context, store: Store, log: (message: string) => void): Promise<RunDirectory | undefined> {
  const file = rememberedFile(store);
  if (!existsSync(file)) return undefined;
  const { runDirectory: directory } = JSON.parse(readFileSync(file, 'utf8')) as { runDirectory: string };
  const socket = await connectToListener(mountSocket(directory), { name: 'the mount server', code: 'UFS_MOUNT' });
  if (socket === undefined) return undefined;
  socket.destroy();
  try {
    const client = await openMountClient(store, directory, log);
    context.kept.push(client);
    return { directory, client };
  } catch (error) {
    // By now it serves another store.
    if (hasCode(error, 'UFS_STORE_IN_USE')) return undefined;
    throw error;
  }
}

function remember(store: Store, runDirectory: string): void {
  const file = rememberedFile(store);
  rmSync(`${file}.new`, { force: true });
  replaceFile(file, `${JSON.stringify({ runDirectory })}\n`, `${file}.new`);
}

function rememberedFile(store: Store): string {
  return join(store.root, 'volumes.json');
}

function mountSocket(directory: string): string {
  return join(directory, 'mounts.sock');
}
