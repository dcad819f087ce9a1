import type { Level } from 'level';
import { UfsError } from '../errors.ts';
import type { ContentSize } from './content-size.ts';
import type { ObjectKey } from '../tree/entry.ts';
import { objectKey } from './directory-object.ts';

/**
 * The index: a LevelDB that answers fast what the layers' own files say. Keys are text, values bytes:
 *
 *     uuid              the store's
 *     last-number       the greatest a layer or container ever had
 *     content-size      what the files of all content take, JSON
 *     layer/<number>    id and root object: this layer's objects are counted in here
 *     object/<sha256>   u32 in how many layers' `objects` it stands, then its bytes
 *     content/<sha256>  the number of a layer that has this content
 *
 * LevelDB isn't trusted: it opens without a word after losing batches, so whoever opens it compares the layers with their manifests.
 */
const UUID_KEY = 'uuid';
const LAST_NUMBER_KEY = 'last-number';
const CONTENT_SIZE_KEY = 'content-size';
const COUNT_SIZE = 4;

type Database = Level<string, Buffer>;
export type IndexOperation = { type: 'put'; key: string; value: Buffer } | { type: 'del'; key: string };

export class IndexDatabase {
  readonly #database: Database;
  readonly #path: string;

  private constructor(database: Database, path: string) {
    this.#database = database;
    this.#path = path;
  }

  /** A new, empty index. */
  static async create(path: string, uuid: string): Promise<IndexDatabase> {
    const database = await connect(path, { createIfMissing: true, errorIfExists: true });
    await database.put(UUID_KEY, Buffer.from(uuid), { sync: true } as object);
    return new IndexDatabase(database, path);
  }

  /** The index that should be there: never made anew here, because an empty one would pass for a store that lost everything. */
  static async open(path: string, uuid: string): Promise<IndexDatabase> {
    const database = await connect(path, { createIfMissing: false });
    const index = new IndexDatabase(database, path);
    try {
      const found = index.#get(UUID_KEY)?.toString();
      if (found !== uuid) throw damaged(path, found === undefined ? 'it has lost its identity' : `it belongs to another store (${found})`);
      return index;
    } catch (error) {
      await index.close();
      throw error;
    }
  }

  #get(key: string): Buffer | undefined {
    try {
      return this.#database.getSync(key);
    } catch (cause) {
      throw damaged(this.#path, `"${key}" can't be read: ${reason(cause)}`, cause);
    }
  }

  /** An object's bytes, verified. */
  object(key: ObjectKey): Buffer {
    const value = this.#get(`object/${key}`);
    if (value === undefined) throw damaged(this.#path, `object ${key} is missing`);
    const bytes = value.subarray(COUNT_SIZE);
    if (objectKey(bytes) !== key) throw damaged(this.#path, `object ${key} has changed`);
    return bytes;
  }

  /** In how many layers' objects it stands; 0 where it isn't here or can't be right. */
  objectCount(key: ObjectKey): number {
    const value = this.#get(`object/${key}`);
    return value === undefined || value.length < COUNT_SIZE ? 0 : value.readUInt32LE(0);
  }

  contentLayer(digest: string): number | undefined {
    const value = this.#get(`content/${digest}`);
    return value === undefined ? undefined : Number(value.toString());
  }

  /** 0 where none was noted yet. */
  lastNumber(): number {
    return Number(this.#get(LAST_NUMBER_KEY)?.toString() ?? 0);
  }

  /** undefined where it has to be counted. */
  contentSize(): ContentSize | undefined {
    const value = this.#get(CONTENT_SIZE_KEY)?.toString();
    return value === undefined ? undefined : (JSON.parse(value) as ContentSize);
  }

  /** What `putLayer` noted of each layer, by number. */
  async layers(): Promise<Map<number, string>> {
    const layers = new Map<number, string>();
    try {
      for await (const [key, value] of this.#database.iterator({ gt: 'layer/', lt: 'layer0' })) {
        layers.set(Number(key.slice('layer/'.length)), value.toString());
      }
    } catch (cause) {
      throw damaged(this.#path, reason(cause), cause);
    }
    return layers;
  }

  /** All or nothing, and on disk when the promise is kept. */
  async write(operations: IndexOperation[]): Promise<void> {
    try {
      await this.#database.batch(operations, { sync: true } as object);
    } catch (cause) {
      throw new UfsError('UFS_STORE_WRITE', `Cannot write to the index ${this.#path}: ${reason(cause)}`, { cause });
    }
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}

export function putObject(key: ObjectKey, bytes: Buffer, count: number): IndexOperation {
  const value = Buffer.allocUnsafe(COUNT_SIZE + bytes.length);
  value.writeUInt32LE(count, 0);
  bytes.copy(value, COUNT_SIZE);
  return { type: 'put', key: `object/${key}`, value };
}

export function deleteObject(key: ObjectKey): IndexOperation {
  return { type: 'del', key: `object/${key}` };
}

export function putLayer(number: number, note: string): IndexOperation {
  return { type: 'put', key: `layer/${number}`, value: Buffer.from(note) };
}

export function deleteLayer(number: number): IndexOperation {
  return { type: 'del', key: `layer/${number}` };
}

export function putLastNumber(number: number): IndexOperation {
  return { type: 'put', key: LAST_NUMBER_KEY, value: Buffer.from(String(number)) };
}

export function putContentSize(size: ContentSize): IndexOperation {
  return { type: 'put', key: CONTENT_SIZE_KEY, value: Buffer.from(JSON.stringify(size)) };
}

export function putContent(digest: string, layer: number): IndexOperation {
  return { type: 'put', key: `content/${digest}`, value: Buffer.from(String(layer)) };
}

export function deleteContent(digest: string): IndexOperation {
  return { type: 'del', key: `content/${digest}` };
}

async function connect(path: string, options: { createIfMissing: boolean; errorIfExists?: boolean }): Promise<Database> {
  // Loaded where it is used: mounts of plain directories start sooner.
  const level = await import('level');
  // multithreading: worker threads that serve mounts open the same database.
  const database: Database = new level.Level(path, { keyEncoding: 'utf8', valueEncoding: 'buffer', multithreading: true, ...options } as object);
  try {
    await database.open();
    return database;
  } catch (cause) {
    if (((cause as Error).cause as { code?: string } | undefined)?.code === 'LEVEL_LOCKED') {
      throw new UfsError('UFS_STORE_LOCKED', `Cannot open the index ${path}: another process has it open`, { cause });
    }
    throw damaged(path, reason(cause), cause);
  }
}

function reason(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message : message;
}

export function damaged(path: string, what: string, cause?: unknown): UfsError {
  return new UfsError('UFS_INDEX_DAMAGED', `Cannot use the index ${path}: ${what}; "ufs check --rebuild" makes it anew from the layers`, { cause });
}
