import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { buffer } from 'node:stream/consumers';

/** A client of a graph-driver plugin, as dockerd is one. */
export class PluginClient {
  readonly #socket: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** The body of the answer, whatever its status. */
  async post(path: string, body: Buffer | AsyncIterable<Buffer>): Promise<{ status: number; body: Buffer }> {
    const sent = request({ socketPath: this.#socket, method: 'POST', path, agent: this.#agent, headers: { Host: '', Accept: 'application/vnd.docker.plugins.v1.2+json' } });
    const answered = once(sent, 'response');
    answered.catch(() => undefined);
    await pipeline(Readable.from(Buffer.isBuffer(body) ? [body] : body), sent);
    const [response] = (await answered) as [import('node:http').IncomingMessage];
    return { status: response.statusCode ?? 0, body: await buffer(response) };
  }

  /** Calls GraphDriver.<method>; throws what the driver says went wrong. */
  async call<T = Record<string, unknown>>(method: string, message: object = {}): Promise<T> {
    return await this.#answer(method, this.post(`/GraphDriver.${method}`, Buffer.from(`${JSON.stringify(message)}\n`)));
  }

  async diff(id: string, parent: string): Promise<Buffer> {
    const { status, body } = await this.post('/GraphDriver.Diff', Buffer.from(JSON.stringify({ ID: id, Parent: parent })));
    if (status !== 200) throw new Error(`Diff: ${(JSON.parse(body.toString()) as { Err: string }).Err}`);
    return body;
  }

  async apply(id: string, parent: string, archive: Buffer | AsyncIterable<Buffer>): Promise<number> {
    const { Size } = await this.#answer<{ Size: number }>('ApplyDiff', this.post(`/GraphDriver.ApplyDiff?id=${id}&parent=${parent}`, archive));
    return Size;
  }

  async changes(id: string, parent: string): Promise<string[]> {
    const { Changes } = await this.call<{ Changes: { Path: string; Kind: number }[] }>('Changes', { ID: id, Parent: parent });
    return Changes.map(({ Path, Kind }) => `${'CAD'[Kind]} ${Path}`);
  }

  /** Mounts a layer while `use` works in it. */
  async in<T>(id: string, use: (directory: string) => T | Promise<T>): Promise<T> {
    const { Dir } = await this.call<{ Dir: string }>('Get', { ID: id });
    try {
      return await use(Dir);
    } finally {
      await this.call('Put', { ID: id });
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #answer<T>(method: string, answer: Promise<{ status: number; body: Buffer }>): Promise<T> {
    const { status, body } = await answer;
    const message = JSON.parse(body.toString()) as T & { Err?: string };
    if (status !== 200 || (message.Err !== undefined && message.Err !== '')) throw new Error(`${method}: ${message.Err}`);
    return message;
  }
}
