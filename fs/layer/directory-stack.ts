import { createHash } from 'node:crypto';
import { FsError, hasCode } from '../errno.ts';
import type { Name } from '../name.ts';
import { nameToText } from '../name.ts';
import { isDirectory, S_IFDIR, S_IFLNK, S_IFREG } from '../stat.ts';
import type { Stat } from '../stat.ts';
import type { HostStat } from '../host/at.ts';
import { close, openAt, openPath, readlinkAt, reopen, statAt, statFd } from '../host/at.ts';
import { AT_FDCWD, O_DIRECTORY, O_NOATIME, O_PATH, O_RDONLY } from '../host/constants.ts';
import { preadFull } from '../host/file.ts';
import type { XattrTarget } from '../host/xattr.ts';
import { DirectoryDescriptors } from './directory-descriptors.ts';
import type { Layer, LayerEntry } from './layer.ts';
import { InodeNumbers } from './inode-numbers.ts';
import { hasMetacopy, readRedirect } from './overlay-xattr.ts';
import { applyOverrideStat, overrideXattr, readOverrideStat, readOverriddenLink } from './override-stat.ts';
import { type Place, wayFrom } from './place.ts';
import { RawDirectories } from './raw-directory.ts';
import { StackSearch } from './stack-search.ts';
import { getUsersXattr, listUsersXattrs } from './users-xattr.ts';

/** A file of the merged tree. What is behind it is found when it is asked for, and kept. */
export interface StackNode {
  /** Where the file is; for a merged directory its topmost one. */
  readonly place: Place;
  /** S_IFMT bits. */
  readonly type: number;
  /** The merged directory it was found in, undefined for the root. */
  readonly parent: StackNode | undefined;
  /** A directory's: where it is in all layers, topmost first, ending at an opaque one. */
  places?: readonly Place[];
  identity?: string;
  elf?: boolean;
}

export interface DirectoryStackOptions {
  /** Directories below all others of which nothing is shown but the data of metadata-only copies that say where in them it is. */
  data?: readonly Name[];
  /** Names kept of directories read; 200,000 unless told. With 0 each is read anew: who changes a layer meanwhile is seen. */
  cachedNames?: number;
  /** Descriptors kept open besides one a layer; 128 unless told. */
  cachedDescriptors?: number;
}

const ELF_MAGIC = 0x7f454c46;

/**
 * k plain directories as one tree, merged when asked for (what `lowerdir=a:b:c` names). Marks of all spellings are understood: whiteouts, opaque
 * directories, redirects, metadata-only copies and owner overrides; a layer on a file system without xattrs simply has fewer. Nothing but a mount's own
 * changes is expected to touch the directories, so names read once are believed.
 */
export class DirectoryStack implements Layer<StackNode> {
  readonly root: StackNode;
  readonly #origins: string[] = [];
  readonly #roots: readonly number[];
  readonly #descriptors: DirectoryDescriptors<Place>;
  readonly #raw: RawDirectories;
  readonly #search: StackSearch;
  readonly #numbers = new InodeNumbers();
  /** The xattr a layer's files have owner and mode in. */
  readonly #ownersIn: (Name | undefined)[];
  /** A key of the root directories from each layer down. */
  readonly #rootKeys: string[];
  readonly #noAtime: boolean[];

