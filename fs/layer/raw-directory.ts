import type { Name } from '../name.ts';
import { S_IFMT, S_IFREG } from '../stat.ts';
import { statAt } from '../host/at.ts';
import { listDirectory } from '../host/directory.ts';
import { AUFS_OPAQUE, AUFS_PREFIX, isAufsNoise, isWhiteoutEntry } from './whiteout.ts';
import { isOpaqueDirectory } from './overlay-xattr.ts';
import { overriddenType, readOverrideStat } from './override-stat.ts';
import type { DirectoryDescriptors, Place } from './place.ts';

export interface RawEntry {
  /** S_IFMT bits, as shown. */
  type: number;
  ino: number;
  /** Made once for each entry, so that descriptors can be kept by it. */
  place?: Place;
}

/** One directory of one layer with its marks told from its files. */
export interface RawDirectory {
  readonly entries: ReadonlyMap<Name, RawEntry>;
  /** Names that lower layers don't show. A name may be an entry too: it hides lower ones, and nothing is merged into it. */
  readonly whiteouts: ReadonlySet<Name> | undefined;
  /** Nothing of lower layers shows in it. */
  readonly opaque: boolean;
}

/** Reads directories of layers and keeps what was read lately. INVARIANT: the kept ones hold at most `cachedNames` names, or are just one. */
export class RawDirectories {
  readonly #descriptors: DirectoryDescriptors;
  readonly #overridden: readonly boolean[];
  readonly #limit: number;
  /** In the order of use, least recent first. */
  readonly #kept = new Map<Place, RawDirectory>();
  #names = 0;

  constructor(descriptors: DirectoryDescriptors, options: { overridden: readonly boolean[]; cachedNames: number }) {
    this.#descriptors = descriptors;
    this.#overridden = options.overridden;
    this.#limit = options.cachedNames;
  }

  read(place: Place): RawDirectory {
    const known = this.#kept.get(place);
    if (known !== undefined) {
      this.#kept.delete(place);
      this.#kept.set(place, known);
      return known;
    }
    const raw = readRaw(this.#descriptors.directory(place), this.#overridden[place.layer]);
    this.#kept.set(place, raw);
    this.#names += weight(raw);
    while (this.#names > this.#limit && this.#kept.size > 1) {
      const [oldest, dropped] = this.#kept.entries().next().value as [Place, RawDirectory];
      this.#kept.delete(oldest);
      this.#names -= weight(dropped);
    }
    return raw;
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

/** An empty directory costs memory too. */
function weight(raw: RawDirectory): number {
  return raw.entries.size + (raw.whiteouts?.size ?? 0) + 1;
}

function readRaw(fd: number, overridden: boolean): RawDirectory {
  const marks = isOpaqueDirectory(fd);
  let { opaque } = marks;
  const entries = new Map<Name, RawEntry>();
  let whiteouts: Set<Name> | undefined;
  for (const { name, type: direntType, ino } of listDirectory(fd)) {
    if (name.startsWith(AUFS_PREFIX)) {
      if (name === AUFS_OPAQUE) opaque = true;
      else if (!isAufsNoise(name)) (whiteouts ??= new Set()).add(name.slice(AUFS_PREFIX.length));
      continue;
    }
    let type = direntType << 12;
    if (type === 0) type = statAt(fd, name).mode & S_IFMT;
    if (isWhiteoutEntry(type, { directory: fd, name }, marks)) {
      (whiteouts ??= new Set()).add(name);
      continue;
    }
    if (overridden && type === S_IFREG) {
      const override = readOverrideStat({ directory: fd, name });
      if (override !== undefined) type = overriddenType(type, override);
    }
    entries.set(name, { type, ino });
  }
  return { entries, whiteouts, opaque };
}
