import { readFileSync } from 'node:fs';
import { effectiveGid, effectiveUid, inInitialUserNamespace } from '../../fs/host/process.ts';
import type { HostSide } from './config.ts';

/** The group of terminals, on every Linux. */
const TTY_GROUP = 5;

/** As whom this process would run a container. */
export function hostSide(): HostSide {
  const [uid, gid] = [effectiveUid(), effectiveGid()];
  const initial = uid === 0 && inInitialUserNamespace();
  // Who isn't root is it in a namespace of the container's own, where nobody else is.
  return uid === 0 ? { initial, ttyGroup: isMapped(TTY_GROUP), furtherGroups: mayHaveGroups() } : { initial, ttyGroup: false, furtherGroups: false, map: { uid, gid } };
}

function isMapped(gid: number): boolean {
  return readFileSync('/proc/self/gid_map', 'latin1').trim().split('\n').some((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number) as [number, number, number];
    return gid >= first && gid < first + count;
  });
}

function mayHaveGroups(): boolean {
  return readFileSync('/proc/self/setgroups', 'latin1').trim() === 'allow';
}
