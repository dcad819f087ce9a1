import { statfsSync } from 'node:fs';
import { realpath, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Name, nameFromText, nameToBytes } from '../../fs/name.ts';
import type { MountSpec } from './spec.ts';

const FUSE_SUPER_MAGIC = 0x65735546;
const OVERLAYFS_SUPER_MAGIC = 0x794c7630;

/**
 * Whether a mount's directories are on another FUSE mount, or are found through one: that may be served by the very process this one would be served by, which then waited
 * for itself. What is mounted as the root isn't counted: it was there before any server that is found below it. Where one doesn't answer, only who asks waits.
 */
export async function isOnFuse(spec: MountSpec): Promise<boolean> {
  const root = (await stat('/')).dev;
  const seen = new Map<Name, Promise<boolean>>();
  const ask = async (path: Name): Promise<boolean> => {
    const bytes = nameToBytes(path);
    return ((await statfs(bytes)).type === FUSE_SUPER_MAGIC && (await stat(bytes)).dev !== root) || (path !== '/' && (await isOn(dirname(path) as Name)));
  };
  const isOn = async (path: Name): Promise<boolean> => {
    const known = seen.get(path) ?? ask(path);
    seen.set(path, known);
    return await known;
  };
  const answers = await Promise.allSettled(directoriesOf(spec).map(async (path) => await isOn((await realpath(path, 'latin1')) as Name)));
  return answers.some((answer) => answer.status === 'fulfilled' && answer.value);
}

/** Whether what a mount shows is on a union itself: the kernel lets nothing there be passed through (ELOOP). */
export function isOnUnion(spec: MountSpec): boolean {
  return directoriesOf(spec).some((path) => {
    try {
      return [FUSE_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC].includes(statfsSync(path).type);
    } catch {
      // What isn't there, or can't be reached: who mounts says so.
      return false;
    }
  });
}

function directoriesOf({ lower, between = [], upper }: MountSpec): Buffer[] {
  const below = lower.kind === 'directories' ? [...lower.paths, ...(lower.data ?? [])] : [nameFromText(lower.store)];
  return [...below, ...between.map(({ directory }) => directory), ...(upper === undefined ? [] : [upper.directory, upper.work])].map(nameToBytes);
}
