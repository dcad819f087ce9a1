import type { MountPoint } from './mount-point.ts';
import { cleanPath } from './paths.ts';
import { refused } from './refused.ts';

/** Mount points in the order they are mounted in, so that none hides another (moby, daemon/volumes.go); two for one destination are refused (UFS_USAGE). */
export function inMountOrder(points: readonly MountPoint[]): MountPoint[] {
  const taken = new Set<string>();
  for (const { destination } of points) {
    if (taken.has(destination)) throw refused(`Duplicate mount point: ${destination}`);
    taken.add(destination);
  }
  return points.toSorted((one, other) => depth(one) - depth(other));
}

function depth({ destination }: MountPoint): number {
  return destination.split('/').length;
}

/** Whether a path of the container is in what is mounted there. By words alone: symlinks aren't followed. */
export function hasResource(point: MountPoint, path: string): boolean {
  if (point.destination.startsWith('/') !== path.startsWith('/')) return false;
  const base = parts(point.destination);
  const asked = parts(path);
  return base.every((part, at) => part === asked[at]);
}

function parts(path: string): string[] {
  return cleanPath(path).split('/').filter((part) => part !== '' && part !== '.');
}

/** Whether a mount point replaces what a container of an older Docker has at its destination: one with a source, or of the default driver. */
export function isBackwardCompatible({ source, driver }: MountPoint): boolean {
  return source !== '' || driver === 'local';
}

/** Refuses nothing: on Linux the name of a volume is its driver's business. */
export function validateVolumeName(_name: string): void {}
