import { createHash } from 'node:crypto';
import { hasCode } from '../errno.ts';
import type { Name } from '../name.ts';
import { close, linkFd, openAt, readlinkAt, renameAt, statAt, statOrUndefined, unlinkAt } from '../host/at.ts';
import { O_DIRECTORY, O_PATH } from '../host/constants.ts';
import { listDirectory } from '../host/directory.ts';
import { mkdirAt, symlinkAt } from '../host/make.ts';

const LEFT = '.left';

/**
 * What an upper directory remembers of lower files with several names, in `index` in its work directory, by a hash of the file's identity: KEY is one more
 * link of the upper inode the file was copied to, so that all names find it; KEY.left is a symlink to a number, how many names are still only in the lower.
 * The key of a file that is in neither has all its names in the lower.
 */
export class LinkIndex {
  readonly directory: number;
  readonly #linked = new Set<Name>();
  readonly #left = new Map<Name, number>();

  /** `work` holds the index, which is made if need be; where it can't be (`readOnly`), the index is empty. */
  constructor(work: number, how: { readOnly: boolean }) {
    if (!how.readOnly) {
      try {
        mkdirAt(work, 'index', 0o700);
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error;
      }
    } else if (statOrUndefined(work, 'index') === undefined) {
      this.directory = -1;
      return;
    }
    this.directory = openAt(work, 'index', O_PATH | O_DIRECTORY);
    for (const { name } of listDirectory(this.directory)) {
      if (!name.endsWith(LEFT)) this.#linked.add(name);
      else if (!name.startsWith('#')) this.#left.set(name.slice(0, -LEFT.length), Number(readlinkAt(this.directory, name)));
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

  add(key: Name, fd: number): void {
    linkFd(fd, this.directory, key);
    this.#linked.add(key);
  }

  setLeft(key: Name, count: number): void {
    const temporary = `#${key}${LEFT}`;
    try {
      symlinkAt(String(count), this.directory, temporary);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      unlinkAt(this.directory, temporary);
      symlinkAt(String(count), this.directory, temporary);
    }
    renameAt(this.directory, temporary, this.directory, key + LEFT);
    this.#left.set(key, count);
  }

  /** Undoes `add` and `setLeft` of a copy-up that failed. */
  takeBack(key: Name, left: number): void {
    if (this.#linked.delete(key)) unlinkAt(this.directory, key);
    if (this.#left.has(key)) this.setLeft(key, left);
  }

  /** Once no name is left: the inode goes with its last descriptor. */
  drop(key: Name): void {
    if (this.#linked.delete(key)) unlinkAt(this.directory, key);
    if (this.#left.delete(key)) unlinkAt(this.directory, key + LEFT);
  }

  /** Takes out files no other name is left of (a crash came between the two removals). */
  sweep(): void {
    for (const key of [...this.#linked]) {
      if (statAt(this.directory, key).nlink === 1 && this.#left.get(key) === 0) this.drop(key);
    }
  }

  close(): void {
    if (this.directory !== -1) close(this.directory);
  }
}
