import type { Name } from '../name.ts';
import { O_CLOEXEC, O_TMPFILE } from './constants.ts';
import { check, cString, libc } from './native.ts';

/** The umask of the process is 0 wherever layers are written (`clearUmask`), so modes are exact. */
export function clearUmask(): void {
  process.umask(0);
}

export function mkdirAt(directory: number, name: Name, mode: number): void {
  check(libc.mkdirat(directory, cString(name), mode), 'make directory', name);
}

/** dev_t as glibc's makedev(3) packs it. */
function deviceNumber(major: number, minor: number): bigint {
  const high = BigInt(major);
  const low = BigInt(minor);
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}

/** mknod(2): `mode` with its type bits. */
export function mknodAt(directory: number, name: Name, mode: number, major = 0, minor = 0): void {
  check(libc.mknodat(directory, cString(name), mode, deviceNumber(major, minor)), 'make node', name);
}

export function symlinkAt(target: Name, directory: number, name: Name): void {
  check(libc.symlinkat(cString(target), directory, cString(name)), 'make symlink', name);
}

/** A file without a name below a directory (O_TMPFILE); `linkFd` may give it one. */
export function openTemporary(directory: number, flags: number, mode: number): number {
  return check(libc.openat(directory, cString('.'), flags | O_TMPFILE | O_CLOEXEC, mode), 'make a temporary file');
}
