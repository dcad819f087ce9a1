import type { Name } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';

/** Archives are made of blocks of this many bytes. */
export const BLOCK = 512;

/** Payload of one extended header (`x`, `g`, `L`, `K`), and bytes of a sparse map, at most. */
export const HEADER_MAX = 1024 * 1024;

/** One member as its header block and the extended headers before it say. Numbers are as written: range checks are the reader's user's. */
export interface Header {
  /** The type flag, one character. */
  type: string;
  name: Name;
  linkName: Name;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of payload as claimed; the types in `HEADER_ONLY` have none whatever it says. */
  size: number;
  mtimeSec: number;
  mtimeNsec: number;
  major: number;
  minor: number;
  /** The records of the pax header before it; undefined where there was none. */
  pax?: PaxRecords;
}

/** Pax records by key; of duplicates the last. Values are bytes. */
export type PaxRecords = Map<Name, Buffer>;

/** Hard link, symlink, devices, directory, fifo: no payload follows these, whatever their size field says. */
export const HEADER_ONLY = '123456';

export function invalid(reason: string): UfsError {
  return new UfsError('UFS_ARCHIVE_INVALID', reason);
}

/** Where the fields of a header block are: [offset, length]. */
const FIELD = {
  name: [0, 100], mode: [100, 8], uid: [108, 8], gid: [116, 8], size: [124, 12], mtime: [136, 12], checksum: [148, 8], type: [156, 1], linkName: [157, 100],
  magic: [257, 6], version: [263, 2], major: [329, 8], minor: [337, 8], prefix: [345, 155], starPrefix: [345, 131], gnuTimes: [345, 24], trailer: [508, 4],
} as const;
type Field = readonly [offset: number, length: number];

/** Reads a header block; throws where its checksum or a number is wrong. */
export function decodeBlock(block: Buffer): Header {
  checkChecksum(block);
  const header: Header = {
    type: String.fromCharCode(block[FIELD.type[0]]),
    name: text(block, FIELD.name),
    linkName: text(block, FIELD.linkName),
    mode: permissions(block),
    uid: number(block, FIELD.uid),
    gid: number(block, FIELD.gid),
    size: number(block, FIELD.size),
    mtimeSec: number(block, FIELD.mtime),
    mtimeNsec: 0,
    major: 0,
    minor: 0,
  };
  const magic = block.latin1Slice(257, 265);
  if (!magic.startsWith('ustar\0') && magic !== 'ustar  \0') return header;
  header.major = number(block, FIELD.major);
  header.minor = number(block, FIELD.minor);
  const prefix = prefixOf(block, magic);
  if (prefix !== '') header.name = `${prefix}/${header.name}`;
  return header;
}

function prefixOf(block: Buffer, magic: string): Name {
  if (magic.startsWith('ustar\0')) return text(block, block.latin1Slice(508, 512) === 'tar\0' ? FIELD.starPrefix : FIELD.prefix);
  // GNU keeps times here. Go before 1.8, and so old Dockers, wrote a prefix in GNU headers all the same: what isn't a time is one.
  if (block[345] === 0 || /^[0-7 \0\x80-\xff]*$/.test(block.latin1Slice(345, 369))) return '';
  const prefix = text(block, FIELD.prefix);
  return /^[\0-\x7f]*$/.test(prefix) ? prefix : '';
}

function checkChecksum(block: Buffer): void {
  let unsigned = 8 * 0x20;
  let negative = 0;
  for (let index = 0; index < BLOCK; index++) {
    if (index === 148) index = 156;
    const byte = block[index];
    unsigned += byte;
    if (byte > 127) negative++;
  }
  const stored = number(block, FIELD.checksum);
  // Some writers summed signed characters.
  if (stored !== unsigned && stored !== unsigned - 256 * negative) throw invalid('invalid tar header: its checksum is wrong');
}

/** A string ends at its first NUL. */
function text(block: Buffer, [offset, length]: Field): Name {
  const end = block.indexOf(0, offset);
  return block.latin1Slice(offset, end === -1 ? offset + length : Math.min(end, offset + length));
}

/** A number field: octal, or base-256 where the first bit is set. */
function number(block: Buffer, [offset, length]: Field): number {
  if (block[offset] & 0x80) return base256(block.subarray(offset, offset + length));
  let start = offset;
  let end = offset + length;
  while (start < end && isBlank(block[start])) start++;
  while (end > start && isBlank(block[end - 1])) end--;
  let value = 0;
  for (let index = start; index < end && block[index] !== 0; index++) {
    const digit = block[index] - 0x30;
    if (digit < 0 || digit > 7) throw invalid('invalid tar header: a number field isn\'t octal');
    value = value * 8 + digit;
  }
  return value;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0;
}

