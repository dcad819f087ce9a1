import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { GraphDriverHandler, type HandlerOptions } from '../../src/plugin/handler.ts';
import type { GraphDriver } from '../../src/plugin/graph-driver.ts';
import { PluginClient } from '../docker/client.ts';
import { DirectoryDriver } from './directory-driver.ts';

/** A driver, served on a socket in a directory of its own. */
export class Served {
  /** Of the driver's layers. */
  readonly root: string;
  readonly directory: string;
  readonly handler: GraphDriverHandler;
  readonly driver: GraphDriver;
  socket = '';
  // As dockerd does: it keeps its connections.
  readonly #agent = new Agent({ keepAlive: true });
  #client: PluginClient | undefined;

  constructor(make: (root: string) => GraphDriver = (root) => new DirectoryDriver(root), options: HandlerOptions = {}) {
    this.directory = mkdtempSync(join(tmpdir(), 'ufs-plugin-'));
    this.root = join(this.directory, 'layers');
    mkdirSync(this.root);
    this.driver = make(this.root);
    this.handler = new GraphDriverHandler(this.driver, { pluginDirectory: join(this.directory, 'plugins'), specDirectory: join(this.directory, 'specs'), ...options });
  }

  /** Serves until the test ends. */
  static async start(t: TestContext, make?: (root: string) => GraphDriver, options?: HandlerOptions): Promise<Served> {
    const served = new Served(make, options);
    t.after(() => served.close());
    served.socket = await served.handler.serveUnix('test');
    return served;
  }

  get client(): PluginClient {
    return (this.#client ??= new PluginClient(this.socket));
  }

  async close(): Promise<void> {
    this.#client?.close();
    this.#agent.destroy();
    await this.handler.close();
    rmSync(this.directory, { recursive: true });
  }

  /** A request whose body and answer are the test's. */
  open(path: string): ClientRequest {
    return request({ socketPath: this.socket, method: 'POST', path, agent: false, headers: { Host: '', 'Transfer-Encoding': 'chunked' } });
  }

  async post(path: string, body: string | Buffer = ''): Promise<{ status: number; type: string | undefined; text: string }> {
    const sent = request({ socketPath: this.socket, method: 'POST', path, agent: this.#agent, headers: { Host: '' } }).end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 0, type: response.headers['content-type'], text: String(await buffer(response)) };
  }

  /** Sends bytes as they are; all that comes back until the connection ends. */
  async raw(bytes: string): Promise<string> {
    const socket = connect(this.socket);
    socket.write(bytes, 'latin1');
    return String(await buffer(socket));
  }
}
