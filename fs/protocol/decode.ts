import { FsError } from '../errno.ts';
import type { AttributeChange } from '../file-system.ts';
import { NAME_MAX, type Name } from '../name.ts';
import { FATTR } from './flags.ts';
import { OPCODE, opcodeName } from './opcode.ts';
import type { Fields, Struct, Value, ValueOf } from './struct.ts';
import * as wire from './structs.ts';

/** What the session has agreed on and decoding depends on. */
export interface DecodeOptions {
  /** FUSE_SETXATTR_EXT: SETXATTR has the longer head. */
  setxattrExt: boolean;
}

/** One request: its header and, by opcode, its body (`BodyOf`). It serves as `Caller` too. */
export interface Request<Body = unknown> {
  opcode: number;
  /** `unique` in two halves: it is only compared and sent back, and bit 63 may be set. */
  uniqueLow: number;
  uniqueHigh: number;
  nodeid: number;
  uid: number;
  gid: number;
  pid: number;
  body: Body;
}

/** Reads a request from front to back; every step checks that the bytes are there. */
class Cursor {
  private readonly buffer: Buffer;
  readonly view: DataView;
  offset = 0;
  end = 0;
  opcode = 0;
  setxattrExt = false;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }

  fail(why: string): never {
    throw new FsError('EINVAL', `Cannot decode ${opcodeName(this.opcode)}: ${why}`);
  }

  struct<F extends Fields>(table: Struct<F>): ValueOf<F> {
    const offset = this.offset;
    if (offset + table.size > this.end) this.fail(`${this.end - offset} bytes where ${table.size} are needed`);
    this.offset = offset + table.size;
    return table.read(this.view, offset);
  }

  /** A string up to its NUL. */
  name(): Name {
    const stop = this.buffer.indexOf(0, this.offset);
    if (stop === -1 || stop >= this.end) this.fail('a name without its end');
    const name = this.buffer.latin1Slice(this.offset, stop);
    this.offset = stop + 1;
    return name;
  }

  /** The name of a file; the kernel lets up to 1024 bytes through and leaves the limit to us. */
  fileName(): Name {
    const name = this.name();
    if (name.length > NAME_MAX) throw new FsError('ENAMETOOLONG', `Cannot do ${opcodeName(this.opcode)}: a name of ${name.length} bytes, over ${NAME_MAX}`);
    return name;
  }

  /** The next bytes, as a view of the receive buffer: valid until the next request is read. */
  bytes(length: number): Buffer {
    if (this.offset + length > this.end) this.fail(`${this.end - this.offset} bytes of data where ${length} are announced`);
    const start = this.offset;
    this.offset = start + length;
    return this.buffer.subarray(start, this.offset);
  }
}

function nothing(): undefined {
  return undefined;
}

function fileName(cursor: Cursor): Name {
  return cursor.fileName();
}

function only<F extends Fields>(table: Struct<F>): (cursor: Cursor) => ValueOf<F> {
  return (cursor) => cursor.struct(table);
}

function withFileName<F extends Fields>(table: Struct<F>): (cursor: Cursor) => { in: ValueOf<F>; name: Name } {
  return (cursor) => ({ in: cursor.struct(table), name: cursor.fileName() });
}

