import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { UfsError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { GraphDriver } from './graph-driver.ts';
import { graphMethods } from './graph-methods.ts';
import type { Capability } from './methods.ts';
import { PluginMetrics } from './metrics.ts';
import { PluginServer } from './server.ts';

/** Where Docker looks for sockets, and for files that name an address. It can't be told other places. */
const SOCKETS = '/run/docker/plugins';
const SPECS = '/etc/docker/plugins';

export interface HandlerOptions {
  log?: Logger;
  /** Instead of /run/docker/plugins. */
  pluginDirectory?: string;
  /** Instead of /etc/docker/plugins. */
  specDirectory?: string;
}

/** Certificates for TLS, in PEM. */
export interface TlsFiles {
  key: string;
  cert: string;
  /** Whose clients are let in; without, anybody. */
  ca?: string;
  /** For the file Docker reads: where its own certificate and key are, and that of who signed ours. */
  client?: { caFile?: string; certFile?: string; keyFile?: string };
}

/** Serves drivers to Docker on a socket it finds by the plugin's name. */
export class PluginHandler {
  /** What all its servers did. */
  readonly metrics = new PluginMetrics();
  readonly #capabilities: readonly Capability[];
  readonly #options: HandlerOptions;
  readonly #servers: PluginServer[] = [];
  /** What Docker finds it by. */
  readonly #files: string[] = [];

  constructor(capabilities: readonly Capability[], options: HandlerOptions = {}) {
    this.#capabilities = capabilities;
    this.#options = options;
  }

  /** Listens on <name>.sock where Docker looks for it, for root alone, or a group too; its path. A socket nobody listens on any more is replaced. */
  async serveUnix(name: string, gid?: number): Promise<string> {
    checkName(name);
    const directory = this.#options.pluginDirectory ?? SOCKETS;
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const path = join(directory, `${name}.sock`);
    if (existsSync(path)) {
      if (await isAlive(path)) throw new UfsError('UFS_PLUGIN', `Cannot serve the plugin "${name}": another process does, on ${path}`);
      rmSync(path);
    }
    // Docker connects as soon as it sees it: nobody may before it has its mode.
    const aside = join(directory, `.${name}-${process.pid}`);
    rmSync(aside, { force: true });
    const server = this.#server();
    await server.listen(aside);
    if (gid !== undefined) chownSync(aside, 0, gid);
    chmodSync(aside, gid === undefined ? 0o600 : 0o660);
    renameSync(aside, path);
    this.#files.push(path);
    return path;
  }

  /** Listens on an address ("host:port"; port 0: any) and writes the file that tells Docker of it; "tcp://host:port". */
  async serveTcp(name: string, address: string, tls?: TlsFiles): Promise<string> {
    checkName(name);
    const [, host, port] = /^(.*):(\d{1,5})$/.exec(address) ?? [];
    if (host === undefined || port === undefined) throw new UfsError('UFS_PLUGIN', `Cannot serve the plugin "${name}" on "${address}": not "host:port"`);
    const { key, cert, ca } = tls ?? {};
    const server = this.#server(tls === undefined ? undefined : { key, cert, ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }) });
    const listening = await server.listen({ host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) });
    const url = `tcp://${host}:${typeof listening === 'string' ? port : listening.port}`;
    const directory = this.#options.specDirectory ?? SPECS;
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const client = tls?.client ?? {};
    const [file, text] = tls === undefined ? [`${name}.spec`, url] : [`${name}.json`, JSON.stringify({
      Name: name, Addr: url.replace('tcp:', 'https:'), TLSConfig: { InsecureSkipVerify: false, CAFile: client.caFile ?? '', CertFile: client.certFile ?? '', KeyFile: client.keyFile ?? '' },
    })];
    const path = join(directory, file);
    writeFileSync(`${path}.new`, `${text}\n`, { mode: 0o644 });
    renameSync(`${path}.new`, path);
    this.#files.push(path);
    return url;
  }

  /** Takes the socket away, and ends when the calls under way have. */
  async close(): Promise<void> {
    for (const path of this.#files.splice(0)) rmSync(path, { force: true });
    await Promise.all(this.#servers.splice(0).map((server) => server.close()));
  }

  #server(tls?: ConstructorParameters<typeof PluginServer>[0]['tls']): PluginServer {
    const server = new PluginServer({ capabilities: this.#capabilities, metrics: this.metrics, log: this.#options.log, tls });
    this.#servers.push(server);
    return server;
  }
}

/** Serves a graph driver to Docker: `new GraphDriverHandler(driver).serveUnix('mine')`, then `dockerd --experimental -s mine`. */
export class GraphDriverHandler extends PluginHandler {
  constructor(driver: GraphDriver, options: HandlerOptions = {}) {
    super([graphMethods(driver)], options);
  }
}

function checkName(name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/.test(name)) throw new UfsError('UFS_PLUGIN', `Cannot serve the plugin ${JSON.stringify(name)}: only letters, digits and _ . - are allowed in a name`);
}

async function isAlive(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    return await new Promise<boolean>((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)));
  } finally {
    socket.destroy();
  }
}
