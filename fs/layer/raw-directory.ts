import { FsError, hasCode } from '../errno.ts';
import { NAME_MAX, type Name } from '../name.ts';
import { S_IFMT } from '../stat.ts';
import { statAt, statOrUndefined } from '../host/at.ts';
import { listDirectory } from '../host/directory.ts';
import { AUFS_OPAQUE, AUFS_PREFIX, isAufsNoise, isWhiteout, isWhiteoutEntry } from './whiteout.ts';
import { isOpaqueDirectory, type OpaqueMarks } from './overlay-xattr.ts';
import { shownType } from './override-stat.ts';
import type { DirectoryDescriptors } from './directory-descriptors.ts';
import type { Place } from './place.ts';

export interface RawEntry {
  /** S_IFMT bits, as shown. */
  type: number;
  ino: number;
  /** Made once for each entry, so that descriptors can be kept by it. */
  place?: Place;
}

/** One directory of one layer with its marks told from its files. */
export interface RawDirectory {
  /** Nothing of lower layers shows in it. */
  readonly opaque: boolean;
  /** How much of the memory for kept directories it takes. */
  readonly weight: number;
  get(name: Name): RawEntry | undefined;
  /** Whether lower layers don't show a name. It may be an entry too: it hides lower ones, and nothing is merged into it. */
  hides(name: Name): boolean;
  /** EACCES where we may only look names up in it. */
  all(): { entries: ReadonlyMap<Name, RawEntry>; whiteouts: ReadonlySet<Name> | undefined };
}

/** Reads directories of layers and keeps what was read lately. INVARIANT: the kept ones hold at most `cachedNames` names, or are just one; with 0 nothing is kept. */
export class RawDirectories {
  readonly #descriptors: DirectoryDescriptors<Place>;
  readonly #ownersIn: readonly (Name | undefined)[];
  readonly #limit: number;
  /** In the order of use, least recent first. */
  readonly #kept = new Map<Place, RawDirectory>();
  #names = 0;

  constructor(descriptors: DirectoryDescriptors<Place>, options: { ownersIn: readonly (Name | undefined)[]; cachedNames: number }) {
    this.#descriptors = descriptors;
    this.#ownersIn = options.ownersIn;
    this.#limit = options.cachedNames;
  }

  read(place: Place): RawDirectory {
    const known = this.#kept.get(place);
    if (known !== undefined) {
      this.#kept.delete(place);
      this.#kept.set(place, known);
      return known;
    }
    const raw = this.#readAnew(place);
    if (this.#limit === 0) return raw;
    this.#kept.set(place, raw);
    this.#names += raw.weight;
    while (this.#names > this.#limit && this.#kept.size > 1) {
      const [oldest, dropped] = this.#kept.entries().next().value as [Place, RawDirectory];
      this.#kept.delete(oldest);
      this.#names -= dropped.weight;
    }
    return raw;
  }

  #readAnew(place: Place): RawDirectory {
    const ownersIn = this.#ownersIn[place.layer];
    try {
      return new ListedDirectory(this.#descriptors.get(place), ownersIn);
    } catch (error) {
      if (!hasCode(error, 'EACCES')) throw error;
      return new SearchedDirectory(() => this.#descriptors.get(place), ownersIn);
    }
  }

  child(directory: Place, name: Name, entry: RawEntry): Place {
    entry.place ??= { layer: directory.layer, parent: directory, name };
    return entry.place;
  }

  clear(): void {
    this.#kept.clear();
    this.#names = 0;
  }
}

/** The usual one: read at once. */
class ListedDirectory implements RawDirectory {
  readonly opaque: boolean;
  readonly #entries = new Map<Name, RawEntry>();
  readonly #whiteouts: Set<Name> | undefined;

  constructor(fd: number, ownersIn: Name | undefined) {
    const marks = isOpaqueDirectory(fd);
    let { opaque } = marks;
    let whiteouts: Set<Name> | undefined;
    for (const { name, type: direntType, ino } of listDirectory(fd)) {
      if (name.startsWith(AUFS_PREFIX)) {
        if (name === AUFS_OPAQUE) opaque = true;
        else if (!isAufsNoise(name)) (whiteouts ??= new Set()).add(name.slice(AUFS_PREFIX.length));
        continue;
      }
      const target = { directory: fd, name };
      const type = direntType === 0 ? statAt(fd, name).mode & S_IFMT : direntType << 12;
      if (isWhiteoutEntry(type, target, marks)) (whiteouts ??= new Set()).add(name);
      else this.#entries.set(name, { type: ownersIn === undefined ? type : shownType(target, type, ownersIn), ino });
    }
    this.opaque = opaque;
    this.#whiteouts = whiteouts;
  }

  /** An empty directory costs memory too. */
  get weight(): number {
    return this.#entries.size + (this.#whiteouts?.size ?? 0) + 1;
  }

  get(name: Name): RawEntry | undefined {
    return this.#entries.get(name);
  }

  hides(name: Name): boolean {
    return this.#whiteouts?.has(name) === true;
  }

  all(): { entries: ReadonlyMap<Name, RawEntry>; whiteouts: ReadonlySet<Name> | undefined } {
    return { entries: this.#entries, whiteouts: this.#whiteouts };
  }
}

/** One we may not read, but look names up in (0711 to others). */
class SearchedDirectory implements RawDirectory {
  readonly opaque: boolean;
  readonly weight = 1;
  readonly #fd: () => number;
  readonly #ownersIn: Name | undefined;
  readonly #marks: OpaqueMarks;
  readonly #entries = new Map<Name, RawEntry>();

  constructor(fd: () => number, ownersIn: Name | undefined) {
    this.#fd = fd;
    this.#ownersIn = ownersIn;
    this.#marks = isOpaqueDirectory(fd());
    this.opaque = statOrUndefined(fd(), AUFS_OPAQUE) !== undefined || this.#marks.opaque;
  }

  get(name: Name): RawEntry | undefined {
    const known = this.#entries.get(name);
    if (known !== undefined || name.startsWith(AUFS_PREFIX)) return known;
    const target = { directory: this.#fd(), name };
    const stat = statOrUndefined(target.directory, name);
    if (stat === undefined || isWhiteout(stat, target, this.#marks)) return undefined;
    const type = stat.mode & S_IFMT;
    const entry = { type: this.#ownersIn === undefined ? type : shownType(target, type, this.#ownersIn), ino: stat.ino };
    this.#entries.set(name, entry);
    return entry;
  }

  hides(name: Name): boolean {
    const target = { directory: this.#fd(), name };
    const stat = statOrUndefined(target.directory, name);
    if (stat !== undefined && isWhiteout(stat, target, this.#marks)) return true;
    return name.length + AUFS_PREFIX.length <= NAME_MAX && statOrUndefined(target.directory, AUFS_PREFIX + name) !== undefined;
  }

  all(): never {
    throw new FsError('EACCES', 'Cannot read a directory of a layer: we may only look names up in it');
  }
}