/** How each opcode's body is read; opcodes that are not here are answered with ENOSYS, whatever they carry. */
export const DECODERS = {
  [OPCODE.LOOKUP]: fileName,
  [OPCODE.FORGET]: only(wire.fuse_forget_in),
  [OPCODE.BATCH_FORGET]: (cursor: Cursor): Value<typeof wire.fuse_forget_one>[] => {
    const { count } = cursor.struct(wire.fuse_batch_forget_in);
    if (cursor.offset + count * wire.fuse_forget_one.size > cursor.end) cursor.fail(`${count} nodes announced in ${cursor.end - cursor.offset} bytes`);
    return Array.from({ length: count }, () => cursor.struct(wire.fuse_forget_one));
  },
  [OPCODE.GETATTR]: only(wire.fuse_getattr_in),
  [OPCODE.SETATTR]: only(wire.fuse_setattr_in),
  [OPCODE.READLINK]: nothing,
  [OPCODE.SYMLINK]: (cursor: Cursor) => ({ name: cursor.fileName(), target: cursor.name() }),
  [OPCODE.MKNOD]: withFileName(wire.fuse_mknod_in),
  [OPCODE.MKDIR]: withFileName(wire.fuse_mkdir_in),
  [OPCODE.UNLINK]: fileName,
  [OPCODE.RMDIR]: fileName,
  [OPCODE.RENAME]: (cursor: Cursor) => ({ newdir: cursor.struct(wire.fuse_rename_in).newdir, flags: 0, name: cursor.fileName(), newName: cursor.fileName() }),
  [OPCODE.RENAME2]: (cursor: Cursor) => {
    const { newdir, flags } = cursor.struct(wire.fuse_rename2_in);
    return { newdir, flags, name: cursor.fileName(), newName: cursor.fileName() };
  },
  [OPCODE.LINK]: withFileName(wire.fuse_link_in),
  [OPCODE.OPEN]: only(wire.fuse_open_in),
  [OPCODE.READ]: only(wire.fuse_read_in),
  [OPCODE.WRITE]: (cursor: Cursor) => {
    const head = cursor.struct(wire.fuse_write_in);
    return { in: head, data: cursor.bytes(head.size) };
  },
  [OPCODE.STATFS]: nothing,
  [OPCODE.RELEASE]: only(wire.fuse_release_in),
  [OPCODE.FSYNC]: only(wire.fuse_fsync_in),
  [OPCODE.SETXATTR]: (cursor: Cursor) => {
    const head = cursor.setxattrExt ? cursor.struct(wire.fuse_setxattr_in) : { ...cursor.struct(wire.fuse_setxattr_in_compat), setxattr_flags: 0 };
    // A copy: the file system may keep the value.
    return { in: head, name: cursor.name(), value: Buffer.from(cursor.bytes(head.size)) };
  },
  [OPCODE.GETXATTR]: (cursor: Cursor) => ({ in: cursor.struct(wire.fuse_getxattr_in), name: cursor.name() }),
  [OPCODE.LISTXATTR]: only(wire.fuse_getxattr_in),
  [OPCODE.REMOVEXATTR]: (cursor: Cursor): Name => cursor.name(),
  [OPCODE.FLUSH]: only(wire.fuse_flush_in),
  [OPCODE.INIT]: (cursor: Cursor): Value<typeof wire.fuse_init_in> =>
    cursor.end - cursor.offset >= wire.fuse_init_in.size ? cursor.struct(wire.fuse_init_in) : { ...cursor.struct(wire.fuse_init_in_compat), flags2: 0 },
  [OPCODE.OPENDIR]: only(wire.fuse_open_in),
  [OPCODE.READDIR]: only(wire.fuse_read_in),
  [OPCODE.READDIRPLUS]: only(wire.fuse_read_in),
  [OPCODE.RELEASEDIR]: only(wire.fuse_release_in),
  [OPCODE.FSYNCDIR]: only(wire.fuse_fsync_in),
  [OPCODE.CREATE]: withFileName(wire.fuse_create_in),
  // The name that follows says nothing (the file has none).
  [OPCODE.TMPFILE]: only(wire.fuse_create_in),
  [OPCODE.INTERRUPT]: only(wire.fuse_interrupt_in),
  [OPCODE.DESTROY]: nothing,
  [OPCODE.IOCTL]: (cursor: Cursor) => {
    const head = cursor.struct(wire.fuse_ioctl_in);
    return { in: head, argument: Buffer.from(cursor.bytes(head.in_size)) };
  },
  [OPCODE.FALLOCATE]: only(wire.fuse_fallocate_in),
  [OPCODE.LSEEK]: only(wire.fuse_lseek_in),
  [OPCODE.COPY_FILE_RANGE]: only(wire.fuse_copy_file_range_in),
  [OPCODE.COPY_FILE_RANGE_64]: only(wire.fuse_copy_file_range_in),
  [OPCODE.SYNCFS]: nothing,
  [OPCODE.STATX]: only(wire.fuse_statx_in),
};

