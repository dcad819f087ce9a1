import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { duplicate } from '../host/file.ts';

/** What a helper thread is told: write a message to a descriptor and say so, or close one. */
export type Order = { fd: number; message: Uint8Array } | { fd: number; close: true };

/** What a notification is about, which decides what locks the kernel takes for it. */
export type About = 'entry' | 'node';

/** A thread that writes notifications one after the other; it starts with the first. */
class Lane {
  private worker: Worker | undefined;
  /** Of each descriptor named, its own duplicate, which it closes itself: it may be about to write to it. */
  private readonly own = new Map<number, number>();
  /** Of the messages the thread hasn't said were written, in order. */
  private waiting: (() => void)[] = [];

  send(fd: number, message: Buffer): Promise<void> {
    let own = this.own.get(fd);
    if (own === undefined) this.own.set(fd, own = duplicate(fd));
    this.order({ fd: own, message });
    return new Promise((resolve) => {
      this.waiting.push(resolve);
    });
  }

  close(fd: number): void {
    const own = this.own.get(fd);
    if (own === undefined) return;
    this.own.delete(fd);
    this.order({ fd: own, close: true });
  }

  async stop(): Promise<void> {
    await this.worker?.terminate();
    this.worker = undefined;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private order(order: Order): void {
    if (this.worker === undefined) {
      // The build renames .ts to .js; the helper has this file's own ending.
      this.worker = new Worker(new URL(`./notify-worker${extname(import.meta.filename)}`, import.meta.url));
      this.worker.on('message', () => this.waiting.shift()?.());
      this.worker.unref();
    }
    this.worker.postMessage(order);
  }
}

/**
 * Writes notifications from threads of its own: the kernel takes locks for them that a request in the serving thread's queue may hold, so the serving thread
 * must never wait there. For an entry that is the directory's lock, whose holder may wait for a file whose holder waits for a request; for a node's pages it
 * is the pages', whose holders wait for nothing but READ and WRITE. So what is said of nodes never stands behind what is said of entries: a request may wait
 * for the former. Both threads serve all mounts.
 */
export class Notifier {
  private readonly lanes: Record<About, Lane> = { entry: new Lane(), node: new Lane() };

  /** Resolves when the kernel has acted on it, or never will: the mount is gone, or it has nothing cached. */
  send(fd: number, message: Buffer, about: About): Promise<void> {
    return this.lanes[about].send(fd, message);
  }

  /** Lets go of a descriptor, behind everything that was to be written to it. */
  close(fd: number): void {
    for (const lane of Object.values(this.lanes)) lane.close(fd);
  }

  async stop(): Promise<void> {
    for (const lane of Object.values(this.lanes)) await lane.stop();
  }
}
