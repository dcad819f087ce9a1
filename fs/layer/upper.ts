import { attempt, FsError, hasCode } from '../errno.ts';
import type { Name } from '../name.ts';
import { S_IFMT } from '../stat.ts';
import type { HostStat } from '../host/at.ts';
import { close, openAt, openPath, renameAt, reopen, rmdirAt, statAt, statOrUndefined, unlinkAt } from '../host/at.ts';
import { O_DIRECTORY, O_PATH, RENAME_EXCHANGE } from '../host/constants.ts';
import { listDirectory } from '../host/directory.ts';
import { lockDirectory } from './directory-lock.ts';
import { LinkIndex } from './link-index.ts';
import { withOwnerRights } from './owner-rights.ts';
import { isOpaqueDirectory, writableNamespace, writeMark, type XattrNamespace } from './overlay-xattr.ts';
import type { OwnersNamespace } from './override-stat.ts';
import { Owners } from './owners.ts';
import { AUFS_OPAQUE, AUFS_PREFIX, isAufsNoise, isWhiteout, isWhiteoutEntry, makeMark, makeWhiteout, probeSpelling, type WhiteoutSpelling } from './whiteout.ts';
import { canMark, emptyDirectory, openWork, removeTree } from './work-directory.ts';

/** What a directory of the upper says of itself. */
export interface DirectoryMarks {
  /** Nothing of the lower shows in it. */
  opaque: boolean;
  /** It may hold whiteouts that are regular files with an xattr. */
  whiteoutFiles: boolean;
  /** It holds ".wh." files. */
  aufs: boolean;
}

/** A name in a directory of the upper. `hides`: a directory that replaced what the lower has there. */
export type UpperFound = { at: 'file'; stat: HostStat; hides: boolean } | { at: 'whiteout'; spelling: WhiteoutSpelling } | { at: 'nothing' };

export interface UpperEntry {
  name: Name;
  /** S_IFMT bits; undefined for a whiteout. */
  type: number | undefined;
  ino: number;
}

/** How an upper directory is used. */
export interface UpperOptions {
  /** Only to look, also while another uses it: the work directory isn't emptied. */
  readOnly?: boolean;
  /** How to write whiteouts; else as the host allows. */
  whiteouts?: WhiteoutSpelling;
  /** Where to write marks; else in the trusted namespace if we may. */
  namespace?: XattrNamespace;
  /** Copy files up without data, where the host can hold the mark of such a copy. */
  metacopy?: boolean;
  /** New files have their owner, mode and type in xattrs, for hosts that let us give no file away. Where the directory's root has such an xattr, they have it anyway. */
  ownersInXattrs?: OwnersNamespace;
  /** Directories with a lower side can be renamed, which leaves a redirect. True unless told. */
  redirects?: boolean;
}

const NOTHING: UpperFound = { at: 'nothing' };

/** The writable directory of a union, in overlayfs's format, and the work directory beside it. Directories are given as descriptors. */
export class UpperTree {
  readonly root: number;
  /** Where things are built: on the same file system, emptied when a mount starts. */
  readonly work: number;
  readonly index: LinkIndex;
  readonly namespace: XattrNamespace;
  readonly spelling: WhiteoutSpelling;
  /** Files are copied up without their data where that will do. */
  readonly metacopy: boolean;
  readonly owners: Owners;
  readonly redirects: boolean;
  /** Descriptors that are open as long as this is; while they are, no other mount may use the directories. */
  readonly #open: number[] = [];
  #temporaries = 0;

