import { FsError } from '../errno.ts';
import { ROOT_ID, type Caller, type FileSystem } from '../file-system.ts';
import { nameFromText, type Name } from '../name.ts';
import type { Stat } from '../stat.ts';

/** What libfuse renames a file to that is removed while it is open: a name it makes up, no other file of the mount ever has it. */
const HIDDEN = /^\.fuse_hidden[0-9a-f]{16}$/;

/** A node a path leads to. */
export interface Found {
  id: number;
  /** As the last lookup told it; undefined for the root and for what has no name any more. */
  stat: Stat | undefined;
}

/** The directory a path's last name is in. */
export interface Place {
  parent: number;
  name: Name;
}

/**
 * Nodes by their paths. Every operation gets `Paths.within`, and what it finds is held until it ends: each lookup counts, and is forgotten then.
 * Files that were removed while open have no name, but libfuse goes on asking by the one it made up: they are held here (`hide`) until they are released.
 */
export class Paths {
  readonly #fileSystem: FileSystem;
  readonly #caller: Caller;
  readonly #hidden = new Map<Name, number>();

  constructor(fileSystem: FileSystem, caller: Caller) {
    this.#fileSystem = fileSystem;
    this.#caller = caller;
  }

  /** Runs an operation, then forgets what it looked up. */
  async within<T>(operation: (lookup: Lookup) => Promise<T>): Promise<T> {
    const lookup = new Lookup(this.#fileSystem, this.#caller, this.#hidden);
    try {
      return await operation(lookup);
    } finally {
      lookup.forget();
    }
  }

  /** Keeps a node (one lookup of it) under the name that libfuse made up. */
  hide(name: Name, id: number): void {
    this.#hidden.set(name, id);
  }

  /** Lets go of a node that `hide` kept. */
  reveal(id: number): void {
    for (const [name, hidden] of this.#hidden) {
      if (hidden !== id) continue;
      this.#hidden.delete(name);
      this.#fileSystem.forget(id, 1);
    }
  }
}

/** What one operation looks up. */
export class Lookup {
  readonly #fileSystem: FileSystem;
  readonly #caller: Caller;
  readonly #hidden: ReadonlyMap<Name, number>;
  #held: number[] = [];

  constructor(fileSystem: FileSystem, caller: Caller, hidden: ReadonlyMap<Name, number>) {
    this.#fileSystem = fileSystem;
    this.#caller = caller;
    this.#hidden = hidden;
  }

  /** The node of a path; ENOENT where there is none. */
  async find(path: string): Promise<Found> {
    return await this.#walk(components(path), path);
  }

  /** The directory of a path's last name, whether that exists or not. */
  async place(path: string): Promise<Place> {
    const names = components(path);
    const name = names.pop();
    if (name === undefined) throw new FsError('EBUSY', 'Cannot change the root of a mount');
    return { parent: (await this.#walk(names, path)).id, name };
  }

  /** Holds a node that an operation was given with one lookup. */
  hold(id: number): void {
    this.#held.push(id);
  }

  /** Takes over one lookup of a node, which whoever calls forgets later; false where there is none. */
  keep(id: number): boolean {
    const index = this.#held.indexOf(id);
    if (index !== -1) this.#held.splice(index, 1);
    return index !== -1;
  }

  forget(): void {
    for (const id of this.#held.splice(0)) this.#fileSystem.forget(id, 1);
  }

  async #walk(names: readonly Name[], path: string): Promise<Found> {
    const hidden = this.#hidden.size === 0 ? undefined : this.#hidden.get(names.at(-1) ?? '');
    if (hidden !== undefined) return { id: hidden, stat: undefined };
    let found: Found = { id: ROOT_ID, stat: undefined };
    for (const name of names) {
      const answer = this.#fileSystem.lookup(this.#caller, found.id, name);
      const next = answer instanceof Promise ? await answer : answer;
      if (next === undefined) throw new FsError('ENOENT', `Cannot find "${path}"`);
      this.#held.push(next.id);
      found = next;
    }
    return found;
  }
}

/** True for a name libfuse gives what is removed while open. */
export function isHiddenName(name: Name): boolean {
  return HIDDEN.test(name);
}

/** A text fuse-native hands over, as bytes. What wasn't UTF-8 has lost them. */
export function bytesOf(text: string): Name {
  if (text.includes('\ufffd')) throw new FsError('EILSEQ', `Cannot use the name "${text}" through fuse-native: it isn't UTF-8`);
  return nameFromText(text);
}

function components(path: string): Name[] {
  return bytesOf(path).split('/').filter((name) => name !== '');
}
