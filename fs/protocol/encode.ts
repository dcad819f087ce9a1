import { FsError } from '../errno.ts';
import type { FsStatistics, NodeReply, OpenReply } from '../file-system.ts';
import type { Name } from '../name.ts';
import type { Stat } from '../stat.ts';
import type { Request } from './decode.ts';
import { FOPEN, STATX_BASIC_STATS, STATX_BTIME } from './flags.ts';
import { NOTIFY } from './opcode.ts';
import type { Value } from './struct.ts';
import * as wire from './structs.ts';

/** Where a reply's body begins. */
export const BODY = wire.fuse_out_header.size;

/** 136 years: only we change what is mounted. */
export const FOR_EVER = 0xffff_ffff;

/** A buffer replies are built in, header first; `put…` write a body and give its length. */
export class ReplyBuffer {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Seconds the kernel may cache names, their absence and attributes; with 0 it keeps no listing and no data either. */
  validity = FOR_EVER;

  constructor(size: number) {
    // Its own memory, not Node's shared pool: the kernel reads it by address.
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
  }

  /** Writes the header of a reply; the length of the whole. `errno` is 0 or a positive number. */
  finish(request: Request, bodyLength: number, errno: number): number {
    const { view } = this;
    view.setUint32(0, BODY + bodyLength, true);
    view.setInt32(4, -errno, true);
    view.setUint32(8, request.uniqueLow, true);
    view.setUint32(12, request.uniqueHigh, true);
    return BODY + bodyLength;
  }

  putEntry(node: NodeReply | undefined): number {
    writeEntry(this.view, BODY, node, this.validity);
    return wire.fuse_entry_out.size;
  }

  putAttributes(stat: Stat): number {
    wire.fuse_attr_out.write(this.view, BODY, { attr_valid: this.validity, attr: attributes(stat) });
    return wire.fuse_attr_out.size;
  }

  putStatx(stat: Stat): number {
    wire.fuse_statx_out.write(this.view, BODY, { attr_valid: this.validity, stat: statx(stat) });
    return wire.fuse_statx_out.size;
  }

  putOpen(open: OpenReply): number {
    writeOpen(this.view, BODY, open, this.validity > 0);
    return wire.fuse_open_out.size;
  }

  putOpenDirectory(open: { handle: number; keepCache?: boolean; cacheDirectory?: boolean }): number {
    const open_flags = this.validity === 0 ? 0 : (open.keepCache === true ? FOPEN.KEEP_CACHE : 0) | (open.cacheDirectory === true ? FOPEN.CACHE_DIR : 0);
    wire.fuse_open_out.write(this.view, BODY, { fh: open.handle, open_flags, backing_id: 0 });
    return wire.fuse_open_out.size;
  }

  putCreated(created: NodeReply & { open: OpenReply }): number {
    writeEntry(this.view, BODY, created, this.validity);
    writeOpen(this.view, BODY + wire.fuse_entry_out.size, created.open, this.validity > 0);
    return wire.fuse_entry_out.size + wire.fuse_open_out.size;
  }

  putWritten(size: number): number {
    wire.fuse_write_out.write(this.view, BODY, { size });
    return wire.fuse_write_out.size;
  }

  putOffset(offset: number): number {
    wire.fuse_lseek_out.write(this.view, BODY, { offset });
    return wire.fuse_lseek_out.size;
  }

  putStatistics(statistics: FsStatistics): number {
    wire.fuse_statfs_out.write(this.view, BODY, {
      blocks: statistics.blocks, bfree: statistics.freeBlocks, bavail: statistics.availableBlocks, files: statistics.files, ffree: statistics.freeFiles,
      bsize: statistics.blockSize, namelen: statistics.nameMax, frsize: statistics.fragmentSize,
    });
    return wire.fuse_statfs_out.size;
  }

  /** A string without its NUL (READLINK). */
  putName(name: Name): number {
    return this.bytes.latin1Write(name, BODY);
  }

  /** GETXATTR and LISTXATTR: the value, its size where `room` is 0, ERANGE where it doesn't fit. */
  putXattr(value: Buffer, room: number): number {
    if (room === 0) {
      wire.fuse_getxattr_out.write(this.view, BODY, { size: value.length });
      return wire.fuse_getxattr_out.size;
    }
    if (value.length > room) throw new FsError('ERANGE', `Cannot give an extended attribute of ${value.length} bytes into ${room}`);
    value.copy(this.bytes, BODY);
    return value.length;
  }

