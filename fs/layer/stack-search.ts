import type { Name } from '../name.ts';
import { S_IFDIR, S_IFREG } from '../stat.ts';
import type { Place } from './place.ts';
import type { RawDirectories, RawEntry } from './raw-directory.ts';

/** The value of a place's redirect mark, undefined where it has none. */
export type ReadRedirect = (place: Place) => Name | undefined;

/** Where a file goes on in the layers below it. */
export interface LowerSteps {
  /** The next lower place, if it is of that type (S_IFMT bits); undefined at the end: nothing there, another type, or hidden. */
  next(type: number): Place | undefined;
}

/** Finds what lies below a file in lower layers: by its name in its directory's lower places, or by what redirects say. */
export class StackSearch {
  readonly #roots: readonly Place[];
  /** Of data-only layers, below all others: nothing of them is shown but the data of copies that name it by an absolute redirect. */
  readonly #dataRoots: readonly Place[];
  readonly #raw: RawDirectories;
  readonly #redirect: ReadRedirect;

  constructor(roots: { merged: readonly Place[]; data: readonly Place[] }, raw: RawDirectories, redirect: ReadRedirect) {
    this.#roots = roots.merged;
    this.#dataRoots = roots.data;
    this.#raw = raw;
    this.#redirect = redirect;
  }

  hasLower(layer: number): boolean {
    return layer < this.#roots.length - (this.#dataRoots.length > 0 ? 0 : 1);
  }

  /** `parents`: the places of the merged directory `top` was found in. */
  below(top: Place, parents: readonly Place[]): LowerSteps {
    let last: Place | undefined = top;
    // Either a name in the lower ones of `parents`, or a path from the lower layers' roots.
    let where: { name: Name } | { path: readonly Name[] } = { name: top.name };
    return {
      next: (type) => {
        if (last === undefined || !this.hasLower(last.layer)) return (last = undefined);
        const redirect = this.#redirect(last);
        if (redirect?.startsWith('/') !== true && this.#isWhitedOut(last)) return (last = undefined);
        if (redirect !== undefined) {
          const redirected = applyRedirect(redirect, where);
          if (redirected === undefined) return (last = undefined);
          where = redirected;
        }
        if ('name' in where) {
          last = this.#byName(last.layer, parents, where.name, type);
        } else {
          const found = this.#byPath(last.layer, where.path, type);
          if (found !== undefined) where = { path: found.path };
          last = found?.place ?? (type === S_IFREG ? this.#inData(where.path) : undefined);
          // What was found below an opaque directory is the last of it.
          if (found?.final) {
            const place = last;
            last = undefined;
            return place;
          }
        }
        return last;
      },
    };
  }

  /** A directory may stand beside its own `.wh.` mark: it replaced what is below by that name. */
  #isWhitedOut(place: Place): boolean {
    return place.parent !== undefined && this.#raw.read(place.parent).hides(place.name);
  }

  #byName(after: number, parents: readonly Place[], name: Name, type: number): Place | undefined {
    for (const parent of parents) {
      if (parent.layer <= after) continue;
      const raw = this.#raw.read(parent);
      const entry = raw.get(name);
      if (entry !== undefined) return entry.type === type ? this.#raw.child(parent, name, entry) : undefined;
      if (raw.hides(name)) return undefined;
    }
    return undefined;
  }

  #inData(path: readonly Name[]): Place | undefined {
    for (const root of this.#dataRoots) {
      let at: Place | undefined = root;
      for (const [index, name] of path.entries()) {
        const entry: RawEntry | undefined = this.#raw.read(at).get(name);
        at = entry?.type === (index === path.length - 1 ? S_IFREG : S_IFDIR) ? this.#raw.child(at, name, entry) : undefined;
        if (at === undefined) break;
      }
      if (at !== undefined) return at;
    }
    return undefined;
  }

  #byPath(after: number, path: readonly Name[], type: number): { place: Place; path: readonly Name[]; final: boolean } | undefined {
    let wanted = path;
    for (const root of this.#roots.slice(after + 1)) {
      let at = root;
      let final = this.#raw.read(root).opaque;
      let below = wanted;
      for (const [index, name] of wanted.entries()) {
        const raw = this.#raw.read(at);
        const entry = raw.get(name);
        if (raw.hides(name)) final = true;
        if (entry === undefined) break;
        at = this.#raw.child(at, name, entry);
        if (index === wanted.length - 1) return entry.type === type ? { place: at, path: below, final } : undefined;
        if (entry.type !== S_IFDIR) return undefined;
        // A directory on the way may itself have been moved: lower layers know it by the older path.
        const redirect = this.#redirect(at);
        if (redirect !== undefined) {
          const moved = applyRedirect(redirect, { path: below.slice(0, below.length - (wanted.length - 1 - index)) });
          if (moved === undefined) final = true;
          else below = [...('path' in moved ? moved.path : []), ...wanted.slice(index + 1)];
        }
        if (this.#raw.read(at).opaque) final = true;
      }
      if (final) return undefined;
      wanted = below;
    }
    return undefined;
  }
}

/** "/a/b" from the roots; "b" instead of the last name; undefined for anything else, which leads nowhere. */
function applyRedirect(redirect: Name, where: { name: Name } | { path: readonly Name[] }): { name: Name } | { path: readonly Name[] } | undefined {
  if (redirect.startsWith('/')) {
    const path = redirect.slice(1).split('/');
    return path.includes('') || path.includes('.') || path.includes('..') ? undefined : { path };
  }
  if (redirect === '' || redirect.includes('/')) return undefined;
  return 'name' in where ? { name: redirect } : { path: [...where.path.slice(0, -1), redirect] };
}
