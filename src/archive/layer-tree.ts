import { nameToText, type Name } from '../../fs/name.ts';
import { S_IFMT, S_IFDIR, S_IFLNK } from '../../fs/stat.ts';
import { emptyChange, type Change, type NewInode } from '../tree/change.ts';
import type { Entry, Tree, TreeReader } from '../tree/entry.ts';
import { refused, splitPath } from './member-name.ts';

/** Symlinks followed in one path, at most. */
const HOPS_MAX = 40;

/** A directory of the layer being built, and what is merged below it. */
interface Place {
  change: Change;
  lower: Entry | undefined;
  parent: Place | undefined;
}

/** A name in a directory. */
export interface Spot {
  directory: Change;
  leaf: Name;
  /** What lower layers have there, unless this layer hides it. */
  lower: Entry | undefined;
}

/**
 * The tree of changes while members are put into it. Paths are followed here and in the lower tree's index, never on a disk: a symlink, of this layer or below,
 * leads to somewhere below this root or nowhere.
 */
export class LayerTree {
  readonly root: Change = emptyChange();
  readonly #lower: { tree: Tree; reader: TreeReader } | undefined;
  readonly #nodesMax: number;
  /** Names made, implied ones too: a short archive can imply thousands a member. */
  #nodes = 0;
  /** Where directory paths lead; emptied when a change could lead one elsewhere. */
  readonly #known = new Map<Name, Place>();

  constructor(lower: { tree: Tree; reader: TreeReader } | undefined, nodesMax: number) {
    this.#lower = lower;
    this.#nodesMax = nodesMax;
  }

  /** The spot a cleaned path names; directories on the way that aren't there are made, implicit. */
  spot(path: Name): Spot {
    const [parent, leaf] = splitPath(path);
    const place = this.#directory(parent, { create: true, follow: true });
    return { directory: place.change, leaf, lower: this.#lowerChild(place, leaf) };
  }

  /** As `spot`, for the target of a hard link: undefined where a directory on the way is missing. */
  existing(path: Name): Spot | undefined {
    const [parent, leaf] = splitPath(path);
    const place = this.#walk(parent, { create: false, follow: true });
    return place === undefined ? undefined : { directory: place.change, leaf, lower: this.#lowerChild(place, leaf) };
  }

  /** Puts a directory's inode in place: over a directory of this layer its children stay, anything else goes. */
  placeDirectory(spot: Spot, inode: NewInode): void {
    const old = spot.directory.children?.get(spot.leaf);
    if (old?.children !== undefined) {
      old.inode = inode;
      return;
    }
    // What was hidden by a whiteout or a file before it stays so: the directory is opaque.
    this.#set(spot, { hides: old?.hides ?? false, inode, children: new Map() });
  }

  /** Puts anything but a directory in place of what was there. */
  placeFile(spot: Spot, inode: NewInode): void {
    this.#set(spot, { hides: true, inode });
  }

  /** Hides what lower layers have at a cleaned path. What this layer has there, now or later, stays. Symlinks of lower layers on the way are not followed. */
  hide(path: Name): void {
    if (path === '') {
      this.root.hides = true;
      this.#known.clear();
      return;
    }
    const [parent, leaf] = splitPath(path);
    const place = this.#directory(parent, { create: true, follow: false });
    const old = place.change.children?.get(leaf);
    if (old === undefined) this.#set({ directory: place.change, leaf, lower: this.#lowerChild(place, leaf) }, { hides: true });
    else if (!old.hides) {
      old.hides = true;
      this.#known.clear();
    }
  }

  /** Makes a directory opaque towards lower layers; it is implicit unless the layer has an entry for it. */
  hideBelow(path: Name): void {
    const { change } = this.#directory(path, { create: true, follow: false });
    if (change.hides) return;
    change.hides = true;
    this.#known.clear();
  }

  #set(spot: Spot, change: Change): void {
    // Only a path that led through this name, to a directory or through a symlink, can lead elsewhere now.
    if (spot.directory.children?.has(spot.leaf) || isSymlink(spot.lower)) this.#known.clear();
    this.#add(spot.directory, spot.leaf, change);
  }

  #add(directory: Change, leaf: Name, change: Change): void {
    const children = (directory.children ??= new Map());
    if (!children.has(leaf) && ++this.#nodes > this.#nodesMax) throw refused(`the layer has over ${this.#nodesMax} names`);
    children.set(leaf, change);
  }

  #directory(path: Name, how: { create: true; follow: boolean }): Place {
    const known = how.follow ? this.#known.get(path) : undefined;
    if (known !== undefined) return known;
    const place = this.#walk(path, how)!;
    if (how.follow) this.#known.set(path, place);
    return place;
  }

  #walk(path: Name, how: { create: boolean; follow: boolean }): Place | undefined {
    const root: Place = { change: this.root, lower: this.root.hides ? undefined : this.#lower?.tree.root, parent: undefined };
    let place = root;
    // Components still to go, the next one last.
    const pending = path === '' ? [] : path.split('/').reverse();
    let hops = 0;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        place = place.parent ?? root;
        continue;
      }
      const step = this.#step(place, name, how);
      if (step === undefined) return undefined;
      if (typeof step !== 'string') {
        place = step;
        continue;
      }
      if (++hops > HOPS_MAX) throw refused('its directory leads through too many symlinks (ELOOP)');
      if (step.startsWith('/')) place = root;
      pending.push(...step.split('/').reverse());
    }
    return place;
  }

  /** One name further: a directory, the target of a symlink to follow, or undefined where there is none to find. */
  #step(place: Place, name: Name, how: { create: boolean; follow: boolean }): Place | Name | undefined {
    const child = place.change.children?.get(name);
    if (child?.inode !== undefined && child.children === undefined) {
      const { mode, target } = child.inode.attributes;
      if ((mode & S_IFMT) === S_IFLNK && how.follow) return target!;
      throw refused(`its directory "${nameToText(name)}" isn't one in this layer (ENOTDIR)`);
    }
    const lower = child?.hides ? undefined : this.#lowerChild(place, name);
    if (child?.children !== undefined) return { change: child, lower: isDirectory(lower) ? lower : undefined, parent: place };
    if (lower !== undefined && isSymlink(lower) && how.follow) return lower.target!;
    if (!how.create && !isDirectory(lower)) return undefined;
    // Looked up only, it is walked over without being made.
    const change = child ?? emptyChange();
    if (how.create) {
      change.children = new Map();
      if (child === undefined) this.#add(place.change, name, change);
    }
    return { change, lower: isDirectory(lower) ? lower : undefined, parent: place };
  }

  #lowerChild(place: Place, name: Name): Entry | undefined {
    if (place.lower === undefined || place.change.children?.get(name)?.hides) return undefined;
    return this.#lower?.reader.lookup(place.lower, name);
  }
}

function isDirectory(entry: Entry | undefined): boolean {
  return entry !== undefined && (entry.mode & S_IFMT) === S_IFDIR;
}

function isSymlink(entry: Entry | undefined): boolean {
  return entry !== undefined && (entry.mode & S_IFMT) === S_IFLNK;
}
