import { FsError } from '../errno.ts';
import { INIT, INIT2 } from './flags.ts';
import type { Value } from './struct.ts';
import type { fuse_init_in, fuse_init_out } from './structs.ts';

export const MAJOR = 7;
/** The oldest kernel protocol we speak (Linux 5.4), and the newest we know. */
export const OLDEST_MINOR = 31;
export const NEWEST_MINOR = 45;

/** The most data of one READ or WRITE: 256 pages. */
export const MAX_DATA = 1 << 20;

/** What a mount would like; the two exclude each other, and passthrough goes first where the kernel has it. */
export interface Wanted {
  passthrough: boolean;
  writebackCache: boolean;
  /** Without, ACLs can be set and have no effect. */
  acls?: boolean;
}

/** What kernel and server have agreed on. */
export interface Agreed {
  minor: number;
  passthrough: boolean;
  writebackCache: boolean;
  setxattrExt: boolean;
  killPrivileges: boolean;
  maxWrite: number;
}

export type Negotiation =
  | { outcome: 'agreed'; out: Value<typeof fuse_init_out>; agreed: Agreed }
  /** The kernel speaks a newer major: it gets ours and sends INIT once more. */
  | { outcome: 'again'; out: Value<typeof fuse_init_out> };

/**
 * What we ask for wherever the kernel has it. Left out with intent: EXPORT_SUPPORT (nodes the kernel has forgotten can't be found by id), POSIX_LOCKS and
 * FLOCK_LOCKS (the kernel keeps locks itself), AUTO_INVAL_DATA (only we change files, so we say what is stale), HAS_RESEND, SECURITY_CTX.
 */
const ASKED =
  INIT.ASYNC_READ | INIT.ATOMIC_O_TRUNC | INIT.BIG_WRITES | INIT.DONT_MASK | INIT.DO_READDIRPLUS | INIT.READDIRPLUS_AUTO | INIT.ASYNC_DIO |
  INIT.PARALLEL_DIROPS | INIT.POSIX_ACL | INIT.MAX_PAGES | INIT.CACHE_SYMLINKS | INIT.EXPLICIT_INVAL_DATA | INIT.HANDLE_KILLPRIV_V2 | INIT.SETXATTR_EXT |
  INIT.INIT_EXT;
const ASKED2 = INIT2.DIRECT_IO_ALLOW_MMAP | INIT2.NO_EXPORT_SUPPORT;

const EMPTY: Value<typeof fuse_init_out> = {
  major: MAJOR, minor: NEWEST_MINOR, max_readahead: 0, flags: 0, max_background: 0, congestion_threshold: 0, max_write: 0, time_gran: 0, max_pages: 0,
  map_alignment: 0, flags2: 0, max_stack_depth: 0, request_timeout: 0,
};

/** Answers the kernel's INIT. EPROTO where its protocol is too old. */
export function negotiate(kernel: Value<typeof fuse_init_in>, wanted: Wanted): Negotiation {
  if (kernel.major > MAJOR) return { outcome: 'again', out: EMPTY };
  if (kernel.major < MAJOR || kernel.minor < OLDEST_MINOR) {
    throw new FsError('EPROTO', `Cannot speak FUSE ${kernel.major}.${kernel.minor} with this kernel: ${MAJOR}.${OLDEST_MINOR} (Linux 5.4) is the oldest known`);
  }
  let flags = ASKED & kernel.flags & (wanted.acls === false ? ~INIT.POSIX_ACL : -1);
  const extended = (flags & INIT.INIT_EXT) !== 0;
  const offered2 = extended ? kernel.flags2 : 0;
  let flags2 = ASKED2 & offered2;
  const passthrough = wanted.passthrough && (offered2 & INIT2.PASSTHROUGH) !== 0;
  if (passthrough) flags2 |= INIT2.PASSTHROUGH;
  const writebackCache = !passthrough && wanted.writebackCache && (kernel.flags & INIT.WRITEBACK_CACHE) !== 0;
  if (writebackCache) flags |= INIT.WRITEBACK_CACHE;
  const maxWrite = (flags & INIT.MAX_PAGES) !== 0 ? MAX_DATA : 32 * 4096;
  return {
    outcome: 'agreed',
    out: {
      ...EMPTY,
      // The kernel takes the smaller of this and its own, which root may have raised since it wrote the request.
      max_readahead: MAX_DATA,
      flags, flags2, max_background: 64, congestion_threshold: 48, max_write: maxWrite, time_gran: 1,
      max_pages: maxWrite / 4096,
      max_stack_depth: passthrough ? 1 : 0,
    },
    agreed: {
      minor: Math.min(kernel.minor, NEWEST_MINOR), passthrough, writebackCache, maxWrite,
      setxattrExt: (flags & INIT.SETXATTR_EXT) !== 0, killPrivileges: (flags & INIT.HANDLE_KILLPRIV_V2) !== 0,
    },
  };
}
