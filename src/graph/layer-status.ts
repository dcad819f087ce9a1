import { type Name, nameToText } from '../../fs/name.ts';
import type { Container } from '../store/containers.ts';
import type { LayerRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { takenBelow } from '../store/taken-space.ts';
import { usageOf } from './disk-usage.ts';
import { limitOf } from './layer-labels.ts';

/** A layer or a container as it is listed. */
export interface ListedLayer {
  id: string;
  kind: 'layer' | 'container';
  /** The number of the change that made it. It only grows, and is never used again. */
  transactionId: number;
  /** What it stands on: the id of a layer or, for a container on another one, of that. */
  parent?: string;
  /** Bytes it may take. */
  quota?: number;
}

/** What a layer or a container is on disk, as devicemapper tells it of a device; in bytes. */
export interface LayerStatus extends ListedLayer {
  /** Its files by their sizes. */
  logical: number;
  /** The blocks it has: those of data that it shares with other layers too. */
  mapped: number;
  /** Inodes it has besides what it stands on. */
  inodes: number;
  /** Behind the last byte that one of its files has. */
  highest: number;
}

/** All layers and containers, in the order they were made in. */
export function listLayers(store: Store): ListedLayer[] {
  return [...store.layers().map(listedLayer), ...store.containers().map(listedContainer)].sort((a, b) => a.transactionId - b.transactionId);
}

/** Of a layer. */
export async function layerStatus(store: Store, layer: LayerRecord): Promise<LayerStatus> {
  const { logical, mapped, highest } = store.takenByContent(layer.number);
  return { ...listedLayer(layer), logical, mapped, inodes: usageOf(store, { kind: 'layer', layer }).inodeCount, highest };
}

/** Of a container: its upper directory, or the layer that was made of it where it is written to no more. */
export async function containerStatus(store: Store, container: Container): Promise<LayerStatus> {
  if (container.sealed !== undefined) return { ...(await layerStatus(store, store.findLayer(container.sealed))), ...listedContainer(container) };
  return { ...listedContainer(container), ...(await takenBelow(container.diff)) };
}

/** A container in words, as engines tell it: where it is, what it stands on (the nearest first), where it is mounted, what it takes and may take, and the number of the change that made it. */
export async function layerMetadata(store: Store, container: Container, { ancestors, mounted }: { ancestors: readonly string[]; mounted: Name | undefined }): Promise<Record<string, string>> {
  const { transactionId, logical, mapped, quota } = await containerStatus(store, container);
  return {
    UpperDir: container.diff, WorkDir: container.work,
    ...(ancestors.length === 0 ? {} : { LowerDir: ancestors.join(':') }),
    ...(mounted === undefined ? {} : { MergedDir: nameToText(mounted) }),
    TransactionId: String(transactionId), LayerSize: String(logical),
    ...(quota === undefined ? {} : { QuotaBytes: String(quota), QuotaUsed: String(mapped) }),
  };
}

function listedLayer({ id, number, parent }: LayerRecord): ListedLayer {
  return { id, kind: 'layer', transactionId: number, ...(parent === undefined ? {} : { parent }) };
}

function listedContainer(container: Container): ListedLayer {
  const { id, number, on } = container;
  const [parent, quota] = [on ?? container.parent, limitOf(container)];
  return { id, kind: 'container', transactionId: number, ...(parent === undefined ? {} : { parent }), ...(quota === undefined ? {} : { quota }) };
}
