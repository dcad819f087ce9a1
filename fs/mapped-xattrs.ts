import type { IdMaps } from './id-map.ts';
import type { Name } from './name.ts';
import { ACCESS_ACL, CAPABILITY, DEFAULT_ACL } from './xattr-names.ts';

const ACLS: readonly Name[] = [ACCESS_ACL, DEFAULT_ACL];
/** Tags of entries that name a user or group (posix_acl_xattr.h). */
const ACL_USER = 2;
const ACL_GROUP = 8;
/** VFS_CAP_REVISION_2 and _3, and their sizes (linux/capability.h). The third says whose root has the capabilities. */
const REVISION_MASK = 0xff00_0000;
const REVISION_2 = 0x0200_0000;
const REVISION_3 = 0x0300_0000;
const SIZE_2 = 20;
const SIZE_3 = 24;

/** A value as the kernel outside is to see it: ids in ACLs, and whose root file capabilities are for. */
export function xattrToOutside(maps: IdMaps, name: Name, value: Buffer): Buffer {
  if (ACLS.includes(name)) return mapAcl(value, (id) => maps.uid.toOutside(id), (id) => maps.gid.toOutside(id));
  if (name !== CAPABILITY || value.length < SIZE_2) return value;
  const root = value.length >= SIZE_3 && revision(value) === REVISION_3 ? value.readUInt32LE(SIZE_2) : 0;
  const mapped = maps.uid.toOutside(root);
  if (mapped === 0) return value;
  const out = Buffer.alloc(SIZE_3);
  value.copy(out, 0, 0, SIZE_2);
  out.writeUInt32LE(((value.readUInt32LE(0) & ~REVISION_MASK) | REVISION_3) >>> 0, 0);
  out.writeUInt32LE(mapped, SIZE_2);
  return out;
}

/** A value from outside as it is kept. EOVERFLOW where it names who has no id inside. */
export function xattrToInside(maps: IdMaps, name: Name, value: Buffer): Buffer {
  if (ACLS.includes(name)) return mapAcl(value, (id) => maps.uid.toInside(id), (id) => maps.gid.toInside(id));
  if (name !== CAPABILITY || value.length < SIZE_3 || revision(value) !== REVISION_3) return value;
  const root = maps.uid.toInside(value.readUInt32LE(SIZE_2));
  const out = Buffer.from(value.subarray(0, root === 0 ? SIZE_2 : SIZE_3));
  if (root === 0) out.writeUInt32LE(((value.readUInt32LE(0) & ~REVISION_MASK) | REVISION_2) >>> 0, 0);
  else out.writeUInt32LE(root, SIZE_2);
  return out;
}

function revision(capability: Buffer): number {
  return (capability.readUInt32LE(0) & REVISION_MASK) >>> 0;
}

function mapAcl(value: Buffer, user: (id: number) => number, group: (id: number) => number): Buffer {
  const out = Buffer.from(value);
  for (let offset = 4; offset + 8 <= out.length; offset += 8) {
    const tag = out.readUInt16LE(offset);
    if (tag === ACL_USER) out.writeUInt32LE(user(out.readUInt32LE(offset + 4)), offset + 4);
    else if (tag === ACL_GROUP) out.writeUInt32LE(group(out.readUInt32LE(offset + 4)), offset + 4);
  }
  return out;
}
