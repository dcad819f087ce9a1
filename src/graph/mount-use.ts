import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { nameFromBytes, type Name } from '../../fs/name.ts';
import { findMounts, parseMountInfo } from '../../fs/transport/mounts.ts';

/**
 * Whether what is mounted at a path is mounted elsewhere too, in any mount namespace that a process is in: bound into a container, say. Copies of this very mount in other namespaces
 * don't count.
 */
export function isMountedElsewhere(path: Name): boolean {
  const device = findMounts(path).at(-1)?.device;
  if (device === undefined) return false;
  const seen = new Set<string>();
  for (const process of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    let text: string;
    try {
      // What is outside of its root isn't in its list.
      const view = `${readlinkSync(`/proc/${process}/ns/mnt`)} ${readlinkSync(`/proc/${process}/root`)}`;
      if (seen.has(view)) continue;
      text = nameFromBytes(readFileSync(`/proc/${process}/mountinfo`));
      seen.add(view);
    } catch {
      // It has ended, or is another user's.
      continue;
    }
    if (text.includes(` ${device} `) && parseMountInfo(text).some((mount) => mount.device === device && mount.target !== path)) return true;
  }
  return false;
}
