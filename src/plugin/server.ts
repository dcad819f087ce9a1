import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TlsOptions } from 'node:tls';
import type { Logger } from '../log.ts';
import { BadRequest } from './messages.ts';
import type { PluginMetrics } from './metrics.ts';
import type { Capability, Method } from './methods.ts';

const CONTENT_TYPE = 'application/vnd.docker.plugins.v1.2+json';
/** Milliseconds calls under way may take to end when the server closes. */
const PATIENCE = 10_000;
/** Milliseconds a client may go on sending after it was told that it was in vain. */
const LINGER = 5000;

/** Docker's plugin protocol: POST /<method>, JSON in and out (https://docs.docker.com/engine/extend/plugin_api/). Calls overlap. */
export class PluginServer {
  readonly #methods: ReadonlyMap<string, Method>;
  readonly #log: Logger | undefined;
  readonly #metrics: PluginMetrics;
  readonly #server: Server;
  readonly #active = new Set<Promise<void>>();
  #nextRequest = 1;

  constructor(options: { capabilities: readonly Capability[]; metrics: PluginMetrics; log?: Logger | undefined; tls?: TlsOptions | undefined }) {
    const activate: Method = async () => ({ Implements: options.capabilities.map((capability) => capability.implements) });
    this.#methods = new Map([['Plugin.Activate', activate] as const, ...options.capabilities.flatMap(({ methods }) => Object.entries(methods))]);
    this.#log = options.log;
    this.#metrics = options.metrics;
    const listener: RequestListener = (request, response) => {
      const call = this.#serve(request, response);
      this.#active.add(call);
      void call.finally(() => this.#active.delete(call));
    };
    this.#server = options.tls === undefined ? createServer(listener) : createTlsServer({ ...options.tls }, listener);
    // Docker keeps connections and sends archives for as long as it takes; what it finds closed it asks for again, with nothing in it.
    Object.assign(this.#server, { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, timeout: 0 });
  }

  /** A path, or a port of an address; where it listens. */
  async listen(where: string | { host: string; port: number }): Promise<AddressInfo | string> {
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(where, resolve));
    return this.#server.address() as AddressInfo | string;
  }

  /** Takes no more calls, and waits a while for those under way. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const late = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE).unref());
    await Promise.race([Promise.allSettled(this.#active), late]);
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://plugin');
    const name = pathname.slice(1);
    const method = this.#methods.get(name);
    const log = this.#log?.child({ request: this.#nextRequest++, method: name.slice(0, 100) });
    const started = performance.now();
    const { socket } = request;
    const sent = socket.bytesWritten;
    let failure: Error | undefined;
    this.#metrics.active += 1;
    request.on('data', (piece: Buffer) => (this.#metrics.received += piece.length)).pause();
    try {
      if (request.method !== 'POST') throw new BadRequest(`Cannot do ${request.method}: plugins are asked by POST`, 405);
      if (method === undefined) throw new BadRequest(`Cannot do "${name.slice(0, 100)}": no such method`, 404);
      const answer = await method({ request, response, query: searchParams });
      if (answer !== undefined) this.#answer(response, 200, answer);
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      if (response.headersSent) response.destroy();
      else this.#answer(response, error instanceof BadRequest ? error.status : 500, { Err: failure.message });
    } finally {
      const seconds = (performance.now() - started) / 1000;
      this.#metrics.active -= 1;
      this.#metrics.ended(method === undefined ? 'unknown' : name, seconds, failure !== undefined);
      this.#metrics.sent += socket.bytesWritten - sent;
      if (failure === undefined) log?.debug({ seconds }, 'answered');
      else log?.warn({ err: failure, seconds }, 'failed');
    }
  }

  #answer(response: ServerResponse, status: number, body: object): void {
    const text = `${JSON.stringify(body)}\n`;
    const { req: request } = response;
    if (!request.complete) {
      // What wasn't read of the body would stand before the next request, and closing at once could take the answer away from a client that is still sending.
      response.setHeader('Connection', 'close');
      request.resume();
      const late = setTimeout(() => request.destroy(), LINGER).unref();
      request.once('close', () => clearTimeout(late));
    }
    response.writeHead(status, { 'Content-Type': CONTENT_TYPE, 'Content-Length': Buffer.byteLength(text) }).end(text);
  }
}
