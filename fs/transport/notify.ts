import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { close } from '../host/at.ts';

/** What the helper thread is told, in order: write a message to a descriptor, or close one. */
export type Order = { fd: number; message: Uint8Array } | { fd: number; close: true };

/**
 * Writes notifications from a thread of its own: the kernel takes locks for them that a request in the serving thread's queue may hold, so the serving thread
 * must never wait there. One thread serves all mounts; it starts with the first notification.
 */
export class Notifier {
  private worker: Worker | undefined;
  /** Descriptors the helper thread has been told of: it closes them, for it may be about to write to them. */
  private readonly known = new Set<number>();

  send(fd: number, message: Buffer): void {
    this.known.add(fd);
    this.order({ fd, message });
  }

  /** Closes a descriptor behind everything that was to be written to it. */
  close(fd: number): void {
    if (this.known.delete(fd)) this.order({ fd, close: true });
    else close(fd);
  }

  async stop(): Promise<void> {
    await this.worker?.terminate();
    this.worker = undefined;
  }

  private order(order: Order): void {
    if (this.worker === undefined) {
      // The build renames .ts to .js; the helper has this file's own ending.
      this.worker = new Worker(new URL(`./notify-worker${extname(import.meta.filename)}`, import.meta.url));
      this.worker.unref();
    }
    this.worker.postMessage(order);
  }
}