export type DecodedOpcode = keyof typeof DECODERS;
export type BodyOf<O extends DecodedOpcode> = ReturnType<(typeof DECODERS)[O]>;

const BY_OPCODE: (((cursor: Cursor) => unknown) | undefined)[] = [];
for (const [opcode, decoder] of Object.entries(DECODERS)) BY_OPCODE[Number(opcode)] = decoder as (cursor: Cursor) => unknown;

/** Decodes the requests that are read into one buffer. Requests may keep views of it: see `Cursor.bytes`. */
export class Decoder {
  private readonly cursor: Cursor;

  constructor(buffer: Buffer) {
    this.cursor = new Cursor(buffer);
  }

  /** The header of the first `length` bytes; the body is still undefined. Throws FsError where they can't be a request. */
  header(length: number): Request {
    const cursor = this.cursor;
    const view = cursor.view;
    cursor.opcode = length >= 8 ? view.getUint32(4, true) : 0;
    if (length < wire.fuse_in_header.size) cursor.fail(`${length} bytes where the header has ${wire.fuse_in_header.size}`);
    const head = wire.fuse_in_header.read(view, 0);
    if (head.len !== length) cursor.fail(`its header says ${head.len} bytes, ${length} were read`);
    cursor.offset = wire.fuse_in_header.size;
    cursor.end = length - head.total_extlen * 8;
    return {
      opcode: head.opcode, uniqueLow: view.getUint32(8, true), uniqueHigh: view.getUint32(12, true), nodeid: head.nodeid, uid: head.uid, gid: head.gid,
      pid: head.pid, body: undefined,
    };
  }

  /** Reads the body of the request whose header was read last. */
  body(request: Request, options: DecodeOptions): void {
    this.cursor.setxattrExt = options.setxattrExt;
    const decoder = BY_OPCODE[request.opcode];
    if (decoder !== undefined) request.body = decoder(this.cursor);
  }
}

/** A request decoded as a whole. */
export function decode(bytes: Buffer, options: DecodeOptions = { setxattrExt: true }): Request {
  const decoder = new Decoder(bytes);
  const request = decoder.header(bytes.length);
  decoder.body(request, options);
  return request;
}

/** SETATTR's valid bits and values as a change. */
export function attributeChange(body: BodyOf<typeof OPCODE.SETATTR>): AttributeChange {
  const { valid } = body;
  const change: AttributeChange = {};
  if (valid & FATTR.MODE) change.mode = body.mode & 0o7777;
  if (valid & FATTR.UID) change.uid = body.uid;
  if (valid & FATTR.GID) change.gid = body.gid;
  if (valid & FATTR.SIZE) change.size = body.size;
  if (valid & FATTR.ATIME_NOW) change.atime = 'now';
  else if (valid & FATTR.ATIME) change.atime = { sec: body.atime, nsec: body.atimensec };
  if (valid & FATTR.MTIME_NOW) change.mtime = 'now';
  else if (valid & FATTR.MTIME) change.mtime = { sec: body.mtime, nsec: body.mtimensec };
  if (valid & FATTR.CTIME) change.ctime = { sec: body.ctime, nsec: body.ctimensec };
  if (valid & FATTR.KILL_SUIDGID) change.killPrivileges = true;
  if (valid & FATTR.FH) change.handle = body.fh;
  return change;
}

/** The two numbers of a device in the kernel's 32-bit spelling (new_decode_dev). */
export function deviceMajor(device: number): number {
  return (device >>> 8) & 0xfff;
}

export function deviceMinor(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}
