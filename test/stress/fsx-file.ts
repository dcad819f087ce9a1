import fs from 'node:fs';
import { addressOf } from '../../fs/host/native.ts';
import { copyFileRange, fallocate, lseek } from '../../fs/host/file.ts';
import { O_APPEND, O_DIRECT, O_RDONLY, O_RDWR, O_WRONLY, SEEK_DATA, SEEK_HOLE } from '../../fs/host/constants.ts';
import { hasCode } from '../../fs/errno.ts';
import { dropPages, mapFile, type Mapping, MAP_SHARED, PROT_READ, PROT_WRITE, syncFileSystem } from '../posix/system.ts';
import { type Allocation, ALLOCATIONS, BLOCK, type DescriptorName, pattern, type Operation } from './fsx-operation.ts';

const FLAGS: Readonly<Record<DescriptorName, number>> = { reader: O_RDONLY, writer: O_RDWR, appender: O_WRONLY | O_APPEND, direct: O_RDWR | O_DIRECT };
type MappingName = 'readerMapping' | 'writerMapping';

/** What differs from what should be there. */
export class Difference extends Error {}

type Of<Action extends Operation['do']> = Extract<Operation, { do: Action }>;

/** A file that operations are done on, and what it must hold after each: kept in memory. */
export class CheckedFile {
  readonly path: string;
  /** All it must hold. */
  content: Buffer;
  readonly #descriptors = new Map<DescriptorName, number>();
  readonly #mappings = new Map<MappingName, Mapping>();
  readonly #plain: string;

  /** `plain`: a directory where the file system below is seen without the mount, to ask what it can. */
  constructor(path: string, content: Buffer, plain: string) {
    this.path = path;
    this.content = content;
    this.#plain = plain;
  }

  /** An open descriptor, opened if it isn't yet. `direct` is a plain one where the file system has no O_DIRECT. */
  descriptor(name: DescriptorName): number {
    let fd = this.#descriptors.get(name);
    if (fd === undefined) {
      try {
        fd = fs.openSync(this.path, FLAGS[name]);
      } catch (error) {
        if (name !== 'direct' || !hasCode(error, 'EINVAL')) throw error;
        fd = fs.openSync(this.path, O_RDWR);
      }
      this.#descriptors.set(name, fd);
    }
    return fd;
  }

  close(what: DescriptorName | MappingName): void {
    if (what === 'readerMapping' || what === 'writerMapping') {
      this.#mappings.get(what)?.unmap();
      this.#mappings.delete(what);
      return;
    }
    const fd = this.#descriptors.get(what);
    this.#descriptors.delete(what);
    if (fd !== undefined) fs.closeSync(fd);
  }

