import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, type Stats, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { UfsError } from '../errors.ts';

/** Where Docker looks for sockets, and for files that name an address. It can't be told other places (moby, pkg/plugins/discovery.go). */
export const SOCKETS = '/run/docker/plugins';
export const SPECS = '/etc/docker/plugins';

/** What Docker finds a plugin by: a file which is removed only as long as it is the one that was made. */
export class DiscoveryFile {
  readonly path: string;
  readonly #made: Stats;

  constructor(path: string) {
    this.path = path;
    this.#made = lstatSync(path);
  }

  remove(): void {
    const now = lstatSync(this.path, { throwIfNoEntry: false });
    // Numbers of inodes are used again, at once: the time tells them apart.
    if (now !== undefined && (['dev', 'ino', 'birthtimeMs'] as const).every((key) => now[key] === this.#made[key])) rmSync(this.path);
  }
}

/** Makes a directory for others to find things in, whatever the umask. */
export function makeDirectory(path: string): void {
  if (mkdirSync(path, { recursive: true, mode: 0o755 }) !== undefined) chmodSync(path, 0o755);
}

/** Makes way for a socket: a dead process's is removed, anything else there is refused. */
export async function freeSocketPath(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new UfsError('UFS_PLUGIN', `Cannot listen on ${path}: there is something that is no socket`);
  const answer = await knock(path);
  if (answer === 'connected') throw new UfsError('UFS_PLUGIN', `Cannot listen on ${path}: another process does (EADDRINUSE); stop it, or choose another name`);
  // Only a refusal says that nobody listens: one who is busy (EAGAIN), or lets us not in (EACCES), is there.
  if (answer !== 'ECONNREFUSED' && answer !== 'ENOENT') throw new UfsError('UFS_PLUGIN', `Cannot listen on ${path}: can't tell whether another process does (${answer})`);
  rmSync(path, { force: true });
}

async function knock(path: string): Promise<string> {
  const socket = connect(path);
  try {
    return await new Promise<string>((resolve) => socket.once('connect', () => resolve('connected')).once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message)));
  } finally {
    socket.destroy();
  }
}

/** What Docker needs to trust a plugin behind TLS, and be trusted: paths of PEM files, as the daemon sees them. */
export interface ClientFiles {
  /** Who signed the plugin's certificate; without, the system's authorities. */
  caFile?: string;
  /** The daemon's own certificate and key. */
  certFile?: string;
  keyFile?: string;
}

/** The file that tells Docker a plugin's address: <name>.spec has the address, <name>.json says how TLS is spoken there too. */
export function writeSpec(directory: string, name: string, address: string, tls?: ClientFiles): DiscoveryFile {
  const { caFile = '', certFile = '', keyFile = '' } = tls ?? {};
  const path = `${directory}/${name}.${tls === undefined ? 'spec' : 'json'}`;
  const spec = { Name: name, Addr: `https://${address}`, TLSConfig: { InsecureSkipVerify: false, CAFile: caFile, CertFile: certFile, KeyFile: keyFile } };
  makeDirectory(dirname(path));
  const aside = `${path}.${process.pid}`;
  try {
    writeFileSync(aside, `${tls === undefined ? `tcp://${address}` : JSON.stringify(spec)}\n`, { mode: 0o644 });
    chmodSync(aside, 0o644);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
  return new DiscoveryFile(path);
}
