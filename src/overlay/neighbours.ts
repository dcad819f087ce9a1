import { readdirSync, readlinkSync } from 'node:fs';

/** Whether another process is in this one's mount namespace. */
export function hasMountNeighbours(): boolean {
  const own = readlinkSync('/proc/self/ns/mnt');
  return others().some((pid) => namespace(pid, 'mnt') === own);
}

/**
 * Whether another process is in this one's user namespace, or in one below it: the kernel lets a process without power over other namespaces look at no others
 * (ptrace(2), access mode checks).
 */
export function hasUserNeighbours(): boolean {
  return others().some((pid) => namespace(pid, 'user') !== undefined);
}

function others(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
}

/** undefined where it isn't for this process to see, or the other one has ended. */
function namespace(pid: string, kind: 'mnt' | 'user'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}