/** Two's complement, big-endian; the highest bit only marks the encoding. */
function base256(bytes: Buffer): number {
  let value = BigInt(bytes[0] & 0x7f);
  for (const byte of bytes.subarray(1)) value = (value << 8n) | BigInt(byte);
  if (bytes[0] & 0x40) value -= 1n << BigInt(bytes.length * 8 - 1);
  if (BigInt.asIntN(64, value) !== value) throw invalid('invalid tar header: a number field is over 64 bits');
  return Number(value);
}

function permissions(block: Buffer): number {
  // Only these bits count, and a number of 8 bytes would lose them to rounding.
  if (block[100] & 0x80) return ((block[106] << 8) | block[107]) & 0o7777;
  return number(block, FIELD.mode) % 0o10000;
}

/** Reads the payload of a pax header (`x`). */
export function decodePax(payload: Buffer): PaxRecords {
  const records: PaxRecords = new Map();
  const sparseMap: string[] = [];
  for (let offset = 0; offset < payload.length;) {
    const space = payload.indexOf(0x20, offset);
    const digits = space === -1 || space - offset > 10 ? '' : payload.latin1Slice(offset, space);
    const end = offset + Number(digits);
    if (!/^\d+$/.test(digits) || end - offset < 5 || end > payload.length || end <= space + 1 || payload[end - 1] !== 0x0a) throw invalid('invalid pax record: its length is wrong');
    const equals = payload.indexOf(0x3d, space);
    if (equals === -1 || equals >= end || equals === space + 1) throw invalid('invalid pax record: it has no key');
    const key = payload.latin1Slice(space + 1, equals);
    const value = Buffer.from(payload.subarray(equals + 1, end - 1));
    if (key.includes('\0') || (STRING_KEYS.has(key) && value.includes(0))) throw invalid('invalid pax record: it holds a NUL');
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      // Sparse format 0.0 repeats these two keys in turn; they become the one list of format 0.1.
      if ((key === 'GNU.sparse.offset') !== (sparseMap.length % 2 === 0) || value.includes(0x2c)) throw invalid('invalid pax record: sparse offsets and sizes are out of order');
      sparseMap.push(value.latin1Slice());
    } else {
      records.set(key, value);
    }
    offset = end;
  }
  if (sparseMap.length > 0) records.set('GNU.sparse.map', Buffer.from(sparseMap.join(','), 'latin1'));
  return records;
}

const STRING_KEYS: ReadonlySet<string> = new Set(['path', 'linkpath', 'uname', 'gname']);

/** Lets pax records override what the block says. An empty value means: as the block says. */
export function mergePax(header: Header, records: PaxRecords): void {
  header.pax = records;
  const value = (key: string): Name => records.get(key)?.latin1Slice() ?? '';
  header.name = value('path') || header.name;
  header.linkName = value('linkpath') || header.linkName;
  for (const key of ['uid', 'gid', 'size'] as const) if (value(key) !== '') header[key] = paxInteger(key, value(key));
  for (const key of ['atime', 'ctime', 'mtime'] as const) {
    if (value(key) === '') continue;
    const time = paxTime(key, value(key));
    if (key === 'mtime') [header.mtimeSec, header.mtimeNsec] = time;
  }
}

/** A decimal number of a pax record. */
export function paxInteger(key: string, value: string): number {
  if (!/^[+-]?\d{1,20}$/.test(value) || BigInt.asIntN(64, BigInt(value.replace('+', ''))) !== BigInt(value.replace('+', ''))) throw invalid(`invalid pax record: ${key} isn't a number of 64 bits`);
  return Number(value);
}

