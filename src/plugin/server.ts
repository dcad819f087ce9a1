import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { UfsError } from '../errors.ts';
import { BadRequest } from './bad-request.ts';
import type { PluginMetrics } from './metrics.ts';
import type { Capability, Method } from './methods.ts';
import { settled } from './settled.ts';

const JSON_TYPE = 'application/vnd.docker.plugins.v1.2+json';
const TEXT_TYPE = 'text/plain; charset=utf-8';
/** Milliseconds a client may go on sending after it was told that it was in vain. */
const LINGER = 5000;

/** What a handler tells of itself; pino's loggers are such. */
export interface PluginLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface ServerOptions {
  capabilities: readonly Capability[];
  metrics: PluginMetrics;
  log?: PluginLog | undefined;
  tls?: TlsOptions | undefined;
  /** Milliseconds calls under way may take to end when the server closes. */
  patience: number;
}

/** Docker's plugin protocol: POST /<method>, JSON in and out (https://docs.docker.com/engine/extend/plugin_api/). Calls overlap. */
export class PluginServer {
  readonly #methods: ReadonlyMap<string, Method>;
  readonly #options: ServerOptions;
  readonly #server: Server;
  readonly #active = new Set<Promise<void>>();
  #calls = 0;
  #closing = false;

  constructor(options: ServerOptions) {
    const activate: Method = async () => ({ Implements: options.capabilities.map((capability) => capability.implements) });
    this.#methods = new Map([['Plugin.Activate', activate] as const, ...options.capabilities.flatMap(({ methods }) => Object.entries(methods))]);
    this.#options = options;
    const listener: RequestListener = (request, response) => {
      // A logger that fails must not end the process.
      const call = this.#serve(request, response).catch(() => {
        if (!response.writableEnded) response.destroy();
      });
      this.#active.add(call);
      void call.finally(() => this.#active.delete(call));
    };
    // Docker names no host.
    const lenient = { requireHostHeader: false };
    this.#server = options.tls === undefined ? createServer(lenient, listener) : createTlsServer({ ...options.tls, ...lenient }, listener);
    // Docker keeps connections and sends archives for as long as it takes; what it finds closed it asks for again, with nothing in it.
    Object.assign(this.#server, { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, timeout: 0 });
  }

  /** A path, or a port of an address; where it listens. */
  async listen(where: string | { host: string; port: number }): Promise<AddressInfo | string> {
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(where, resolve));
    this.#server.on('error', (error) => this.#options.log?.error({ err: error }, 'a socket failed'));
    return this.#server.address() as AddressInfo | string;
  }

  /** Takes no more calls, and waits a while for those under way. What takes longer loses its connection: archives it is reading break off, those it is sending are returned. */
  async close(): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    await this.#idle();
    if (this.#active.size > 0) this.#options.log?.warn({ calls: this.#active.size }, 'closing with calls under way');
    this.#server.closeAllConnections();
    await closed;
    // What has lost its connection ends by that: whoever goes on to close what drivers work on wants it ended.
    await this.#idle();
  }

  /** Waits for the calls under way, but not for ever. */
  async #idle(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.#options.patience)));
    await Promise.race([Promise.all(this.#active), late]);
    clearTimeout(timer);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', query] = cut(request.url ?? '', '?');
    const name = path.slice(1);
    const method = this.#methods.get(name);
    const number = ++this.#calls;
    const started = performance.now();
    const { socket } = request;
    const sentBefore = socket.bytesWritten;
    const { metrics, log } = this.#options;
    let received = 0;
    let failure: Error | undefined;
    metrics.active += 1;
    request.on('data', (piece: Buffer) => (received += piece.length)).pause();
    if (this.#closing) response.setHeader('Connection', 'close');
    try {
      // In HTTP/1.0 a body ends where the connection does: an archive that broke off would seem whole.
      if (request.httpVersion === '1.0') throw new BadRequest('Cannot answer in HTTP/1.0', { status: 505 });
      if (request.method !== 'POST') throw new BadRequest(`Cannot do ${request.method}: plugins are asked by POST`, { status: 405 });
      if (method === undefined) throw new BadRequest(`Cannot do "${name.slice(0, 100)}": no such method`, { status: 404 });
      const answer = await method({ request, response, query: new URLSearchParams(query) });
      if (answer !== undefined) await this.#answer(response, `${JSON.stringify(answer)}\n`);
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      if (response.headersSent || socket.destroyed) response.destroy();
      else await this.#refuse(response, socket, failure);
    } finally {
      const seconds = (performance.now() - started) / 1000;
      const sent = socket.bytesWritten - sentBefore;
      metrics.active -= 1;
      metrics.ended(method === undefined ? 'unknown' : name, { seconds, failed: failure !== undefined, received, sent });
      const fields = { request: number, method: name.slice(0, 100), seconds, received, sent };
      if (failure === undefined) log?.debug(fields, 'answered');
      else log?.warn({ ...fields, err: failure }, 'failed');
    }
  }

  async #answer(response: ServerResponse, text: string): Promise<void> {
    this.#head(response, 200, JSON_TYPE, text);
    response.end(text);
    await settled(response, 'finish');
    if (!response.writableFinished) throw new UfsError('UFS_PLUGIN', 'Cannot answer: the client went away');
  }

  /** Says what went wrong, and takes what the client is still sending before it ends the answer: a connection closed on it would hide the answer, and make it ask again. */
  async #refuse(response: ServerResponse, socket: Socket, failure: Error): Promise<void> {
    const { req: request } = response;
    const { status } = failure instanceof BadRequest ? failure : { status: 500 };
    const asText = status === 404 || status === 405;
    const text = asText ? `${failure.message}\n` : `${JSON.stringify({ Err: failure.message })}\n`;
    if (status === 405) response.setHeader('Allow', 'POST');
    this.#head(response, status, asText ? TEXT_TYPE : JSON_TYPE, text);
    response.write(text);
    if (!request.complete) await drained(request, socket);
    response.end();
    await settled(response, 'finish');
    if (!request.complete) socket.destroy();
  }

  #head(response: ServerResponse, status: number, type: string, text: string): void {
    if (this.#closing) response.setHeader('Connection', 'close');
    response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  }
}

/** Lets a body go by until it ends, breaks off, or has taken too long. */
async function drained(request: IncomingMessage, socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(late);
      request.off('end', done);
      socket.off('close', done);
      resolve();
    };
    const late = setTimeout(done, LINGER);
    socket.on('close', done);
    request.on('end', done).resume();
  });
}

function cut(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}
