import type { FileSystem } from '../file-system.ts';
import { FsError } from '../errno.ts';
import type { Wanted } from '../protocol/init.ts';
import { Exchange, Session } from './session.ts';
import type { Channel } from './transport.ts';

/** A session without a kernel: a request's bytes in, its reply's bytes out. For tests. */
export class MemoryTransport implements Channel {
  readonly session: Session;
  /** All notifications so far. */
  readonly notifications: Buffer[] = [];
  /** What the file system threw that isn't an errno. */
  readonly errors: unknown[] = [];
  private readonly exchange = new Exchange();
  private replies: Buffer[] = [];

  constructor(fileSystem: FileSystem, wanted: Wanted = { passthrough: false, writebackCache: false }) {
    this.session = new Session({ fileSystem, wanted, channel: this, exchange: this.exchange, onError: (error) => this.errors.push(error) });
  }

  /** The replies a request has at once: one, or none where the kernel wants none or it comes later (`settled`). */
  request(bytes: Uint8Array): Buffer[] {
    this.replies = [];
    this.exchange.request.set(bytes);
    this.session.handle(bytes.length);
    return this.replies;
  }

  /** Resolves to what has been sent since the last `request`, once nothing is pending. */
  async settled(): Promise<Buffer[]> {
    while (this.session.pending > 0) await new Promise(setImmediate);
    return this.replies;
  }

  send(reply: Buffer, length: number): boolean {
    this.replies.push(Buffer.from(reply.subarray(0, length)));
    return true;
  }

  async notify(message: Buffer): Promise<void> {
    this.notifications.push(message);
  }

  openBacking(): number {
    throw new FsError('EPERM', 'Cannot pass a file through: there is no kernel');
  }

  closeBacking(): void {}
}
