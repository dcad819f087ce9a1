import { createHash } from 'node:crypto';
import { attempt, hasCode } from '../errno.ts';
import type { Name } from '../name.ts';
import { close, linkFd, openAt, readlinkAt, renameAt, statAt, statOrUndefined, unlinkAt } from '../host/at.ts';
import { O_DIRECTORY, O_PATH } from '../host/constants.ts';
import { listDirectory } from '../host/directory.ts';
import { mkdirAt, symlinkAt } from '../host/make.ts';

/** In a work directory. Not overlayfs's own name: it mounts nothing over an index it can't read. */
export const LINK_INDEX = 'ufs_index';
const LEFT = '.left';
/** Bytes: longer ones don't fit the symlinks of every file system. */
const LONGEST_NOTE = 1000;

/**
 * What an upper directory remembers of lower files with several names, in `ufs_index` in its work directory, by a hash of the file's identity: KEY is one more
 * link of the upper inode the file was copied to, so that all names find it; KEY.left is a symlink to a number, how many names are still only in the lower.
 * The key of a file that is in neither has all its names in the lower. "NUMBER PATH" stands there while a name is taken from the lower: it is one more as
 * long as the upper has nothing at that path, so that a process killed there has counted right.
 */
export class LinkIndex {
  readonly directory: number;
  readonly #linked = new Set<Name>();
  readonly #left = new Map<Name, number>();

  /**
   * `work` holds the index, which is made if need be; where it can't be (`readOnly`), the index is empty. `covers`: whether the upper has something at a
   * path, be it a whiteout.
   */
  constructor(work: number, how: { readOnly: boolean; covers: (path: Name) => boolean }) {
    if (!how.readOnly) {
      try {
        mkdirAt(work, LINK_INDEX, 0o700);
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error;
      }
    } else if (statOrUndefined(work, LINK_INDEX) === undefined) {
      this.directory = -1;
      return;
    }
    this.directory = openAt(work, LINK_INDEX, O_PATH | O_DIRECTORY);
    for (const { name } of listDirectory(this.directory)) {
      if (!name.endsWith(LEFT)) this.#linked.add(name);
      else if (!name.startsWith('#')) this.#left.set(name.slice(0, -LEFT.length), this.#readLeft(name, how.covers));
    }
  }

  static key(identity: string): Name {
    return createHash('sha256').update(identity).digest('hex').slice(0, 40);
  }

  get isEmpty(): boolean {
    return this.#linked.size === 0 && this.#left.size === 0;
  }

  has(key: Name): boolean {
    return this.#linked.has(key);
  }

  /** Names that are only in the lower; undefined where that is all of them. */
  left(key: Name): number | undefined {
    return this.#left.get(key);
  }

  /** All names of a file, of which `left` are only in the lower, are found by this link from now on. */
  add(key: Name, fd: number, left: number): void {
    if (this.#left.get(key) !== left) this.#writeLeft(key, left, String(left));
    makeAnew(() => linkFd(fd, this.directory, key), () => unlinkAt(this.directory, key));
    this.#linked.add(key);
  }

  /** Undoes `add` of a copy-up that failed; the count is right without the link, too. */
  takeBack(key: Name): void {
    if (this.#linked.delete(key)) attempt(() => unlinkAt(this.directory, key));
  }

  /** Takes one of the `left` names of a file from the lower: `act` makes the upper have something at its path. */
  take(key: Name, left: number, path: Name, act: () => void): void {
    this.#writeLeft(key, left, path.length > LONGEST_NOTE ? String(left - 1) : `${left - 1} ${path}`);
    try {
      act();
    } catch (error) {
      attempt(() => this.#writeLeft(key, left, String(left)));
      throw error;
    }
    this.#left.set(key, left - 1);
    // The note says the same as long as the path is there.
    attempt(() => this.#writeLeft(key, left - 1, String(left - 1)));
  }

  #writeLeft(key: Name, left: number, text: Name): void {
    const temporary = `#${key}${LEFT}`;
    makeAnew(() => symlinkAt(text, this.directory, temporary), () => unlinkAt(this.directory, temporary));
    try {
      renameAt(this.directory, temporary, this.directory, key + LEFT);
    } catch (error) {
      attempt(() => unlinkAt(this.directory, temporary));
      throw error;
    }
    this.#left.set(key, left);
  }

  #readLeft(name: Name, covers: (path: Name) => boolean): number {
    const text = readlinkAt(this.directory, name);
    const space = text.indexOf(' ');
    return space === -1 ? Number(text) : Number(text.slice(0, space)) + (covers(text.slice(space + 1)) ? 0 : 1);
  }

  /** Once no name is left: the inode goes with its last descriptor. Failing that, the next mount does it. */
  drop(key: Name): void {
    if (this.#linked.delete(key)) attempt(() => unlinkAt(this.directory, key));
    if (this.#left.delete(key)) attempt(() => unlinkAt(this.directory, key + LEFT));
  }

  /** Takes out files no other name is left of (a crash came between the removals), and counts that were being written. */
  sweep(): void {
    for (const [key, left] of [...this.#left]) {
      if (left === 0 && (!this.#linked.has(key) || statAt(this.directory, key).nlink === 1)) this.drop(key);
    }
    for (const { name } of listDirectory(this.directory)) if (name.startsWith('#')) unlinkAt(this.directory, name);
  }

  close(): void {
    if (this.directory !== -1) close(this.directory);
  }
}

/** Makes something under a name; what a call that failed left there is removed first. */
function makeAnew(make: () => void, remove: () => void): void {
  try {
    make();
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    remove();
    make();
  }
}
