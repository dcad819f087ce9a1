import type { Name } from '../../fs/name.ts';
import type { Entry, ObjectKey, TreeReader } from '../tree/entry.ts';
import { decodeLinks, Directory } from './directory-object.ts';

/** Bytes of decoded directories kept, by their `weight`. */
const CACHE_LIMIT = 128 * 1024 * 1024;
const NO_LINKS: ReadonlyMap<string, number> = new Map();

/** Reads directory objects, each verified and decoded once as long as it stays among the last ones used. */
export class ObjectReader implements TreeReader {
  readonly #read: (key: ObjectKey) => Buffer;
  readonly #limit: number;
  /** Least recently used first. */
  readonly #directories = new Map<ObjectKey, Directory>();
  readonly #links = new Map<ObjectKey, ReadonlyMap<string, number>>();
  #weight = 0;

  /** `read` gives an object's verified bytes. */
  constructor(read: (key: ObjectKey) => Buffer, limit = CACHE_LIMIT) {
    this.#read = read;
    this.#limit = limit;
  }

  directory(key: ObjectKey): Directory {
    const known = this.#directories.get(key);
    if (known !== undefined) {
      this.#directories.delete(key);
      this.#directories.set(key, known);
      return known;
    }
    const directory = new Directory(this.#read(key));
    this.#directories.set(key, directory);
    this.#weight += directory.weight;
    for (const [oldest, { weight }] of this.#directories) {
      if (this.#weight <= this.#limit || oldest === key) break;
      this.#directories.delete(oldest);
      this.#weight -= weight;
    }
    return directory;
  }

  lookup(directory: Entry, name: Name): Entry | undefined {
    return directory.object === undefined ? undefined : this.directory(directory.object).find(name);
  }

  list(directory: Entry): readonly Entry[] {
    return directory.object === undefined ? [] : this.directory(directory.object).entries();
  }

  links(key: ObjectKey | undefined): ReadonlyMap<string, number> {
    if (key === undefined) return NO_LINKS;
    let links = this.#links.get(key);
    if (links === undefined) this.#links.set(key, (links = decodeLinks(this.#read(key))));
    return links;
  }
}
