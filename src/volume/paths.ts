import { posix } from 'node:path';
import { refused } from './refused.ts';

/** The shortest path that means the same, without looking at the file system (Go, path.Clean). */
export function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** Whether a relative path stays below where it begins, by its words alone (Go, filepath.IsLocal). */
export function isLocal(path: string): boolean {
  if (path === '' || path.startsWith('/')) return false;
  const clean = cleanPath(path);
  return clean !== '..' && !clean.startsWith('../');
}

/** Refuses a target that is the root of the container, or not absolute. moby takes a backslash for a slash here, and nowhere else. */
export function validateTarget(target: string): void {
  if (cleanPath(target.replaceAll('\\', '/')) === '/') throw refused("invalid specification: destination can't be '/'");
  validateAbsolute(target);
}

/** Refuses a path of a mount that isn't absolute; a backslash is a slash. */
export function validateAbsolute(path: string): void {
  const slashed = path.replaceAll('\\', '/');
  if (!slashed.startsWith('/')) throw refused(`invalid mount path: '${slashed}' mount path must be absolute`);
}
