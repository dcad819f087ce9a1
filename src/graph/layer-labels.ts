import type { Container } from '../store/containers.ts';
import { labelsOfLimits, limitsOf } from '../store/limits.ts';

/** What a layer's label says it is: one of an image to be, or a container's. */
export const KIND = 'ufs.graph.kind';
export const PARENT = 'ufs.graph.parent';

export interface NewGraphLayer {
  kind: 'image' | 'container';
  parent?: string | undefined;
  /** Bytes it may take. */
  limit?: number | undefined;
}

export function labelsOf({ kind, parent, limit }: NewGraphLayer): Record<string, string> {
  return { [KIND]: kind, ...(parent === undefined ? {} : { [PARENT]: parent }), ...labelsOfLimits({ limit }) };
}

/** Bytes an engine's layer may take; undefined where it has no limit of its own. */
export function limitOf({ labels }: Container): number | undefined {
  return limitsOf(labels).limit;
}

/** Whether a container of the store is an engine's layer, which only the engine may change. */
export function belongsToEngine({ labels }: Container): boolean {
  return labels[KIND] !== undefined;
}
