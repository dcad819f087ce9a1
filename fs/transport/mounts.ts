import { readFileSync } from 'node:fs';
import { hasCode } from '../errno.ts';
import { statfs } from '../host/file.ts';
import { nameFromBytes, type Name } from '../name.ts';

/** A line of /proc/self/mountinfo. */
export interface MountInfo {
  id: number;
  /** "0:57", the device of its files. */
  device: string;
  target: Name;
  options: string;
  /** Optional fields: "shared:1 master:2" of one that passes mounts on and is passed them; empty where it is private. */
  propagation: string;
  type: string;
  source: Name;
  superOptions: string;
}

/** Undoes the octal escapes of /proc/self/mountinfo (space, tab, newline, backslash). */
export function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

export function parseMountInfo(text: string): MountInfo[] {
  return text.split('\n').filter((line) => line !== '').map((line) => {
    const fields = line.split(' ');
    // Any number of optional fields stands before the "-".
    const separator = fields.indexOf('-', 6);
    const field = (index: number): string => unescapeMount(fields[index] ?? '');
    return {
      id: Number(field(0)), device: field(2), target: field(4), options: field(5), propagation: fields.slice(6, separator).join(' '), type: field(separator + 1),
      source: field(separator + 2), superOptions: field(separator + 3),
    };
  });
}

/** All mounts of this process's mount namespace that are below its root, in the kernel's order. */
export function currentMounts(): MountInfo[] {
  return parseMountInfo(nameFromBytes(readFileSync('/proc/self/mountinfo')));
}

/** Mounts at exactly this absolute path, lowest first. Asks the kernel's list, never the mount itself, which might hang. */
export function findMounts(target: Name): MountInfo[] {
  return currentMounts().filter((mount) => mount.target === target);
}

/** True where the mount at a path has lost its server: every access says ENOTCONN. */
export function isStaleMount(path: Name): boolean {
  try {
    statfs(path);
    return false;
  } catch (error) {
    return hasCode(error, 'ENOTCONN', 'ECONNABORTED');
  }
}

/** The mount a path lies on: the topmost of those with the longest mount point above it. */
export function findMountOf(path: Name): MountInfo | undefined {
  let best: MountInfo | undefined;
  for (const mount of currentMounts()) {
    const above = mount.target === '/' || path === mount.target || path.startsWith(`${mount.target}/`);
    if (above && mount.target.length >= (best?.target.length ?? 0)) best = mount;
  }
  return best;
}
