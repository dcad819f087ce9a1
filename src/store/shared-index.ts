import { IndexDatabase } from './index-database.ts';
import { ObjectReader } from './object-reader.ts';

/** The index of a store as all layers open in a thread have it: the directories of images that share layers are in memory once, and all of them have one limit. */
export interface SharedIndex {
  readonly index: IndexDatabase;
  readonly reader: ObjectReader;
  /** The last user's closes it. */
  close(): Promise<void>;
}

interface Opened {
  index: Promise<IndexDatabase>;
  reader: Promise<ObjectReader>;
  users: number;
}

/** By path and identity: a store may have been removed, and another made in its place. */
const opened = new Map<string, Opened>();

/** Opens the index of a store, or gives what this thread has open already. */
export async function openSharedIndex(path: string, uuid: string): Promise<SharedIndex> {
  const key = `${uuid} ${path}`;
  let shared = opened.get(key);
  if (shared === undefined) {
    const index = IndexDatabase.open(path, uuid);
    shared = { index, reader: index.then((open) => new ObjectReader((object) => open.object(object))), users: 0 };
    opened.set(key, shared);
  }
  const { index, reader } = shared;
  shared.users += 1;
  const leave = (): boolean => {
    shared.users -= 1;
    return shared.users === 0 && opened.delete(key);
  };
  try {
    const open = await index;
    return { index: open, reader: await reader, close: async () => { if (leave()) await open.close(); } };
  } catch (error) {
    leave();
    throw error;
  }
}
