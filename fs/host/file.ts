import { constants } from 'node:os';
import { addressOf, check, cString, failed, fcntl, lastErrno, libc } from './native.ts';

/** pread(2) into `buffer` from `start`; the bytes read, 0 at the end of the file. */
export function pread(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
  return check(libc.pread(fd, start === 0 && length === buffer.length ? buffer : buffer.subarray(start, start + length), length, offset), 'read');
}

/** All of `length` bytes unless the file ends before. */
export function preadFull(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
  let done = 0;
  while (done < length) {
    const count = pread(fd, buffer, start + done, length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** What `preadNoWait` gives where not even the first byte is in memory, and where the file system doesn't tell. */
export const WOULD_WAIT = -1;
export const CANNOT_TELL = -2;

const RWF_NOWAIT = 8;
/** A struct iovec. */
const vector = Buffer.alloc(16);
const vectorView = new DataView(vector.buffer, vector.byteOffset, 16);

/** Reads what is in memory: the bytes read, up to where a disk would have to be waited for (the kernel starts to read there); 0 at the end of the file. */
export function preadNoWait(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
  vectorView.setBigUint64(0, addressOf(buffer) + BigInt(start), true);
  vectorView.setUint32(8, length, true);
  const count = libc.preadv2(fd, vector, 1, offset, RWF_NOWAIT) as number;
  if (count >= 0) return count;
  const errno = lastErrno();
  if (errno === constants.errno.EAGAIN) return WOULD_WAIT;
  if (errno === constants.errno.EOPNOTSUPP || errno === constants.errno.ENOSYS) return CANNOT_TELL;
  throw failed('read');
}

/** As `preadFull`, to an address: of memory that another thread has and keeps. */
export function preadFullTo(address: bigint, fd: number, length: number, offset: number): number {
  let done = 0;
  while (done < length) {
    const count = check(libc.preadAddress(fd, address + BigInt(done), length - done, offset + done), 'read');
    if (count === 0) break;
    done += count;
  }
  return done;
}

const F_DUPFD_CLOEXEC = 1030;

/** One more descriptor of the same open file: offset, flags and readahead are shared. */
export function duplicate(fd: number): number {
  return check(fcntl(fd, F_DUPFD_CLOEXEC, 0), 'duplicate descriptor', String(fd));
}

/** pwrite(2); the bytes written. */
export function pwrite(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
  return check(libc.pwrite(fd, start === 0 && length === buffer.length ? buffer : buffer.subarray(start, start + length), length, offset), 'write');
}

export function truncateFd(fd: number, size: number): void {
  check(libc.ftruncate(fd, size), `set the size of an open file to ${size}`);
}

export function fsync(fd: number): void {
  check(libc.fsync(fd), 'sync a file');
}

export function fdatasync(fd: number): void {
  check(libc.fdatasync(fd), 'sync the data of a file');
}

/** Writes everything of the file system `fd` is on to disk. */
export function syncfs(fd: number): void {
  check(libc.syncfs(fd), 'sync the file system');
}

/** The same in another thread: a slow disk holds nothing else up. The descriptor has to stay open. */
export async function syncfsAside(fd: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    libc.syncfs.async(fd, (error: unknown, result: number) => {
      if (result === 0) resolve();
      else reject(error instanceof Error ? error : failed('sync the file system'));
    });
  });
}

export function fallocate(fd: number, mode: number, offset: number, length: number): void {
  check(libc.fallocate(fd, mode, offset, length), 'allocate space');
}

/** lseek(2); the new offset. ENXIO behind the last data for SEEK_DATA. */
export function lseek(fd: number, offset: number, whence: number): number {
  return check(libc.lseek(fd, offset, whence), 'seek');
}

const fromOffset = Buffer.alloc(8);
const toOffset = Buffer.alloc(8);

/** copy_file_range(2) at explicit offsets; the bytes copied. */
export function copyFileRange(from: number, fromAt: number, to: number, toAt: number, length: number): number {
  fromOffset.writeBigInt64LE(BigInt(fromAt));
  toOffset.writeBigInt64LE(BigInt(toAt));
  return check(libc.copy_file_range(from, fromOffset, to, toOffset, length, 0), 'copy a range');
}

/** ioctl(2) with a buffer, in and out; its result. */
export function ioctl(fd: number, command: number, argument: Buffer): number {
  return check(libc.ioctl(fd, command, argument), `do ioctl 0x${command.toString(16)}`);
}

export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

/** flock(2). EAGAIN where another holds it and LOCK_NB is given. */
export function flock(fd: number, operation: number): void {
  check(libc.flock(fd, operation), 'lock a file');
}

/** What statfs(2) tells; sizes in units of `fragmentSize` bytes. */
export interface HostStatfs {
  type: number;
  blockSize: number;
  fragmentSize: number;
  blocks: number;
  freeBlocks: number;
  availableBlocks: number;
  files: number;
  freeFiles: number;
  nameMax: number;
}

const statfsBuffer = Buffer.alloc(128);

/** statfs(2) of an open file (O_PATH too) or of a path. */
export function statfs(target: number | string): HostStatfs {
  const result = typeof target === 'number' ? libc.fstatfs(target, statfsBuffer) : libc.statfs(cString(target), statfsBuffer);
  check(result, 'ask for file system statistics', typeof target === 'string' ? target : '');
  const u64 = (index: number): number => Number(statfsBuffer.readBigUInt64LE(index * 8));
  return {
    type: u64(0), blockSize: u64(1), blocks: u64(2), freeBlocks: u64(3), availableBlocks: u64(4), files: u64(5), freeFiles: u64(6),
    nameMax: u64(8), fragmentSize: u64(9) || u64(1),
  };
}
