import type { Name } from '../name.ts';
import type { Way } from './directory-descriptors.ts';

/** One file of one raw layer: a name in a directory of it. Only a layer's root has no parent (and no name). */
export interface Place {
  readonly layer: number;
  readonly parent: Place | undefined;
  readonly name: Name;
}

/** How to find directories below the layers' roots, given as descriptors. */
export function wayFrom(roots: readonly number[]): (place: Place) => Way<Place> {
  return (place) => (place.parent === undefined ? roots[place.layer] : (place as Place & { parent: Place }));
}
