import { chmodSync, chownSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UfsError } from '../errors.ts';
import { type ClientFiles, DiscoveryFile, freeSocketPath, makeDirectory, SOCKETS, SPECS, writeSpec } from './discovery.ts';
import type { GraphDriver } from './graph-driver.ts';
import { graphMethods } from './graph-methods.ts';
import type { Capability } from './methods.ts';
import { PluginMetrics } from './metrics.ts';
import { type PluginLog, PluginServer, type ServerOptions } from './server.ts';
import type { VolumeDriver } from './volume-driver.ts';
import { volumeMethods } from './volume-methods.ts';

/** Bytes of sockaddr_un's path, without the NUL at its end (unix(7)). */
const SOCKET_PATH_MAX = 107;

export interface HandlerOptions {
  log?: PluginLog;
  /** Where calls are counted, for handlers that are told of together. */
  metrics?: PluginMetrics;
  /** Instead of /run/docker/plugins. */
  pluginDirectory?: string;
  /** Instead of /etc/docker/plugins. */
  specDirectory?: string;
  /** Milliseconds `close` waits for calls under way; 10 seconds unless said otherwise. */
  patience?: number;
}

/** Certificates for TLS, in PEM. */
export interface TlsFiles {
  key: string;
  cert: string;
  /** Whose clients are let in; without, anybody. */
  ca?: string;
  /** For the file Docker reads. */
  client?: ClientFiles;
}

/** Serves drivers to Docker on sockets it finds by the plugin's name. */
export class PluginHandler {
  /** What all its servers did. */
  readonly metrics: PluginMetrics;
  readonly #capabilities: readonly Capability[];
  readonly #options: HandlerOptions;
  readonly #servers: PluginServer[] = [];
  readonly #files: DiscoveryFile[] = [];

  constructor(capabilities: readonly Capability[], options: HandlerOptions = {}) {
    this.metrics = options.metrics ?? new PluginMetrics();
    this.#capabilities = capabilities;
    this.#options = options;
  }

  /** Listens on <name>.sock where Docker looks for it, for root alone, or a group too; its path. A socket nobody listens on any more is replaced. */
  async serveUnix(name: string, gid?: number): Promise<string> {
    checkName(name);
    const directory = this.#options.pluginDirectory ?? SOCKETS;
    makeDirectory(directory);
    const path = join(directory, `${name}.sock`);
    // Docker connects as soon as it sees it: nobody may before it has its mode.
    const aside = join(directory, `.${name}-${process.pid}`);
    for (const socket of [path, aside]) checkLength(socket);
    await freeSocketPath(path);
    rmSync(aside, { force: true });
    const server = this.#server();
    try {
      await listen(server, aside, path);
      if (gid !== undefined) chownSync(aside, 0, gid);
      chmodSync(aside, gid === undefined ? 0o600 : 0o660);
      renameSync(aside, path);
    } catch (error) {
      await server.close();
      throw error;
    }
    this.#keep(server, new DiscoveryFile(path));
    return path;
  }

  /** Listens on an address ("host:port"; port 0: any) and writes the file that tells Docker of it; "tcp://host:port". Without TLS whoever reaches the address is obeyed. */
  async serveTcp(name: string, address: string, tls?: TlsFiles): Promise<string> {
    checkName(name);
    // An IPv6 address is in brackets: of "::1:80" nobody could tell the port.
    const [, host, port] = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(address) ?? [];
    if (host === undefined || Number(port) > 65535) throw new UfsError('UFS_PLUGIN', `Cannot serve the plugin "${name}" on "${address}": not "host:port"`);
    const { key, cert, ca } = tls ?? {};
    const server = this.#server(tls === undefined ? undefined : { key, cert, ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }) });
    let file: DiscoveryFile;
    let where: string;
    try {
      const listening = await listen(server, { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }, address);
      where = `${host}:${typeof listening === 'string' ? port : listening.port}`;
      file = writeSpec(this.#options.specDirectory ?? SPECS, name, where, tls === undefined ? undefined : (tls.client ?? {}));
    } catch (error) {
      await server.close();
      throw error;
    }
    this.#keep(server, file);
    return `tcp://${where}`;
  }

  /** Takes away what Docker finds it by, and ends when the calls under way have; what takes longer than `patience` loses its connection. */
  async close(): Promise<void> {
    for (const file of this.#files.splice(0)) file.remove();
    await Promise.all(this.#servers.splice(0).map((server) => server.close()));
  }

  #server(tls?: ServerOptions['tls']): PluginServer {
    const { log, patience = 10_000 } = this.#options;
    return new PluginServer({ capabilities: this.#capabilities, metrics: this.metrics, log, tls, patience });
  }

  #keep(server: PluginServer, file: DiscoveryFile): void {
    this.#servers.push(server);
    this.#files.push(file);
    this.#options.log?.info({ file: file.path }, 'serving Docker');
  }
}

/** Serves a graph driver to Docker: `new GraphDriverHandler(driver).serveUnix('mine')`, then `dockerd --experimental -s mine`. */
export class GraphDriverHandler extends PluginHandler {
  constructor(driver: GraphDriver, options: HandlerOptions = {}) {
    super([graphMethods(driver)], options);
  }
}

/** Where drivers keep their volumes, unless they are told another place: a directory for each driver's name (go-plugins-helpers, volume/api.go, has the same). */
export const DEFAULT_VOLUME_ROOT = '/var/lib/docker-volumes';

/** Serves a volume driver to Docker: `new VolumeHandler(driver).serveUnix('mine')`, then `docker volume create -d mine`. */
export class VolumeHandler extends PluginHandler {
  constructor(driver: VolumeDriver, options: HandlerOptions = {}) {
    super([volumeMethods(driver)], options);
  }
}

function checkName(name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/.test(name)) throw new UfsError('UFS_PLUGIN', `Cannot serve the plugin ${JSON.stringify(name)}: only letters, digits and _ . - are allowed in a name`);
}

/** A longer path than the kernel has room for would be cut off, and the socket be another. */
function checkLength(path: string): void {
  if (Buffer.byteLength(path) > SOCKET_PATH_MAX) throw new UfsError('UFS_PLUGIN', `Cannot listen on ${path}: paths of sockets have ${SOCKET_PATH_MAX} bytes at most`);
}

async function listen(server: PluginServer, where: Parameters<PluginServer['listen']>[0], name: string): ReturnType<PluginServer['listen']> {
  try {
    return await server.listen(where);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === 'EADDRINUSE' ? 'another process does (EADDRINUSE); stop it, or choose another address' : message;
    throw new UfsError('UFS_PLUGIN', `Cannot listen on ${name}: ${reason}`, { cause });
  }
}
