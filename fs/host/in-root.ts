import { constants } from 'node:os';
import type { Name } from '../name.ts';
import { O_CLOEXEC } from './constants.ts';
import { check, cString, lastErrno, libc } from './native.ts';

/** Of linux/openat2.h: "/", ".." and symlinks stay below the directory, and no link of /proc to an open file is followed. */
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_IN_ROOT = 0x10;

const ATTEMPTS = 1000;

/** struct open_how: flags, mode, resolve. */
const how = Buffer.alloc(24);

/** Opens a path as it would be found if `root` were the root directory: nothing leads out of it. openat2(2), since Linux 5.6; O_CLOEXEC is always set. */
export function openInRoot(root: number, path: Name, flags: number, mode = 0): number {
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(mode), 8);
  how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), 16);
  for (let attempt = 1; ; attempt += 1) {
    const fd = Number(libc.openat2(root, cString(path), how, how.length));
    // Where anything is renamed or mounted on this machine meanwhile, the kernel can't tell whether ".." stays inside.
    if (fd >= 0 || lastErrno() !== constants.errno.EAGAIN || attempt === ATTEMPTS) return check(fd, 'open', path);
  }
}
