/** Flag sets of linux/fuse.h, one object each, without the header's prefix. */

/** INIT's `flags`. */
export const INIT = {
  ASYNC_READ: 1 << 0, POSIX_LOCKS: 1 << 1, FILE_OPS: 1 << 2, ATOMIC_O_TRUNC: 1 << 3, EXPORT_SUPPORT: 1 << 4, BIG_WRITES: 1 << 5, DONT_MASK: 1 << 6,
  SPLICE_WRITE: 1 << 7, SPLICE_MOVE: 1 << 8, SPLICE_READ: 1 << 9, FLOCK_LOCKS: 1 << 10, HAS_IOCTL_DIR: 1 << 11, AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13, READDIRPLUS_AUTO: 1 << 14, ASYNC_DIO: 1 << 15, WRITEBACK_CACHE: 1 << 16, NO_OPEN_SUPPORT: 1 << 17, PARALLEL_DIROPS: 1 << 18,
  HANDLE_KILLPRIV: 1 << 19, POSIX_ACL: 1 << 20, ABORT_ERROR: 1 << 21, MAX_PAGES: 1 << 22, CACHE_SYMLINKS: 1 << 23, NO_OPENDIR_SUPPORT: 1 << 24,
  EXPLICIT_INVAL_DATA: 1 << 25, MAP_ALIGNMENT: 1 << 26, SUBMOUNTS: 1 << 27, HANDLE_KILLPRIV_V2: 1 << 28, SETXATTR_EXT: 1 << 29, INIT_EXT: 1 << 30,
} as const;

/** INIT's `flags2`; the header counts these bits from 32. */
export const INIT2 = {
  SECURITY_CTX: 1 << 0, HAS_INODE_DAX: 1 << 1, CREATE_SUPP_GROUP: 1 << 2, HAS_EXPIRE_ONLY: 1 << 3, DIRECT_IO_ALLOW_MMAP: 1 << 4, PASSTHROUGH: 1 << 5,
  NO_EXPORT_SUPPORT: 1 << 6, HAS_RESEND: 1 << 7, ALLOW_IDMAP: 1 << 8, OVER_IO_URING: 1 << 9, REQUEST_TIMEOUT: 1 << 10,
} as const;

/** `open_flags` of replies to OPEN, OPENDIR and CREATE. */
export const FOPEN = {
  DIRECT_IO: 1, KEEP_CACHE: 2, NONSEEKABLE: 4, CACHE_DIR: 8, STREAM: 16, NOFLUSH: 32, PARALLEL_DIRECT_WRITES: 64, PASSTHROUGH: 128,
} as const;

/** `valid` of SETATTR. */
export const FATTR = {
  MODE: 1 << 0, UID: 1 << 1, GID: 1 << 2, SIZE: 1 << 3, ATIME: 1 << 4, MTIME: 1 << 5, FH: 1 << 6, ATIME_NOW: 1 << 7, MTIME_NOW: 1 << 8,
  LOCKOWNER: 1 << 9, CTIME: 1 << 10, KILL_SUIDGID: 1 << 11,
} as const;

/** `getattr_flags`. */
export const GETATTR_FH = 1;
/** `open_flags` of the request OPEN. */
export const OPEN_KILL_SUIDGID = 1;
/** `fsync_flags`. */
export const FSYNC_FDATASYNC = 1;
/** `setxattr_flags`. */
export const SETXATTR_ACL_KILL_SGID = 1;
/** `write_flags`. */
export const WRITE = { CACHE: 1, LOCKOWNER: 2, KILL_SUIDGID: 4 } as const;
/** `flags` of OPEN: the kernel's own FMODE_EXEC, set where a file is opened to be run. */
export const FMODE_EXEC = 0x20;

/** STATX_BASIC_STATS and STATX_BTIME of linux/stat.h. */
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BTIME = 0x800;

/** "MODE|SIZE|0x8000" for a value of one of the sets above. */
export function flagNames(set: Readonly<Record<string, number>>, value: number): string {
  let rest = value;
  const names: string[] = [];
  for (const [name, bit] of Object.entries(set)) {
    if ((value & bit) === 0) continue;
    names.push(name);
    rest &= ~bit;
  }
  if (rest !== 0 || names.length === 0) names.push(rest === 0 ? '0' : `0x${(rest >>> 0).toString(16)}`);
  return names.join('|');
}
