import { UfsError } from '../errors.ts';
import { digestPrefix, shortId, type LayerId } from './layer-id.ts';
import type { ContainerRecord, LayerRecord, Manifest } from './records.ts';

/**
 * What is below layers/, held in memory: a few thousand small records at most.
 * INVARIANT: every layer and container is in `#byNumber` exactly where it is by its id too. Change them only through `add` and `delete`.
 */
export class LayerTable {
  readonly #byNumber = new Map<number, Manifest>();
  readonly #layers = new Map<LayerId, LayerRecord>();
  readonly #containers = new Map<string, ContainerRecord>();

  add(manifest: Manifest): void {
    this.#byNumber.set(manifest.number, manifest);
    if (manifest.kind === 'layer') this.#layers.set(manifest.id, manifest);
    else this.#containers.set(manifest.id, manifest);
  }

  delete(manifest: Manifest): void {
    this.#byNumber.delete(manifest.number);
    if (manifest.kind === 'layer') this.#layers.delete(manifest.id);
    else this.#containers.delete(manifest.id);
  }

  byNumber(number: number): Manifest | undefined {
    return this.#byNumber.get(number);
  }

  all(): Manifest[] {
    return [...this.#byNumber.values()];
  }

  /** Parents before their children. */
  layers(): LayerRecord[] {
    return [...this.#layers.values()].sort((a, b) => a.number - b.number);
  }

  containers(): ContainerRecord[] {
    return [...this.#containers.values()].sort((a, b) => a.number - b.number);
  }

  layer(id: LayerId): LayerRecord | undefined {
    return this.#layers.get(id);
  }

  container(id: string): ContainerRecord | undefined {
    return this.#containers.get(id);
  }

  findLayer(idOrPrefix: string): LayerRecord {
    return single(this.#layersOf(idOrPrefix), idOrPrefix, 'layer', 'UFS_LAYER_NOT_FOUND');
  }

  /** As `findLayer`, but undefined where there is none. */
  searchLayer(idOrPrefix: string): LayerRecord | undefined {
    const found = this.#layersOf(idOrPrefix);
    return found.length === 0 ? undefined : single(found, idOrPrefix, 'layer', 'UFS_LAYER_NOT_FOUND');
  }

  #layersOf(idOrPrefix: string): LayerRecord[] {
    const prefix = digestPrefix(idOrPrefix);
    return prefix === undefined ? [] : this.layers().filter(({ id }) => id.startsWith(prefix, 'sha256:'.length));
  }

  findContainer(idOrName: string): ContainerRecord {
    const exact = this.#containers.get(idOrName) ?? this.containers().find(({ name }) => name === idOrName);
    if (exact !== undefined) return exact;
    const found = idOrName.length < 4 ? [] : this.containers().filter(({ id }) => id.startsWith(idOrName));
    return single(found, idOrName, 'container', 'UFS_CONTAINER_NOT_FOUND');
  }

  /** The layer and all below it, bottom first. */
  chain(id: LayerId): LayerRecord[] {
    const chain: LayerRecord[] = [];
    for (let next: LayerId | undefined = id; next !== undefined; ) {
      const record = this.#layers.get(next);
      if (record === undefined) throw new UfsError('UFS_LAYER_NOT_FOUND', `Cannot find layer ${shortId(next)}${next === id ? '' : `, which is below layer ${shortId(id)}`}`);
      chain.push(record);
      next = record.parent;
    }
    return chain.reverse();
  }
}

/** The one thing that was found; an error that says what was looked for where it isn't one. */
export function single<T extends { id: string }>(found: readonly T[], sought: string, what: string, code: `UFS_${string}`): T {
  if (found.length === 1) return found[0];
  if (found.length === 0) throw new UfsError(code, `Cannot find ${what} "${sought}"`);
  throw new UfsError('UFS_AMBIGUOUS', `Cannot tell which ${what} "${sought}" means: ${found.slice(0, 5).map(({ id }) => shortId(id)).join(', ')}${found.length > 5 ? ', …' : ''}`);
}
