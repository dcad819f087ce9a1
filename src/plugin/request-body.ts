import type { IncomingMessage } from 'node:http';
import { BadRequest } from './bad-request.ts';

/**
 * A request's body, read as fast as it is asked for. One that ends before its sender said that it is complete throws: it must not pass for a shorter one.
 * Who stops early, or fails, leaves the connection open, for the answer; the next reader goes on where this one stopped.
 */
export async function* bodyOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>;
  try {
    // Not by yield*: an error thrown in here by a stream that reads us would be thrown there, and destroy the request.
    for (let next = await nextOf(pieces); next.done !== true; next = await nextOf(pieces)) yield next.value;
  } finally {
    await pieces.return?.();
  }
  if (!request.complete) throw new BadRequest('Cannot read the body: the connection broke');
}

async function nextOf(pieces: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
  try {
    return await pieces.next();
  } catch (cause) {
    throw new BadRequest(`Cannot read the body: the connection broke (${(cause as Error).message})`, { cause });
  }
}

/** Takes the rest of a body, and throws where it doesn't come. */
export async function readToEnd(request: IncomingMessage): Promise<void> {
  if (request.readableEnded && request.complete) return;
  for await (const _ of bodyOf(request));
}