  putIoctl(result: Buffer): number {
    wire.fuse_ioctl_out.write(this.view, BODY, { result: 0, flags: 0, in_iovs: 0, out_iovs: 0 });
    result.copy(this.bytes, BODY + wire.fuse_ioctl_out.size);
    return wire.fuse_ioctl_out.size + result.length;
  }

  putInit(init: Value<typeof wire.fuse_init_out>): number {
    wire.fuse_init_out.write(this.view, BODY, init);
    return wire.fuse_init_out.size;
  }
}

/** The kernel's 32-bit spelling of a device (new_encode_dev). */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

function attributes(stat: Stat): Value<typeof wire.fuse_attr> {
  return {
    ino: stat.ino, size: stat.size, blocks: stat.blocks, atime: stat.atimeSec, mtime: stat.mtimeSec, ctime: stat.ctimeSec, atimensec: stat.atimeNsec,
    mtimensec: stat.mtimeNsec, ctimensec: stat.ctimeNsec, mode: stat.mode, nlink: stat.nlink, uid: stat.uid, gid: stat.gid,
    rdev: encodeDevice(stat.rdevMajor, stat.rdevMinor), blksize: stat.blockSize,
  };
}

function statx(stat: Stat): Value<typeof wire.fuse_statx> {
  const hasBirth = stat.btimeSec !== 0 || stat.btimeNsec !== 0;
  return {
    mask: hasBirth ? STATX_BASIC_STATS | STATX_BTIME : STATX_BASIC_STATS, blksize: stat.blockSize, nlink: stat.nlink, uid: stat.uid, gid: stat.gid,
    mode: stat.mode, ino: stat.ino, size: stat.size, blocks: stat.blocks, atime: { tv_sec: stat.atimeSec, tv_nsec: stat.atimeNsec },
    btime: { tv_sec: stat.btimeSec, tv_nsec: stat.btimeNsec }, ctime: { tv_sec: stat.ctimeSec, tv_nsec: stat.ctimeNsec },
    mtime: { tv_sec: stat.mtimeSec, tv_nsec: stat.mtimeNsec }, rdev_major: stat.rdevMajor, rdev_minor: stat.rdevMinor,
  };
}

const NO_ATTRIBUTES: Value<typeof wire.fuse_attr> = {
  ino: 0, size: 0, blocks: 0, atime: 0, mtime: 0, ctime: 0, atimensec: 0, mtimensec: 0, ctimensec: 0, mode: 0, nlink: 0, uid: 0, gid: 0, rdev: 0, blksize: 0,
};

/** A fuse_entry_out; without a node one with id 0, which LOOKUP's caller remembers as "no such name". */
export function writeEntry(view: DataView, offset: number, node: NodeReply | undefined, validity: number): void {
  wire.fuse_entry_out.write(view, offset, {
    nodeid: node === undefined ? 0 : node.id, generation: node === undefined ? 0 : node.generation, entry_valid: validity, attr_valid: validity,
    attr: node === undefined ? NO_ATTRIBUTES : attributes(node.stat),
  });
}

function writeOpen(view: DataView, offset: number, open: OpenReply, mayKeep: boolean): void {
  let open_flags = 0;
  if (open.passthrough !== undefined) open_flags |= FOPEN.PASSTHROUGH;
  if (mayKeep && open.keepCache === true) open_flags |= FOPEN.KEEP_CACHE;
  if (open.directIo === true) open_flags |= FOPEN.DIRECT_IO;
  wire.fuse_open_out.write(view, offset, { fh: open.handle, open_flags, backing_id: open.passthrough ?? 0 });
}

function notification(code: number, bodyLength: number): { bytes: Buffer; view: DataView } {
  const bytes = Buffer.alloc(BODY + bodyLength);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  wire.fuse_out_header.write(view, 0, { len: bytes.length, error: code });
  return { bytes, view };
}

/** "Drop the attributes of a node and, of its pages, `length` bytes from `offset`" (0: to the end; a negative offset: no pages). */
export function invalidateInode(id: number, offset: number, length: number): Buffer {
  const { bytes, view } = notification(NOTIFY.INVAL_INODE, wire.fuse_notify_inval_inode_out.size);
  wire.fuse_notify_inval_inode_out.write(view, BODY, { ino: id, off: offset, len: length });
  return bytes;
}

export function invalidateEntry(parent: number, name: Name): Buffer {
  const { bytes, view } = notification(NOTIFY.INVAL_ENTRY, wire.fuse_notify_inval_entry_out.size + name.length + 1);
  wire.fuse_notify_inval_entry_out.write(view, BODY, { parent, namelen: name.length, flags: 0 });
  bytes.latin1Write(name, BODY + wire.fuse_notify_inval_entry_out.size);
  return bytes;
}
