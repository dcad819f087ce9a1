import { readManifest } from './manifest.ts';
import { manifestPath } from './paths.ts';
import type { Labels } from './records.ts';

const LIMIT = 'ufs.graph.limit';
const INODES = 'ufs.graph.inodes';

/** What a container's upper directory may take. */
export interface UpperLimits {
  /** Bytes. */
  limit?: number | undefined;
  inodes?: number | undefined;
}

export function labelsOfLimits({ limit, inodes }: UpperLimits): Labels {
  return { ...(limit === undefined ? {} : { [LIMIT]: String(limit) }), ...(inodes === undefined ? {} : { [INODES]: String(inodes) }) };
}

/** Labels with these limits instead of those they have. */
export function withLimits({ [LIMIT]: _limit, [INODES]: _inodes, ...others }: Labels, limits: UpperLimits): Labels {
  return { ...others, ...labelsOfLimits(limits) };
}

export function limitsOf(labels: Labels): UpperLimits {
  const [limit, inodes] = [LIMIT, INODES].map((label) => (labels[label] === undefined ? undefined : Number(labels[label])));
  return { ...(limit === undefined ? {} : { limit }), ...(inodes === undefined ? {} : { inodes }) };
}

/** The limits of a container as its directory says them now. */
export function readLimits(directory: string): UpperLimits {
  return limitsOf(readManifest(manifestPath(directory)).labels);
}