  closeAll(): void {
    for (const name of [...this.#mappings.keys(), ...this.#descriptors.keys()]) this.close(name);
  }

  read({ by, offset, length }: Of<'read'>): void {
    const bytes = by === 'direct' ? alignedBuffer(length) : Buffer.alloc(length);
    const count = readAt(this.descriptor(by), bytes, offset);
    this.#same(bytes.subarray(0, count), offset, Math.min(length, Math.max(0, this.content.length - offset)));
  }

  write({ by, offset, length, fill }: Of<'write'>): void {
    const bytes = by === 'direct' ? alignedBuffer(length) : Buffer.alloc(length);
    pattern(offset, length, fill).copy(bytes);
    for (let done = 0; done < length; ) done += fs.writeSync(this.descriptor(by), bytes, done, length - done, offset + done);
    this.put(bytes, offset);
  }

  append({ length, fill }: Of<'append'>): void {
    const bytes = pattern(this.content.length, length, fill);
    for (let done = 0; done < length; ) done += fs.writeSync(this.descriptor('appender'), bytes, done);
    this.put(bytes, this.content.length);
  }

  /** Also what is behind the end in its last page: zeros. */
  readMapping({ by, offset, length }: Of<'readMapping'>): void {
    const end = Math.min(offset + length, this.content.length);
    if (end <= offset) return;
    const { bytes } = this.#mapping(by === 'reader' ? 'readerMapping' : 'writerMapping');
    this.#same(Buffer.from(bytes.buffer, bytes.byteOffset + offset, end - offset), offset, end - offset);
    if (end < this.content.length) return;
    for (let at = end; at % BLOCK !== 0; at += 1) if (bytes[at] !== 0) throw new Difference(`in a mapping, behind the end of the file (${end}), ${at} is ${bytes[at]}`);
  }

  writeMapping({ offset, length, fill, sync }: Of<'writeMapping'>): void {
    const end = Math.min(offset + length, this.content.length);
    if (end <= offset) return;
    const mapping = this.#mapping('writerMapping');
    const bytes = pattern(offset, end - offset, fill);
    mapping.bytes.set(bytes, offset);
    if (sync) mapping.sync();
    this.put(bytes, offset);
  }

  truncate({ by, size }: Of<'truncate'>): void {
    if (by === 'path') fs.truncateSync(this.path, size);
    else fs.ftruncateSync(this.descriptor('writer'), size);
    this.#resize(size);
  }

  /** The kernel's FUSE has no collapse nor insert: they may be refused, and then nothing may have changed. */
  allocate({ how, offset, length }: Of<'allocate'>): void {
    const collapsesOrInserts = how === 'collapse' || how === 'insert';
    if (collapsesOrInserts && offset + (how === 'collapse' ? length : 0) >= this.content.length) return;
    try {
      fallocate(this.descriptor('writer'), ALLOCATIONS[how], offset, length);
    } catch (error) {
      if (!hasCode(error, 'EOPNOTSUPP') || !(collapsesOrInserts || cannotAllocate(this.#plain, how))) throw error;
      return;
    }
    const end = offset + length;
    switch (how) {
      case 'plain': case 'zero':
        if (end > this.content.length) this.#resize(end);
        break;
      case 'collapse': this.content = Buffer.concat([this.content.subarray(0, offset), this.content.subarray(end)]); break;
      case 'insert': this.content = Buffer.concat([this.content.subarray(0, offset), Buffer.alloc(length), this.content.subarray(offset)]); break;
    }
    if (how === 'punch' || how === 'zero' || how === 'zeroKeepSize') this.content.fill(0, Math.min(offset, this.content.length), Math.min(end, this.content.length));
  }

  /** Within one file the ranges may not overlap: EINVAL. */
  copy({ by, offset, toOffset, length }: Of<'copy'>, to: CheckedFile): void {
    const available = Math.min(length, Math.max(0, this.content.length - offset));
    const bytes = Buffer.from(this.content.subarray(offset, offset + available));
    const from = this.descriptor(by);
    const target = to.descriptor('writer');
    if (to === this && offset < toOffset + available && toOffset < offset + available) {
      try {
        copyFileRange(from, offset, target, toOffset, available);
      } catch (error) {
        if (hasCode(error, 'EINVAL')) return;
        throw error;
      }
      throw new Difference('copied from a range to one that overlaps it');
    }
    let done = 0;
    for (let count = 1; count > 0; done += count) count = copyFileRange(from, offset + done, target, toOffset + done, available - done);
    if (done !== available) throw new Difference(`${done} of ${available} bytes were copied`);
    if (available > 0) to.put(bytes, toOffset);
  }

  sync({ how }: Of<'sync'>): void {
    const fd = this.descriptor('writer');
    if (how === 'syncfs') syncFileSystem(fd);
    else if (how === 'fsync') fs.fsyncSync(fd);
    else fs.fdatasyncSync(fd);
  }

  dropPages(): void {
    for (const fd of this.#descriptors.values()) dropPages(fd);
  }

  compare(by: 'reader' | 'writer'): void {
    const bytes = Buffer.alloc(this.content.length + 100);
    this.#same(bytes.subarray(0, readAt(this.descriptor(by), bytes, 0)), 0, this.content.length);
  }

  /** What SEEK_DATA and SEEK_HOLE tell: no data is in a hole, and the end is one. */
  holes(by: 'reader' | 'writer'): void {
    const fd = this.descriptor(by);
    const { length } = this.content;
    for (let at = 0; at < length; ) {
      const data = seek(fd, at, SEEK_DATA) ?? length;
      if (data < at || data > length) throw new Difference(`SEEK_DATA from ${at} gives ${data} of ${length}`);
      const nonzero = this.content.subarray(at, data).findIndex((byte) => byte !== 0);
      if (nonzero !== -1) throw new Difference(`there is data at ${at + nonzero}, but SEEK_DATA from ${at} gives ${data}`);
      if (data === length) return;
      const hole = seek(fd, data, SEEK_HOLE);
      if (hole === undefined || hole <= data || hole > length) throw new Difference(`SEEK_HOLE from ${data}, where data is, gives ${hole} of ${length}`);
      at = hole;
    }
    if (seek(fd, length, SEEK_DATA) !== undefined) throw new Difference('SEEK_DATA finds some at the end');
  }

  /** What each way to ask tells of its size. */
  checkSize(): void {
    const told = [['stat', fs.statSync(this.path).size] as const, ...[...this.#descriptors].map(([name, fd]) => [`fstat of ${name}`, fs.fstatSync(fd).size] as const)];
    for (const [how, size] of told) if (size !== this.content.length) throw new Difference(`${this.path}: ${how} tells the size ${size}, should be ${this.content.length}`);
  }

  put(bytes: Buffer, offset: number): void {
    if (offset + bytes.length > this.content.length) this.#resize(offset + bytes.length);
    bytes.copy(this.content, offset);
  }

  #resize(size: number): void {
    this.content = size <= this.content.length ? Buffer.from(this.content.subarray(0, size)) : Buffer.concat([this.content], size);
  }

  /** One of its own until it is closed, or too short. */
  #mapping(name: MappingName): Mapping {
    const { length } = this.content;
    const there = this.#mappings.get(name);
    if (there !== undefined && there.bytes.length >= length) return there;
    there?.unmap();
    // Longer than the file: what is added to it later shows too.
    const room = length - (length % BLOCK) + 16 * BLOCK;
    const mapping = name === 'readerMapping' ? mapFile(this.descriptor('reader'), room, PROT_READ, MAP_SHARED) : mapFile(this.descriptor('writer'), room, PROT_READ | PROT_WRITE, MAP_SHARED);
    this.#mappings.set(name, mapping);
    return mapping;
  }

  #same(seen: Buffer, offset: number, length: number): void {
    const wanted = this.content.subarray(offset, offset + length);
    if (seen.equals(wanted)) return;
    const at = [...wanted].findIndex((byte, index) => byte !== seen[index]);
    const which = at === -1 ? '' : `; the first of them that differs, at ${offset + at}, is ${seen[at]}, should be ${wanted[at]}; ${seen.filter((byte, index) => byte !== wanted[index]).length} differ`;
    throw new Difference(`${this.path}: ${seen.length} bytes were read at ${offset}, should be ${wanted.length} of ${this.content.length}${which}`);
  }
}

function readAt(fd: number, into: Buffer, offset: number): number {
  let done = 0;
  for (let count = 1; count > 0 && done < into.length; done += count) count = fs.readSync(fd, into, done, into.length - done, offset + done);
  return done;
}

function cannotAllocate(directory: string, how: Allocation): boolean {
  const path = `${directory}/allocated`;
  const fd = fs.openSync(path, 'w');
  try {
    fallocate(fd, ALLOCATIONS[how], 0, BLOCK);
    return false;
  } catch (error) {
    return hasCode(error, 'EOPNOTSUPP');
  } finally {
    fs.closeSync(fd);
    fs.unlinkSync(path);
  }
}

/** undefined: there is none. */
function seek(fd: number, offset: number, whence: number): number | undefined {
  try {
    return lseek(fd, offset, whence);
  } catch (error) {
    if (hasCode(error, 'ENXIO')) return undefined;
    throw error;
  }
}

/** Where O_DIRECT wants it. */
function alignedBuffer(length: number): Buffer {
  const room = Buffer.allocUnsafeSlow(length + BLOCK);
  const start = (BLOCK - Number(addressOf(room) % BigInt(BLOCK))) % BLOCK;
  return room.subarray(start, start + length);
}
