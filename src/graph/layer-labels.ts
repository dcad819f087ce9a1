import type { Container } from '../store/containers.ts';

/** What a layer's label says it is: one of an image to be, or a container's. */
export const KIND = 'ufs.graph.kind';
export const PARENT = 'ufs.graph.parent';
const LIMIT = 'ufs.graph.limit';

export interface NewGraphLayer {
  kind: 'image' | 'container' | 'volume';
  parent?: string | undefined;
  /** Bytes it may take. */
  limit?: number | undefined;
}

export function labelsOf({ kind, parent, limit }: NewGraphLayer): Record<string, string> {
  return { [KIND]: kind, ...(parent === undefined ? {} : { [PARENT]: parent }), ...(limit === undefined ? {} : { [LIMIT]: String(limit) }) };
}

/** Bytes an engine's layer may take; undefined where it has no limit of its own. */
export function limitOf({ labels }: Container): number | undefined {
  const limit = labels[LIMIT];
  return limit === undefined ? undefined : Number(limit);
}

/** Whether a container of the store is an engine's layer, which only the engine may change. */
export function belongsToEngine({ labels }: Container): boolean {
  return labels[KIND] !== undefined;
}
