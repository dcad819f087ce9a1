import { constants } from 'node:os';
import { errnoName, FsError } from '../errno.ts';
import { close } from '../host/at.ts';
import { ioctl } from '../host/file.ts';
import { fcntl, lastErrno, libc } from '../host/native.ts';
import { fuse_backing_map } from '../protocol/structs.ts';
import type { About, Notifier } from './notify.ts';
import type { Channel } from './transport.ts';

const { ENODEV, ECONNABORTED, ENOENT, EINTR, EAGAIN } = constants.errno;
const F_SETFL = 4;
const F_GETFL = 3;
const O_NONBLOCK = 0o4000;
/** _IOW(229, 1, struct fuse_backing_map) and _IOW(229, 2, uint32_t). */
const FUSE_DEV_IOC_BACKING_OPEN = 0x4010_e501;
const FUSE_DEV_IOC_BACKING_CLOSE = 0x4004_e502;

/** What `receive` gives where there is no request. */
export const NOTHING = -1;
export const UNMOUNTED = -2;

/** A connection to the kernel: an open, mounted /dev/fuse. Reads never block. */
export class DeviceChannel implements Channel {
  readonly fd: number;
  private readonly notifier: Notifier;

  constructor(fd: number, notifier: Notifier) {
    this.fd = fd;
    this.notifier = notifier;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
  }

  /** Reads one request; its length, or NOTHING, or UNMOUNTED. */
  receive(into: Buffer): number {
    const length = libc.read(this.fd, into, into.length) as number;
    if (length > 0) return length;
    const errno = length < 0 ? lastErrno() : ENODEV;
    if (errno === ENODEV || errno === ECONNABORTED) return UNMOUNTED;
    // ENOENT: the request was taken back before we read it.
    if (errno === EAGAIN || errno === EINTR || errno === ENOENT) return NOTHING;
    throw new FsError(errnoName(errno), 'Cannot read a request from /dev/fuse');
  }

  send(reply: Buffer, length: number): boolean {
    if ((libc.write(this.fd, reply, length) as number) === length) return true;
    const errno = lastErrno();
    if (errno === ENOENT || errno === ENODEV) return false;
    // A reply the kernel finds malformed. The session answers with this error instead, so that its caller doesn't wait for ever.
    throw new FsError(errnoName(errno), `Cannot send a reply of ${length} bytes to the kernel`);
  }

  notify(message: Buffer, about: About): Promise<void> {
    return this.notifier.send(this.fd, message, about);
  }

  openBacking(fd: number): number {
    const map = Buffer.alloc(fuse_backing_map.size);
    fuse_backing_map.write(new DataView(map.buffer, map.byteOffset, map.length), 0, { fd, flags: 0 });
    return ioctl(this.fd, FUSE_DEV_IOC_BACKING_OPEN, map);
  }

  closeBacking(id: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(id);
    ioctl(this.fd, FUSE_DEV_IOC_BACKING_CLOSE, bytes);
  }

  close(): void {
    this.notifier.close(this.fd);
    close(this.fd);
  }
}
