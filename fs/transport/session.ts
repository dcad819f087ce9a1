import { FsError, isExpected, toErrno } from '../errno.ts';
import type { FileSystem, Kernel, MaybePromise, NodeReply } from '../file-system.ts';
import type { Name } from '../name.ts';
import { Decoder, type Request } from '../protocol/decode.ts';
import { BODY, FOR_EVER, invalidateEntry, invalidateInode, ReplyBuffer } from '../protocol/encode.ts';
import { type Agreed, MAX_DATA, negotiate, type Wanted } from '../protocol/init.ts';
import { hasNoReply, OPCODE, opcodeName } from '../protocol/opcode.ts';
import { printReply, printRequest } from '../protocol/print.ts';
import type { Value } from '../protocol/struct.ts';
import type { fuse_init_in } from '../protocol/structs.ts';
import { HANDLERS } from './handlers.ts';
import type { Channel } from './transport.ts';

/** Room for the largest request: its data and what stands before it. */
export const REQUEST_SIZE = MAX_DATA + 4096;

/** Buffers shared by all sessions of a thread: requests are handled one after the other. */
export class Exchange {
  readonly request = Buffer.allocUnsafeSlow(REQUEST_SIZE);
  readonly decoder = new Decoder(this.request);
  readonly reply = new ReplyBuffer(BODY + MAX_DATA);
  private readonly spare: ReplyBuffer[] = [];

  /** A reply buffer to be held across a promise; give it back with `release`. */
  acquire(): ReplyBuffer {
    return this.spare.pop() ?? new ReplyBuffer(BODY + MAX_DATA);
  }

  release(buffer: ReplyBuffer): void {
    if (this.spare.length < 8) this.spare.push(buffer);
  }
}

export interface SessionOptions {
  fileSystem: FileSystem;
  wanted: Wanted;
  channel: Channel;
  exchange: Exchange;
  /** Opcodes that are answered with ENOSYS, which the kernel remembers. */
  refused?: ReadonlySet<number>;
  /** Seconds the kernel may cache what it is told of names and attributes; by default for ever. */
  validity?: number;
  /** What a file system threw that isn't an errno: a mistake in the program. The caller got EIO. */
  onError: (error: unknown) => void;
  /** A line for each request and reply. */
  trace?: (line: string) => void;
}

const NOT_YET: Agreed = { minor: 0, passthrough: false, writebackCache: false, setxattrExt: false, killPrivileges: false, maxWrite: 0 };

/**
 * One mount: requests of its kernel connection in, method calls of its file system, replies out. This is the one place where errors become errno numbers.
 * INVARIANT: every request the kernel waits for gets exactly one reply, also where the file system throws what it shouldn't.
 */
export class Session implements Kernel {
  readonly fileSystem: FileSystem;
  readonly exchange: Exchange;
  /** Requests whose promise isn't settled. */
  pending = 0;
  agreed: Agreed = NOT_YET;
  private readonly options: SessionOptions;
  private attached = false;
  private ended = false;

  constructor(options: SessionOptions) {
    this.options = options;
    this.fileSystem = options.fileSystem;
    this.exchange = options.exchange;
  }

  /** The thread's buffer, for a reply that is sent at once. */
  get reply(): ReplyBuffer {
    const { reply } = this.exchange;
    reply.validity = this.options.validity ?? FOR_EVER;
    return reply;
  }

  get passthrough(): boolean {
    return this.agreed.passthrough;
  }

  get writebackCache(): boolean {
    return this.agreed.writebackCache;
  }

  openBacking(fd: number): number {
    return this.options.channel.openBacking(fd);
  }

  closeBacking(id: number): void {
    if (!this.ended) this.options.channel.closeBacking(id);
  }

  async invalidateNode(id: number, offset: number, length: number): Promise<void> {
    // The wire says "attributes only" by a negative offset, and "to the end" by length 0; ours is -1 for the former.
    if (!this.ended) await this.options.channel.notify(length === -1 ? invalidateInode(id, -1, 0) : invalidateInode(id, offset, length), 'node');
  }

