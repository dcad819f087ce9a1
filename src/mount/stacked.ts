import { realpathSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Name, nameFromText, nameToBytes } from '../../fs/name.ts';
import type { MountSpec } from './spec.ts';

const FUSE_SUPER_MAGIC = 0x65735546;
const OVERLAYFS_SUPER_MAGIC = 0x794c7630;

/**
 * Whether a mount's directories are on another FUSE mount, or are found through one: that may be served by the very process this one would be served by, which then waited
 * for itself. What is mounted as the root isn't counted: it was there before any server that is found below it.
 */
export function isOnFuse(spec: MountSpec): boolean {
  const root = statSync('/').dev;
  const seen = new Map<Name, boolean>();
  const isOn = (path: Name): boolean => {
    let on = seen.get(path);
    if (on === undefined) {
      const bytes = nameToBytes(path);
      on = (statfsSync(bytes).type === FUSE_SUPER_MAGIC && statSync(bytes).dev !== root) || (path !== '/' && isOn(dirname(path) as Name));
      seen.set(path, on);
    }
    return on;
  };
  return some(spec, (path) => isOn(realpathSync.native(path, 'latin1') as Name));
}

/** Whether what a mount shows is on a union itself: the kernel lets nothing there be passed through (ELOOP). */
export function isOnUnion(spec: MountSpec): boolean {
  return some(spec, (path) => [FUSE_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC].includes(statfsSync(path).type));
}

/** Asks of a mount's directories. What isn't there, or can't be reached, isn't counted: who mounts says so. */
function some({ lower, between = [], upper }: MountSpec, ask: (path: Buffer) => boolean): boolean {
  const below = lower.kind === 'directories' ? [...lower.paths, ...(lower.data ?? [])] : [nameFromText(lower.store)];
  const paths = [...below, ...between.map(({ directory }) => directory), ...(upper === undefined ? [] : [upper.directory, upper.work])];
  return paths.some((path) => {
    try {
      return ask(nameToBytes(path));
    } catch {
      return false;
    }
  });
}
