import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import type { Layer } from '../../fs/layer/layer.ts';
import { LINK_INDEX } from '../../fs/layer/link-index.ts';
import { EmptyLayer } from '../../fs/layer/empty-layer.ts';
import { nameFromText, type Name } from '../../fs/name.ts';
import { MergedLayer } from '../../fs/union/merged-layer.ts';
import { stackUppers } from '../../fs/union/stack-uppers.ts';
import { imageNameCandidates, tryFullImageName } from '../archive/image-name.ts';
import { UfsError } from '../errors.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { ImageRecord, LayerRecord } from '../store/records.ts';
import type { Container } from '../store/containers.ts';
import type { Store } from '../store/store.ts';

/** What a name on the command line stands for. */
export type Subject = { kind: 'container'; container: Container } | { kind: 'image'; image: ImageRecord } | { kind: 'layer'; layer: LayerRecord };

/** Finds a container, image or layer by name, id, or the first digits of one, in this order. */
export function findSubject(store: Store, text: string, kinds: readonly Subject['kind'][] = ['container', 'image', 'layer']): Subject {
  for (const kind of kinds) {
    try {
      if (kind === 'container') return { kind, container: store.findContainer(text) };
      if (kind === 'image') return { kind, image: findImage(store, text) };
      return { kind, layer: findLayer(store, text) };
    } catch (error) {
      if (!hasCode(error, 'UFS_CONTAINER_NOT_FOUND', 'UFS_IMAGE_NOT_FOUND', 'UFS_LAYER_NOT_FOUND')) throw error;
    }
  }
  throw new UfsError('UFS_NOT_FOUND', `Cannot find "${text}": no ${kinds.slice(0, -1).join(', ')} or ${kinds.at(-1)} of the store has that name or id${unconsulted(store)}`);
}

/**
 * Does something with what a name stands for; its layers stay as long as that takes. Those of an additional store are this store's then: what only looks at the record
 * of an image or layer can do with `findSubject`.
 */
export async function withSubject<T>(store: Store, text: string, action: (subject: Subject) => T | Promise<T>, kinds?: readonly Subject['kind'][]): Promise<T> {
  const found = findSubject(store, text, kinds);
  const release = await store.borrow(topLayer(found), `what is done with ${text}`);
  try {
    return await action(found.kind === 'layer' ? { kind: 'layer', layer: store.findLayer(found.layer.id) } : found);
  } finally {
    release();
  }
}

function findLayer(store: Store, text: string): LayerRecord {
  try {
    return store.findLayer(text);
  } catch (error) {
    const found = hasCode(error, 'UFS_LAYER_NOT_FOUND') ? store.findAdditionalLayer(text) : undefined;
    if (found === undefined) throw error;
    return found;
  }
}

/** Which additional stores couldn't be asked, and why, as the end of a sentence. */
function unconsulted(store: Store): string {
  return store.additionalStores().map(({ problem }) => (problem === undefined ? '' : `; an additional store could not be consulted: ${problem.message}`)).join('');
}

/** An image by what people type: "debian" finds "docker.io/library/debian:latest". */
export function findImage(store: Store, text: string): ImageRecord {
  for (const name of namesMeant(text)) {
    const image = store.images().find(({ names }) => names.includes(name));
    if (image !== undefined) return image;
  }
  return store.findImage(text);
}

/** Which of its names an image was asked for by; undefined where it was by its id. */
export function nameAskedFor(image: ImageRecord, text: string): string | undefined {
  return namesMeant(text).find((name) => image.names.includes(name));
}

/** What isn't a name at all may still be an id. */
function namesMeant(text: string): string[] {
  return tryFullImageName(text) === undefined ? [] : imageNameCandidates(text);
}

/** The top layer of what a subject is made of; undefined for a container on nothing. */
export function topLayer(subject: Subject): LayerId | undefined {
  if (subject.kind === 'container') return subject.container.parent;
  return subject.kind === 'image' ? subject.image.layers.at(-1) : subject.layer.id;
}

/** The layers a subject is made of, bottom first. */
export function chainOf(store: Store, subject: Subject): LayerRecord[] {
  const top = topLayer(subject);
  return top === undefined ? [] : store.chain(top);
}

/** What a subject's changes are against, and the whole of it; `close` when done. */
export interface OpenTrees {
  before: Layer | undefined;
  after: Layer;
  close(): void;
}

/** The trees to compare for a subject: a container against its image, an image's or layer's top layer against those below. */
export function openTrees(store: Store, subject: Subject): OpenTrees {
  if (subject.kind === 'container') {
    const { sealed } = subject.container;
    return sealed === undefined ? openContainer(store, subject.container) : openTrees(store, { kind: 'layer', layer: store.findLayer(sealed) });
  }
  const top = topLayer(subject);
  if (top === undefined) return { before: undefined, after: new EmptyLayer(), close: () => {} };
  const parent = store.findLayer(top).parent;
  const after = store.openLayer(top);
  const before = parent === undefined ? undefined : store.openLayer(parent);
  return { before: before as Layer | undefined, after: after as Layer, close: () => { after.close(); before?.close(); } };
}

function openContainer(store: Store, container: Container): OpenTrees {
  const before = openBelow(store, container);
  try {
    const after = new MergedLayer({ lower: before, upper: upperOf(container) });
    return { before, after: after as Layer, close: () => { after.close(); before.close(); } };
  } catch (error) {
    before.close();
    throw error;
  }
}

/**
 * All that a container stands on. What became a layer is read as one, which costs the same however many containers stand on one another, unless one above it has notes of its files that have several
 * names: they are noted as the containers have them.
 */
function openBelow(store: Store, container: Container): Layer {
  let { layer, containers } = store.below(container);
  let above = container;
  for (let at = containers.length - 1; at >= 0 && !notesLinks(above); at -= 1) {
    above = containers[at] as Container;
    if (above.sealed === undefined) continue;
    layer = above.sealed;
    containers = containers.slice(at + 1);
    break;
  }
  return stackUppers((layer === undefined ? new EmptyLayer() : store.openLayer(layer)) as Layer, containers.map(upperOf));
}

function notesLinks({ work }: Container): boolean {
  try {
    return readdirSync(join(work, LINK_INDEX)).length > 0;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Where what a container changes is. */
export function upperOf({ diff, work }: Container): { directory: Name; work: Name } {
  return { directory: nameFromText(diff), work: nameFromText(work) };
}

/** A container as a whole: what its mount shows. The caller closes it. */
export function openWhole(store: Store, container: Container): Layer {
  if (container.sealed !== undefined) return store.openLayer(container.sealed) as Layer;
  return stackUppers(openBelow(store, container), [upperOf(container)]);
}