  invalidateEntry(parent: number, name: Name): void {
    if (!this.ended) void this.options.channel.notify(invalidateEntry(parent, name), 'entry');
  }

  /** Handles the request in the first `length` bytes of `exchange.request`. */
  handle(length: number): void {
    const { decoder } = this.exchange;
    let request: Request | undefined;
    try {
      request = decoder.header(length);
      decoder.body(request, this.agreed);
      this.options.trace?.(printRequest(request));
      const handler = HANDLERS[request.opcode];
      if (handler === undefined || this.options.refused?.has(request.opcode) === true) this.fail(request, new FsError('ENOSYS', `Cannot do ${opcodeName(request.opcode)}: not part of this file system`));
      else if (!this.attached && request.opcode !== OPCODE.INIT) throw new FsError('EIO', `Cannot do ${opcodeName(request.opcode)} before INIT`);
      else handler(this, request);
    } catch (error) {
      if (request === undefined) this.options.onError(error);
      else this.fail(request, error);
    }
  }

  /** Agrees with the kernel, then tells the file system. */
  initialize(request: Request, body: Value<typeof fuse_init_in>): void {
    const result = negotiate(body, this.options.wanted);
    if (result.outcome === 'agreed') {
      this.agreed = result.agreed;
      this.fileSystem.attach(this);
      this.attached = true;
    }
    this.send(request, this.reply, this.reply.putInit(result.out));
  }

  /**
   * Replies with a value, now or when its promise settles. `put` builds the body in the thread's shared buffer and is followed by the write at once, so no
   * other request can come between.
   */
  answer<T>(request: Request, value: MaybePromise<T>, put: (reply: ReplyBuffer, value: T, request: Request) => number): void {
    if (value instanceof Promise) this.later(request, value, (settled) => this.answer(request, settled, put));
    else this.send(request, this.reply, put(this.reply, value, request));
  }

  /** As `answer` for a node; a lookup the kernel didn't get to count is taken back. */
  answerNode<T extends NodeReply | undefined>(request: Request, value: MaybePromise<T>, put: (reply: ReplyBuffer, value: T) => number): void {
    if (value instanceof Promise) {
      this.later(request, value, (settled) => this.answerNode(request, settled, put));
      return;
    }
    if (!this.send(request, this.reply, put(this.reply, value)) && value !== undefined) this.fileSystem.forget(value.id, 1);
  }

  /** Goes on with `next` once `value` settles. */
  later<T>(request: Request, value: Promise<T>, next: (value: T) => void): void {
    this.pending += 1;
    // Its body may hold views of the receive buffer, which the next request overwrites.
    request.body = undefined;
    value.then(next).catch((error: unknown) => this.fail(request, error)).finally(() => {
      this.pending -= 1;
    });
  }

  /** Sends a reply whose body is in `reply`; false where nobody waits for it, and what it gave must be taken back (after the end everything has been). */
  send(request: Request, reply: ReplyBuffer, bodyLength: number): boolean {
    if (this.ended) return true;
    this.options.trace?.(printReply(request, bodyLength, 0));
    return this.options.channel.send(reply.bytes, reply.finish(request, bodyLength, 0));
  }

  /** Replies with the errno of an error. */
  fail(request: Request, error: unknown): void {
    if (!isExpected(error)) this.options.onError(error);
    if (this.ended || hasNoReply(request.opcode)) return;
    const errno = toErrno(error);
    this.options.trace?.(printReply(request, 0, errno));
    const { reply } = this.exchange;
    try {
      this.options.channel.send(reply.bytes, reply.finish(request, 0, errno));
    } catch (unsent) {
      this.options.onError(unsent);
    }
  }

  /** The connection is gone: nothing is sent any more, and the file system closes what it has open. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    try {
      this.fileSystem.destroy();
    } catch (error) {
      this.options.onError(error);
    }
  }
}
