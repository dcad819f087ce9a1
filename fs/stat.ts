/** Bits of st_mode that say the type (stat(2), S_IFMT and its values). */
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;
/** Permission bits with setuid, setgid and sticky. */
export const PERMISSIONS = 0o7777;

/** What stat(2) tells of an inode. Times are whole seconds (may be negative) and nanoseconds 0…999,999,999. */
export interface Stat {
  /** Type and permissions, as st_mode. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes. */
  size: number;
  /** Units of 512 bytes. */
  blocks: number;
  blockSize: number;
  nlink: number;
  /** Below 2^53. */
  ino: number;
  rdevMajor: number;
  rdevMinor: number;
  atimeSec: number;
  atimeNsec: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
  /** Creation time; 0 where the backing file system keeps none. */
  btimeSec: number;
  btimeNsec: number;
}

export function isDirectory(stat: { mode: number }): boolean {
  return (stat.mode & S_IFMT) === S_IFDIR;
}

export function isRegular(stat: { mode: number }): boolean {
  return (stat.mode & S_IFMT) === S_IFREG;
}

export function isSymlink(stat: { mode: number }): boolean {
  return (stat.mode & S_IFMT) === S_IFLNK;
}

export function isCharacterDevice(stat: { mode: number }): boolean {
  return (stat.mode & S_IFMT) === S_IFCHR;
}

/** The d_type of a mode (readdir(3)): its type bits, shifted. */
export function direntType(mode: number): number {
  return (mode & S_IFMT) >> 12;
}