  constructor(directory: Name | number, work: Name | number, how: UpperOptions = {}) {
    const open = (at: Name | number): number => this.#kept(typeof at === 'number' ? reopen(at, O_PATH | O_DIRECTORY) : openPath(at, O_PATH | O_DIRECTORY));
    try {
      this.root = open(directory);
      const outer = open(work);
      this.namespace = how.namespace ?? writableNamespace();
      this.redirects = how.redirects !== false;
      this.owners = new Owners(this.root, how.readOnly === true ? undefined : how.ownersInXattrs);
      if (how.readOnly === true) {
        this.work = outer;
        this.index = new LinkIndex(outer, { readOnly: true, covers: (path) => this.#covers(path) });
        this.spelling = 'device';
        this.metacopy = false;
      } else {
        this.#lock(outer, 'work directory');
        this.#lock(this.root, 'upper directory');
        this.work = this.#kept(openWork(outer));
        const [here, there] = [statAt(this.root, ''), statAt(this.work, '')];
        if (here.devMajor !== there.devMajor || here.devMinor !== there.devMinor) {
          throw new FsError('EXDEV', 'Cannot use the work directory: it must be on the file system of the upper directory');
        }
        emptyDirectory(this.work);
        this.index = new LinkIndex(outer, { readOnly: false, covers: (path) => this.#covers(path) });
        this.index.sweep();
        this.spelling = how.whiteouts ?? probeSpelling(this.work);
        this.metacopy = how.metacopy === true && canMark(this.work, this.namespace);
      }
    } catch (error) {
      this.#closeAll();
      throw error;
    }
  }

  readMarks(directory: number): DirectoryMarks {
    const marks: DirectoryMarks = { ...isOpaqueDirectory(directory), aufs: false };
    for (const { name } of withOwnerRights([directory], () => listDirectory(directory))) {
      if (!name.startsWith(AUFS_PREFIX)) continue;
      if (name === AUFS_OPAQUE) marks.opaque = true;
      else if (!isAufsNoise(name)) marks.aufs = true;
    }
    return marks;
  }

  find(directory: number, marks: DirectoryMarks, name: Name): UpperFound {
    const stat = statOrUndefined(directory, name);
    const aufs = marks.aufs && name.length + AUFS_PREFIX.length <= 255 && statOrUndefined(directory, AUFS_PREFIX + name) !== undefined;
    if (stat === undefined) return aufs ? { at: 'whiteout', spelling: 'aufs' } : NOTHING;
    if (isWhiteout(stat, { directory, name }, marks)) return { at: 'whiteout', spelling: 'device' };
    return { at: 'file', stat: this.owners.shown({ directory, name }, stat), hides: aufs };
  }

  list(directory: number, marks: DirectoryMarks): UpperEntry[] {
    const entries = new Map<Name, UpperEntry>();
    for (const { name, type: direntType, ino } of listDirectory(directory)) {
      if (name.startsWith(AUFS_PREFIX)) {
        const hidden = name.slice(AUFS_PREFIX.length);
        if (!isAufsNoise(name) && name !== AUFS_OPAQUE && !entries.has(hidden)) entries.set(hidden, { name: hidden, type: undefined, ino });
        continue;
      }
      let type = direntType << 12;
      if (type === 0) type = statAt(directory, name).mode & S_IFMT;
      const target = { directory, name };
      entries.set(name, { name, type: isWhiteoutEntry(type, target, marks) ? undefined : this.owners.shownType(target, type), ino });
    }
    return [...entries.values()];
  }

  /** A name that is free in the work directory. */
  temporaryName(): Name {
    this.#temporaries += 1;
    return `#${this.#temporaries.toString(16)}`;
  }

  /** Hides a name of the lower. `present`: what the upper has there, which goes away in the same step as far as the host can. */
  hide(directory: number, marks: DirectoryMarks, name: Name, present: 'nothing' | 'file' | 'directory'): void {
    if (this.spelling === 'aufs') {
      const made = makeMark(directory, name);
      marks.aufs = true;
      try {
        this.#takeAway(directory, name, present);
      } catch (error) {
        if (made) this.removeMark(directory, name);
        throw error;
      }
    } else if (present === 'nothing') {
      makeWhiteout(directory, name, 'device');
    } else {
      const temporary = this.temporaryName();
      makeWhiteout(this.work, temporary, 'device');
      try {
        withOwnerRights([{ directory, name }], () => renameAt(this.work, temporary, directory, name, present === 'directory' ? RENAME_EXCHANGE : 0));
      } catch (error) {
        this.discard(temporary);
        throw error;
      }
      if (present === 'directory') this.discard(temporary);
    }
  }

  /** Removes a file, or a directory that holds marks only. */
  remove(directory: number, name: Name, present: 'file' | 'directory'): void {
    this.#takeAway(directory, name, present);
  }

  #takeAway(directory: number, name: Name, present: 'nothing' | 'file' | 'directory'): void {
    if (present === 'file') unlinkAt(directory, name);
    if (present !== 'directory') return;
    try {
      rmdirAt(directory, name);
    } catch (error) {
      if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
      // Whiteouts are left in it: out of the way in one step, then they go.
      const temporary = this.temporaryName();
      withOwnerRights([{ directory, name }], () => renameAt(directory, name, this.work, temporary));
      this.discard(temporary);
    }
  }

  /** Moves what was built in the work directory to its place, over the whiteout that may be there. */
  settle(temporary: Name, directory: number, name: Name, over: { spelling?: WhiteoutSpelling; isDirectory: boolean }): void {
    const exchange = over.spelling === 'device' && over.isDirectory;
    withOwnerRights([{ directory: this.work, name: temporary }, directory], () => renameAt(this.work, temporary, directory, name, exchange ? RENAME_EXCHANGE : 0));
    if (exchange) {
      this.discard(temporary);
    } else {
      if (over.spelling === 'aufs') this.removeMark(directory, name);
    }
  }

  /** Removes the ".wh." mark beside a name that replaced what it hides; it may stay. */
  removeMark(directory: number, name: Name): void {
    attempt(() => unlinkAt(directory, AUFS_PREFIX + name));
  }

  /** Takes the marks out of an opaque directory that shows no name, so that rename(2) can replace it. */
  removeMarksIn(directory: number, marks: DirectoryMarks, name: Name): void {
    const fd = openAt(directory, name, O_PATH | O_DIRECTORY);
    try {
      const names = listDirectory(fd).map((entry) => entry.name);
      // The mark that it is opaque goes with the others: one beside it says the same.
      if (names.includes(AUFS_OPAQUE)) {
        makeMark(directory, name);
        marks.aufs = true;
      }
      withOwnerRights([fd], () => names.forEach((at) => removeTree(fd, at)));
    } finally {
      close(fd);
    }
  }

  /** Removes something in the work directory with all below it; failing that, the next mount does. */
  discard(temporary: Name): void {
    attempt(() => removeTree(this.work, temporary));
  }

  /** True where something is at a path from the root: a file, or a whiteout in either spelling. */
  #covers(path: Name): boolean {
    const names = path.split('/');
    const last = names.pop() as Name;
    let fd = reopen(this.root, O_PATH | O_DIRECTORY);
    try {
      for (const name of names) {
        const next = openAt(fd, name, O_PATH | O_DIRECTORY);
        close(fd);
        fd = next;
      }
      return statOrUndefined(fd, last) !== undefined || statOrUndefined(fd, AUFS_PREFIX + last) !== undefined;
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'EACCES')) return false;
      throw error;
    } finally {
      close(fd);
    }
  }

