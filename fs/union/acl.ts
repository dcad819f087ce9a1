import { FsError } from '../errno.ts';

/** Tags of posix_acl_xattr.h. */
const USER_OBJ = 1;
const GROUP_OBJ = 4;
const MASK = 0x10;
const OTHER = 0x20;
const VERSION = 2;

/** What a new file gets of its directory's default ACL. `access` is undefined where the mode says it all. */
export interface Inherited {
  mode: number;
  access: Buffer | undefined;
}

/** acl(5), "Object creation and default ACLs": the default ACL with permissions that `mode` doesn't have taken from it; the umask has no say. */
export function inheritAcl(defaultAcl: Buffer, mode: number): Inherited {
  if (defaultAcl.length < 4 || (defaultAcl.length - 4) % 8 !== 0 || defaultAcl.readUInt32LE(0) !== VERSION) {
    throw new FsError('EIO', 'Cannot read the default ACL of a directory: not in a known format');
  }
  const access = Buffer.from(defaultAcl);
  const entries = new Map<number, number>();
  for (let offset = 4; offset < access.length; offset += 8) entries.set(access.readUInt16LE(offset), offset + 2);
  let permissions = 0;
  const limit = (tag: number, shift: number): void => {
    const offset = entries.get(tag);
    if (offset === undefined) return;
    const allowed = access.readUInt16LE(offset) & ((mode >> shift) & 7);
    access.writeUInt16LE(allowed, offset);
    permissions |= allowed << shift;
  };
  limit(USER_OBJ, 6);
  limit(entries.has(MASK) ? MASK : GROUP_OBJ, 3);
  limit(OTHER, 0);
  return { mode: (mode & ~0o777) | permissions, access: entries.size > 3 ? access : undefined };
}
