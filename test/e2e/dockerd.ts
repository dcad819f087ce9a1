import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { type Bench, mountsBelow, type Result, until } from '../helpers/cli.ts';
import { needsOverlayfs } from '../helpers/needs.ts';
import { engineImage, type EngineImage } from './sample-image.ts';
import { succeeded } from './podman.ts';

/** Debian's own: others may come first in PATH. */
const DOCKER = '/usr/bin/docker';
export const DOCKERD = '/usr/sbin/dockerd';
const OVERLAYFS = 0x794c7630;

/** A docker daemon of its own below a bench's directory, without network; the command line on it. */
export class Dockerd {
  readonly #bench: Bench;
  readonly #directory: string;
  readonly #daemon: ChildProcess;
  readonly #ended: Promise<void>;

  /** Which builder `docker build` uses. */
  buildKit = false;

  private constructor(bench: Bench, directory: string, daemon: ChildProcess) {
    this.#bench = bench;
    this.#directory = directory;
    this.#daemon = daemon;
    this.#ended = new Promise((done) => daemon.once('exit', () => done()).once('error', () => done()));
  }

  /** Starts it and waits until it answers; fails with its log where it doesn't. */
  static async start(bench: Bench, name: string, options: { driver?: string; flags?: string[] } = {}): Promise<Dockerd> {
    const directory = bench.path(name);
    bench.sh(`mkdir -p ${directory}/config`);
    const driver = options.driver ?? (needsOverlayfs !== false || statfsSync(directory).type === OVERLAYFS ? 'vfs' : 'overlay2');
    // Of one before, which dies with its dockerd, a zombie would pass for a containerd that runs: whoever reaps it may take seconds.
    const containerd = `${directory}/exec/containerd/containerd.pid`;
    if (existsSync(containerd)) await until(() => !existsSync(`/proc/${readFileSync(containerd, 'utf8')}`), 'the last containerd is gone');
    const log = openSync(`${directory}/log`, 'w');
    const daemon = spawn(DOCKERD, [
      '-s', driver, '--data-root', `${directory}/data`, '--exec-root', `${directory}/exec`, '-H', `unix://${directory}/socket`, '--pidfile', `${directory}/pid`,
      '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false', '--bridge=none', ...(options.flags ?? []),
    ], { stdio: ['ignore', log, log] });
    closeSync(log);
    const dockerd = new Dockerd(bench, directory, daemon);
    for (const started = Date.now(); ; await new Promise((done) => setTimeout(done, 50))) {
      if (spawnSync(DOCKER, ['-H', `unix://${directory}/socket`, 'version']).status === 0) return dockerd;
      if (daemon.exitCode !== null || daemon.signalCode !== null || Date.now() - started > 30_000) {
        await dockerd.stop();
        throw new Error(`dockerd doesn't answer. Its log:\n${readFileSync(`${directory}/log`, 'utf8')}`);
      }
    }
  }

  /** Runs docker, which must succeed; its output. */
  docker(...argv: string[]): string {
    return succeeded(this.try(...argv), `docker ${argv.join(' ')}`);
  }

  /** Runs docker; whatever its exit code. */
  try(...argv: string[]): Result {
    const [command, ...words] = this.#command(argv);
    return this.#bench.run(command, words);
  }

  #command(argv: string[]): [string, ...string[]] {
    return ['env', `DOCKER_BUILDKIT=${this.buildKit ? 1 : 0}`, `DOCKER_CONFIG=${this.#directory}/config`, DOCKER, '-H', `unix://${this.#directory}/socket`, ...argv];
  }

  /** Runs docker several times at once, which all must succeed; their output. */
  async together(commands: string[][]): Promise<string[]> {
    return await Promise.all(commands.map(async (argv) => {
      const [command, ...words] = this.#command(argv);
      const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
      const result: Result = { code: null, out: '', err: '' };
      child.stdout.on('data', (data: Buffer) => (result.out += data.toString()));
      child.stderr.on('data', (data: Buffer) => (result.err += data.toString()));
      const code = await new Promise<number | null>((done, fail) => child.once('close', done).once('error', fail));
      return succeeded({ ...result, code }, `docker ${argv.join(' ')}`);
    }));
  }

  image(name: string): EngineImage {
    return engineImage(this.docker('image', 'inspect', name));
  }

  /** The names of an image, as docker shortens them. */
  names(name: string): string[] {
    const [{ RepoTags }] = JSON.parse(this.docker('image', 'inspect', name)) as [{ RepoTags: string[] }];
    return RepoTags.sort();
  }

  runImage(name: string, ...argv: string[]): string {
    return this.docker('run', '--rm', '--network', 'none', name, ...argv);
  }

  /** Unpacks what `docker export` gives of a container of the image that never ran. */
  export(name: string, directory: string): void {
    const container = this.docker('create', '--network', 'none', name).trim();
    this.docker('export', '-o', `${directory}.tar`, container);
    this.docker('rm', container);
    this.#bench.sh(`mkdir -p ${directory}; tar --numeric-owner --xattrs --xattrs-include='*' -pxf ${directory}.tar -C ${directory}`);
  }

  /** SIGKILL. Containers may live on. */
  async kill(): Promise<void> {
    this.#daemon.kill('SIGKILL');
    await this.#ended;
    rmSync(`${this.#directory}/pid`, { force: true });
  }

  async stop(): Promise<void> {
    this.#daemon.kill('SIGTERM');
    const late = setTimeout(() => this.#daemon.kill('SIGKILL'), 20_000);
    await this.#ended;
    clearTimeout(late);
    for (const mount of mountsBelow(this.#directory)) spawnSync('umount', ['-l', mount]);
  }
}
