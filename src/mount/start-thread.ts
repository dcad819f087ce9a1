import { totalmem } from 'node:os';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { ServingData } from './serving-thread.ts';

/**
 * Megabytes of objects the serving thread may have before V8 ends it. Nodes stay as long as the kernel knows them, at some 500 bytes, where the kernel has 1,100 for its own:
 * V8's 4 GB are some 8 million files, which a machine of 16 GB remembers.
 */
const HEAP_LIMIT = Math.max(4096, Math.floor(totalmem() / 2 ** 21));

/** A serving thread that starts; its first message is "ready". */
export interface StartedThread {
  worker: Worker;
  port: MessagePort;
}

/** Starts a serving thread. Needs nothing that takes long to load: it can start while the rest of a process is loaded. */
export function startThread(data: Omit<ServingData, 'port'>): StartedThread {
  const { port1, port2 } = new MessageChannel();
  // Node isn't to keep count of descriptors, and close them with the thread: what node:fs opened there (content of layers) is closed by our own calls.
  const worker = new Worker(new URL('./serving-thread.js', import.meta.url), {
    workerData: { port: port2, ...data } satisfies ServingData, transferList: [port2], trackUnmanagedFds: false, resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT },
  });
  return { worker, port: port1 };
}
