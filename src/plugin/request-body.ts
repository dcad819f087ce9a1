import type { IncomingMessage } from 'node:http';
import { BadRequest } from './bad-request.ts';

/**
 * A request's body, read as fast as it is asked for. One that ends before its sender said that it is complete throws: it must not pass for a shorter one.
 * Who stops early leaves the connection open, for the answer; the next reader goes on where this one stopped.
 */
export async function* bodyOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new BadRequest(`Cannot read the body: the connection broke (${(cause as Error).message})`, { cause });
  }
  if (!request.complete) throw new BadRequest('Cannot read the body: the connection broke');
}

/** Takes the rest of a body, and throws where it doesn't come. */
export async function readToEnd(request: IncomingMessage): Promise<void> {
  if (request.readableEnded && request.complete) return;
  for await (const _ of bodyOf(request));
}