  setOpaque(target: { directory: number; name: Name }): void {
    withOwnerRights([target], () => this.#markOpaque(target));
  }

  #markOpaque(target: { directory: number; name: Name }): void {
    try {
      writeMark(target, this.namespace, 'opaque', 'y');
    } catch (error) {
      if (!hasCode(error, 'EOPNOTSUPP')) throw error;
      const fd = openAt(target.directory, target.name, O_PATH | O_DIRECTORY);
      try {
        makeWhiteout(fd, AUFS_OPAQUE, 'aufs');
      } finally {
        close(fd);
      }
    }
  }

  /** For a directory by name, without reading it unless need be. */
  isOpaque(target: { directory: number; name: Name }): boolean {
    if (isOpaqueDirectory(target).opaque) return true;
    const fd = openAt(target.directory, target.name, O_PATH | O_DIRECTORY);
    try {
      return statOrUndefined(fd, AUFS_OPAQUE) !== undefined;
    } catch (error) {
      // Nobody we serve gets in there.
      if (!hasCode(error, 'EACCES')) throw error;
      return false;
    } finally {
      close(fd);
    }
  }

  close(): void {
    this.index.close();
    this.#closeAll();
  }

  #closeAll(): void {
    for (const fd of this.#open.splice(0)) close(fd);
  }

  #kept(fd: number): number {
    this.#open.push(fd);
    return fd;
  }

  #lock(directory: number, use: string): void {
    const fd = lockDirectory(directory, use);
    if (fd !== undefined) this.#kept(fd);
  }
}
