import { FsError } from '../errno.ts';
import { ROOT_ID, type Caller, type FileSystem } from '../file-system.ts';
import { nameFromText, type Name } from '../name.ts';
import { isDirectory, type Stat } from '../stat.ts';
import { Directories, type Directory } from './fuse-native-directories.ts';

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
 * Nodes by their paths. Every operation runs in `within`, and what it finds is held until it ends: each lookup counts, and is forgotten then, but for
 * directories, some of which stay. Files that were removed while open have no name, but libfuse goes on asking by the one it made up: they are held here (`hide`) until they are released.
 */
export class Paths {
  readonly #fileSystem: FileSystem;
  readonly #caller: Caller;
  readonly #hidden = new Map<Name, number>();
  readonly #directories: Directories;

  constructor(fileSystem: FileSystem, caller: Caller) {
    this.#fileSystem = fileSystem;
    this.#caller = caller;
    this.#directories = new Directories((id) => fileSystem.forget(id, 1));
  }

  /** Runs an operation, then forgets what it looked up. */
  async within<T>(operation: (lookup: Lookup) => Promise<T>): Promise<T> {
    const lookup = new Lookup(this.#fileSystem, this.#caller, this.#hidden, this.#directories);
    try {
      return await operation(lookup);
    } finally {
      lookup.forget();
    }
  }

  /** What was at a path isn't there any more. */
  moved(path: string): void {
    this.#directories.drop(components(path).join('/'));
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
  readonly #directories: Directories;
  readonly #held: number[] = [];
  readonly #used: Directory[] = [];

  constructor(fileSystem: FileSystem, caller: Caller, hidden: ReadonlyMap<Name, number>, directories: Directories) {
    this.#fileSystem = fileSystem;
    this.#caller = caller;
    this.#hidden = hidden;
    this.#directories = directories;
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
    for (const directory of this.#used.splice(0)) this.#directories.done(directory);
  }

  async #walk(names: readonly Name[], path: string): Promise<Found> {
    const hidden = this.#hidden.size === 0 ? undefined : this.#hidden.get(names.at(-1) ?? '');
    if (hidden !== undefined) return { id: hidden, stat: undefined };
    let { found, depth } = this.#start(names);
    for (; depth < names.length; depth += 1) {
      const answer = this.#fileSystem.lookup(this.#caller, found.id, names[depth]);
      const next = answer instanceof Promise ? await answer : answer;
      if (next === undefined) throw new FsError('ENOENT', `Cannot find "${path}"`);
      if (isDirectory(next.stat)) this.#used.push(this.#directories.keep(names.slice(0, depth + 1).join('/'), next.id));
      else this.#held.push(next.id);
      found = next;
    }
    return found;
  }

  /** How far a path is known: all of it, all but its last name, or the root. */
  #start(names: readonly Name[]): { found: Found; depth: number } {
    for (const depth of [names.length, names.length - 1]) {
      const directory = depth <= 0 ? undefined : this.#directories.use(names.slice(0, depth).join('/'));
      if (directory === undefined) continue;
      this.#used.push(directory);
      return { found: { id: directory.id, stat: undefined }, depth };
    }
    return { found: { id: ROOT_ID, stat: undefined }, depth: 0 };
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
