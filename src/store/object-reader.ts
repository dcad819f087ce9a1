import type { Name } from '../../fs/name.ts';
import type { Entry, ObjectKey, TreeReader } from '../tree/entry.ts';
import { decodeLinks, Directory } from './directory-object.ts';

/** Bytes of memory for what is kept. */
const CACHE_LIMIT = 64 * 1024 * 1024;
/** Bytes of memory a link count takes: its key as text, and its place in a map. */
const LINK_MEMORY = 100;
const NO_LINKS: ReadonlyMap<string, number> = new Map();

interface Links {
  readonly counts: ReadonlyMap<string, number>;
  readonly weight: number;
}

/** Reads directory objects, each verified and decoded once as long as it stays among the last ones used. */
export class ObjectReader implements TreeReader {
  readonly #read: (key: ObjectKey) => Buffer;
  readonly #limit: number;
  /** In the order of use, least recent first. */
  readonly #kept = new Map<ObjectKey, Directory | Links>();
  #weight = 0;

  /** `read` gives an object's verified bytes. `limit`: bytes of memory for decoded objects. */
  constructor(read: (key: ObjectKey) => Buffer, limit = CACHE_LIMIT) {
    this.#read = read;
    this.#limit = limit;
  }

  /** Bytes of memory that what is kept takes: at most the limit, or just one object. */
  get weight(): number {
    return this.#weight;
  }

  directory(key: ObjectKey): Directory {
    return this.#get(key, (bytes) => new Directory(bytes));
  }

  lookup(directory: Entry, name: Name): Entry | undefined {
    return directory.object === undefined ? undefined : this.directory(directory.object).find(name);
  }

  list(directory: Entry): readonly Entry[] {
    return directory.object === undefined ? [] : this.directory(directory.object).entries();
  }

  links(key: ObjectKey | undefined): ReadonlyMap<string, number> {
    if (key === undefined) return NO_LINKS;
    return this.#get(key, (bytes): Links => {
      const counts = decodeLinks(bytes);
      return { counts, weight: counts.size * LINK_MEMORY };
    }).counts;
  }

  /** An object is always decoded as the same: its first byte says what it is. */
  #get<T extends Directory | Links>(key: ObjectKey, decode: (bytes: Buffer) => T): T {
    const known = this.#kept.get(key) as T | undefined;
    if (known !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known;
    }
    const object = decode(this.#read(key));
    this.#kept.set(key, object);
    this.#weight += object.weight;
    for (const [oldest, { weight }] of this.#kept) {
      if (this.#weight <= this.#limit || oldest === key) break;
      this.#kept.delete(oldest);
      this.#weight -= weight;
    }
    return object;
  }
}