function paxTime(key: string, value: string): [seconds: number, nanoseconds: number] {
  const [, whole, fraction = ''] = /^([+-]?\d+)(?:\.(\d*))?$/.exec(value) ?? [];
  if (whole === undefined) throw invalid(`invalid pax record: ${key} isn't a time`);
  const seconds = paxInteger(key, whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  return whole.startsWith('-') && nanoseconds > 0 ? [seconds - 1, 1_000_000_000 - nanoseconds] : [seconds, nanoseconds];
}

/** What `encodeHeader` writes; what is absent is 0 or empty. */
export interface HeaderFields {
  type: string;
  name: Name;
  linkName?: Name;
  mode: number;
  uid?: number;
  gid?: number;
  size?: number;
  mtimeSec?: number;
  /** Written only where it isn't 0. */
  mtimeNsec?: number;
  major?: number;
  minor?: number;
  xattrs?: ReadonlyMap<Name, Buffer>;
}

/** A header as bytes: a plain ustar block, with a pax header before it only where something doesn't fit into that. */
export function encodeHeader(fields: HeaderFields): Buffer {
  const records: [key: Name, value: Buffer][] = [];
  const record = (key: string, value: string): void => void records.push([key, Buffer.from(value, 'latin1')]);
  const fitNumber = (key: string, value: number, digits: number): number => {
    if (value >= 0 && value < 8 ** digits) return value;
    record(key, String(value));
    return 0;
  };
  for (const [key, value] of [['path', fields.name], ['linkpath', fields.linkName ?? '']] as const) {
    if (value.length > 100 || /[^\0-\x7f]/.test(value)) record(key, value);
  }
  const block = Buffer.alloc(BLOCK);
  block.latin1Write(fields.name.slice(0, 100), 0);
  octal(block, FIELD.mode, fields.mode);
  octal(block, FIELD.uid, fitNumber('uid', fields.uid ?? 0, 7));
  octal(block, FIELD.gid, fitNumber('gid', fields.gid ?? 0, 7));
  octal(block, FIELD.size, fitNumber('size', fields.size ?? 0, 11));
  octal(block, FIELD.mtime, encodeTime(fields, record));
  block.latin1Write(fields.type, 156);
  block.latin1Write((fields.linkName ?? '').slice(0, 100), 157);
  block.latin1Write('ustar\x0000', 257);
  device(block, FIELD.major, fields.major ?? 0);
  device(block, FIELD.minor, fields.minor ?? 0);
  for (const [name, value] of fields.xattrs ?? []) records.push([`SCHILY.xattr.${name}`, value]);
  writeChecksum(block);
  return records.length === 0 ? block : Buffer.concat([encodePax(fields.name, records), block]);
}

function encodeTime(fields: HeaderFields, record: (key: string, value: string) => void): number {
  const [seconds, nanoseconds] = [fields.mtimeSec ?? 0, fields.mtimeNsec ?? 0];
  if (nanoseconds === 0 && seconds >= 0 && seconds < 8 ** 11) return seconds;
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  const digits = (total < 0n ? -total : total).toString().padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0+$/, '');
  record('mtime', `${total < 0n ? '-' : ''}${digits.slice(0, -9)}${fraction === '' ? '' : `.${fraction}`}`);
  return Math.min(Math.max(seconds, 0), 8 ** 11 - 1);
}

function encodePax(name: Name, records: [key: Name, value: Buffer][]): Buffer {
  records.sort(([a], [b]) => (a < b ? -1 : 1));
  const payload = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
  if (payload.length > HEADER_MAX) throw invalid(`its extended header is ${payload.length} bytes, over ${HEADER_MAX}`);
  const path = name.replace(/\/+$/, '');
  const slash = path.lastIndexOf('/');
  const block = encodeHeader({ type: 'x', name: `${path.slice(0, slash + 1)}PaxHeaders.0/${path.slice(slash + 1)}`.replace(/[^\0-\x7f]/g, '').slice(0, 100), mode: 0, size: payload.length });
  return Buffer.concat([block, payload, Buffer.alloc(paddingOf(payload.length))]);
}

/** One pax record as bytes; its length counts its own digits. */
export function paxRecord(key: Name, value: Buffer): Buffer {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`, 'latin1'), value, Buffer.from('\n')]);
}

function octal(block: Buffer, [offset, length]: Field, value: number): void {
  block.latin1Write(value.toString(8).padStart(length - 1, '0'), offset);
}

/** Pax has no records for device numbers: what octal digits can't hold is base-256, as GNU tar writes it. */
function device(block: Buffer, field: Field, value: number): void {
  if (value < 8 ** 7) return octal(block, field, value);
  block[field[0]] = 0x80;
  block.writeUInt32BE(value, field[0] + 4);
}

/** Sets the checksum of a block that is else complete. */
export function writeChecksum(block: Buffer): void {
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.latin1Write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}

/** Zeros that follow a payload to fill its last block. */
export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