  /** The first is the topmost. A descriptor given stays the caller's. Throws FsError where one can't be opened as a directory. */
  constructor(layers: readonly (Name | number)[], options: DirectoryStackOptions = {}) {
    const roots: number[] = [];
    try {
      for (const layer of [...layers, ...(options.data ?? [])]) {
        roots.push(typeof layer === 'number' ? reopen(layer, O_PATH | O_DIRECTORY) : openPath(layer, O_PATH | O_DIRECTORY));
        this.#origins.push(typeof layer === 'number' ? nameToText(readlinkAt(AT_FDCWD, `/proc/self/fd/${layer}`)) : nameToText(layer));
      }
      if (layers.length === 0) throw new FsError('EINVAL', 'Cannot stack directories: none is given');
      const stats = roots.map((fd) => statFd(fd));
      for (const stat of stats) this.#numbers.addLayer(stat);
      this.#ownersIn = roots.map(overrideXattr);
      this.#rootKeys = rootKeys(stats);
    } catch (error) {
      for (const fd of roots) close(fd);
      throw error;
    }
    this.#roots = roots;
    this.#noAtime = roots.map(() => true);
    this.#descriptors = new DirectoryDescriptors(wayFrom(roots), options.cachedDescriptors ?? 128);
    this.#raw = new RawDirectories(this.#descriptors, { ownersIn: this.#ownersIn, cachedNames: options.cachedNames ?? 200_000 });
    const rootPlaces = roots.map((_, layer): Place => ({ layer, parent: undefined, name: '' }));
    const merged = rootPlaces.slice(0, layers.length);
    this.#search = new StackSearch({ merged, data: rootPlaces.slice(layers.length) }, this.#raw, (place) => readRedirect(this.#target(place)));
    const opaque = merged.findIndex((place) => this.#raw.read(place).opaque);
    this.root = {
      place: merged[0], type: S_IFDIR, parent: undefined, places: opaque < 0 ? merged : merged.slice(0, opaque + 1),
    };
  }

  lookup(directory: StackNode, name: Name): StackNode | undefined {
    for (const place of this.#places(directory)) {
      const raw = this.#raw.read(place);
      const entry = raw.get(name);
      if (entry !== undefined) return { place: this.#raw.child(place, name, entry), type: entry.type, parent: directory };
      if (raw.hides(name)) return undefined;
    }
    return undefined;
  }

  list(directory: StackNode): LayerEntry<StackNode>[] {
    const places = this.#places(directory);
    const entries: LayerEntry<StackNode>[] = [];
    const taken = places.length > 1 ? new Set<Name>() : undefined;
    for (const place of places) {
      const { entries: own, whiteouts } = this.#raw.read(place).all();
      for (const [name, entry] of own) {
        if (taken?.has(name)) continue;
        taken?.add(name);
        const node: StackNode = { place: this.#raw.child(place, name, entry), type: entry.type, parent: directory };
        entries.push({ name, node, ino: this.#numbers.number(this.#numbers.layerDevice(place.layer), entry.ino), mode: entry.type });
      }
      if (whiteouts !== undefined && taken !== undefined) for (const name of whiteouts) taken.add(name);
    }
    return entries;
  }

  stat(node: StackNode): Stat {
    const { devMajor, devMinor, ...stat } = this.#hostStat(node.place) as Stat & HostStat;
    stat.ino = this.#numbers.number(this.#numbers.device({ devMajor, devMinor }), stat.ino);
    this.#override(node.place, stat);
    if (isDirectory(stat)) {
      if (this.#mayBeMerged(node)) stat.nlink = 1;
    } else if (node.type === S_IFREG && stat.blocks * 512 < stat.size) {
      // A metadata-only copy has the size of its file and none of its blocks.
      const data = this.#dataPlace(node);
      if (data !== node.place) stat.blocks = this.#hostStat(data).blocks;
    }
    return stat;
  }

  identity(node: StackNode): string {
    if (node.identity === undefined) {
      const { layer } = node.place;
      const stat = this.#hostStat(node.place);
      const device = this.#numbers.device(stat);
      node.identity = device === this.#numbers.layerDevice(layer) ? `${layer}:${stat.ino}` : `${layer}:${stat.ino}@${device}`;
    }
    return node.identity;
  }

  readlink(node: StackNode): Name {
    if (node.type !== S_IFLNK) throw new FsError('EINVAL', `Cannot read the symlink "${nameToText(node.place.name)}": it isn't one`);
    const directory = this.#parentDescriptor(node.place);
    return this.#ownersIn[node.place.layer] !== undefined ? readOverriddenLink(directory, node.place.name) : readlinkAt(directory, node.place.name);
  }

  listXattr(node: StackNode): Name[] {
    return listUsersXattrs(this.#target(node.place), { xattr: this.#ownersIn[node.place.layer] });
  }

  getXattr(node: StackNode, name: Name): Buffer | undefined {
    return getUsersXattr(this.#target(node.place), name, { xattr: this.#ownersIn[node.place.layer] });
  }

  open(node: StackNode): number {
    if (node.type !== S_IFREG) throw new FsError('EINVAL', `Cannot open "${nameToText(node.place.name)}": not a regular file`);
    return this.#openFile(this.#dataPlace(node));
  }

  isElf(node: StackNode, fd?: number): boolean {
    if (node.type !== S_IFREG) return false;
    if (node.elf !== undefined) return node.elf;
    const own = fd ?? this.open(node);
    try {
      node.elf = startsAsElf(own);
    } finally {
      if (fd === undefined) close(own);
    }
    return node.elf;
  }

  /** All that a directory shows is in its places and, for redirects, in the layers from there down. */
  subtreeKey(node: StackNode): string | undefined {
    if (node.type !== S_IFDIR) return undefined;
    const inodes = this.#places(node).map((place) => inodeKey(this.#hostStat(place)));
    return `${inodes.join(',')} ${this.#rootKeys[node.place.layer]}`;
  }

  origin(node: StackNode): string {
    return this.#origins[node.place.layer];
  }

  close(): void {
    this.#descriptors.close();
    for (const fd of this.#roots) close(fd);
    this.#raw.clear();
  }

  #places(directory: StackNode): readonly Place[] {
    if (directory.type !== S_IFDIR) throw new FsError('ENOTDIR', `Cannot look into "${nameToText(directory.place.name)}": not a directory`);
    if (directory.places !== undefined) return directory.places;
    const places = [directory.place];
    const parents = this.#places(directory.parent as StackNode);
    const steps = this.#search.below(directory.place, parents);
    for (let last = directory.place; ; ) {
      if (this.#raw.read(last).opaque) break;
      const next = steps.next(S_IFDIR);
      if (next === undefined) break;
      places.push(next);
      last = next;
    }
    directory.places = places;
    return places;
  }

  /** True unless a directory is certainly in one layer only. Asks without reading the directory itself: `ls -l` shouldn't read all it shows. */
  #mayBeMerged(node: StackNode): boolean {
    if (node.places !== undefined) return node.places.length > 1;
    return this.#search.below(node.place, this.#places(node.parent as StackNode)).next(S_IFDIR) !== undefined;
  }

  /** Where a regular file's data is: below it for metadata-only copies. */
  #dataPlace(node: StackNode): Place {
    let place = node.place;
    if (node.parent === undefined || !this.#isBare(place)) return place;
    const steps = this.#search.below(place, this.#places(node.parent));
    do {
      const next = steps.next(S_IFREG);
      if (next === undefined) throw new FsError('EIO', `Cannot find the data of "${nameToText(place.name)}": its file in a lower layer is gone`);
      place = next;
    } while (this.#isBare(place));
    return place;
  }

  /** True for a metadata-only copy; one of size 0 lacks nothing. */
  #isBare(place: Place): boolean {
    return this.#search.hasLower(place.layer) && hasMetacopy(this.#target(place)) && this.#hostStat(place).size > 0;
  }

  #parentDescriptor(place: Place): number {
    return this.#descriptors.get(place.parent ?? place);
  }

  #hostStat(place: Place): HostStat {
    return statAt(this.#parentDescriptor(place), place.name);
  }

  #target(place: Place): XattrTarget {
    const directory = this.#parentDescriptor(place);
    return place.parent === undefined ? directory : { directory, name: place.name };
  }

  #override(place: Place, stat: Stat): void {
    const xattr = this.#ownersIn[place.layer];
    const override = xattr === undefined ? undefined : readOverrideStat(this.#target(place), xattr);
    if (override !== undefined) applyOverrideStat(stat, override);
  }

  #openFile(place: Place): number {
    const directory = this.#parentDescriptor(place);
    if (this.#noAtime[place.layer]) {
      try {
        return openAt(directory, place.name, O_RDONLY | O_NOATIME);
      } catch (error) {
        if (!hasCode(error, 'EPERM')) throw error;
        this.#noAtime[place.layer] = false;
      }
    }
    return openAt(directory, place.name, O_RDONLY);
  }
}

const head = Buffer.alloc(4);

function startsAsElf(fd: number): boolean {
  return preadFull(fd, head, 0, 4, 0) === 4 && head.readUInt32BE(0) === ELF_MAGIC;
}

function inodeKey(stat: HostStat): string {
  return `${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
}

function rootKeys(stats: readonly HostStat[]): string[] {
  const keys: string[] = [];
  let below = '';
  for (const stat of stats.toReversed()) {
    below = createHash('sha256').update(`${inodeKey(stat)} ${below}`).digest('base64url');
    keys.unshift(below);
  }
  return keys;
}
