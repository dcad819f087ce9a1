import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { after, before } from 'node:test';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { processesWith } from '../helpers/processes.ts';
import { Dockerd, DOCKERD } from './dockerd.ts';
import { writeContext } from './sample-image.ts';

/** Where Docker looks for sockets of plugins: it can't be told another place. */
const PLUGINS = '/run/docker/plugins';
let count = 0;

/** `ufs serve` as Docker's graph and volume driver, or the latter alone, under a name of its own, on a bench's store. */
export class ServedDriver {
  readonly name = `ufs-test-${process.pid}-${++count}`;
  readonly runDirectory: string;
  readonly #bench: Bench;
  #server: ReturnType<Bench['start']> | undefined;

  readonly #offers: '--docker' | '--volumes';

  private constructor(bench: Bench, offers: '--docker' | '--volumes') {
    this.#bench = bench;
    this.#offers = offers;
    this.runDirectory = bench.path('run');
  }

  static async start(bench: Bench, offers: '--docker' | '--volumes' = '--docker'): Promise<ServedDriver> {
    const driver = new ServedDriver(bench, offers);
    await driver.start();
    return driver;
  }

  get socket(): string {
    return `${PLUGINS}/${this.name}.sock`;
  }

  /** For `Dockerd.start`. */
  get daemon(): { driver: string; flags: string[] } {
    return { driver: this.name, flags: ['--experimental'] };
  }

  async start(): Promise<void> {
    const server = this.#bench.start('serve', this.#offers, this.name, '--run-directory', this.runDirectory, '--plugin-directory', PLUGINS);
    this.#server = server;
    await until(() => server.result.err.includes('serving Docker') || server.result.code !== null, 'ufs serve says that it serves Docker').catch((error: unknown) => {
      throw new Error(`${(error as Error).message}: ${server.result.err}`);
    });
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server;
    // Before anything is waited for: who sees the server's end by itself may start the next one.
    this.#server = undefined;
    server?.kill(signal);
    await server?.ended;
  }

  /** The processes that serve its mounts: one while there are any, or `ufs serve` runs. */
  mountServers(): number[] {
    return processesWith((word) => word === `${this.runDirectory}/mounts.sock`);
  }

  /** All processes of it: `ufs serve`, and what serves its mounts. */
  processes(): number[] {
    return [...(this.#server === undefined ? [] : [this.#server.pid]), ...this.mountServers()];
  }

  /** Ends it; the caller has seen to it that nothing is mounted any more, and then nothing of it stays. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
    if (existsSync(this.socket)) rmSync(this.socket);
    await until(() => this.mountServers().length === 0, 'the mount server ends with its last mount');
  }
}

/** Why docker can't be run on ufs here; false where it can. */
export const needsDocker: string | false = needsRootAndFuse || (existsSync(DOCKERD) ? false : `needs ${DOCKERD}`);

/** The sample, as it is built before the tests. */
export const IMAGE = 'sample:1';

/** A dockerd whose graph driver is ufs, with the sample image. */
export class DockerOnUfs {
  readonly bench: Bench;
  readonly driver: ServedDriver;
  dockerd: Dockerd;

  private constructor(bench: Bench, driver: ServedDriver, dockerd: Dockerd) {
    this.bench = bench;
    this.driver = driver;
    this.dockerd = dockerd;
  }

  /** For the tests of a `describe`: made before them, with `prepare`, and taken away after them. */
  static during(prepare: (docker: DockerOnUfs) => Promise<void> | void = () => undefined): { readonly now: DockerOnUfs } {
    let docker: DockerOnUfs | undefined;
    before(async () => {
      const bench = new Bench();
      writeContext(bench);
      // Root of a container with other ids has to get through.
      bench.sh(`chmod 711 ${bench.directory}`);
      const driver = await ServedDriver.start(bench);
      docker = new DockerOnUfs(bench, driver, await Dockerd.start(bench, 'dockerd', driver.daemon));
      docker.dockerd.docker('build', '-q', '--network', 'none', '-t', IMAGE, 'context');
      await prepare(docker);
    });
    after(async () => {
      await docker?.dockerd.stop();
      await docker?.driver.stop();
      docker?.bench.close();
    });
    return {
      get now() {
        return docker as DockerOnUfs;
      },
    };
  }

  /** Ends the daemon, and starts it again, with other flags. */
  async restart(how: 'stop' | 'kill', options: { name?: string; flags?: string[] } = {}): Promise<void> {
    await this.dockerd[how]();
    this.dockerd = await Dockerd.start(this.bench, options.name ?? 'dockerd', { ...this.driver.daemon, flags: [...this.driver.daemon.flags, ...(options.flags ?? [])] });
  }

  /** Removes all that the daemon has. */
  clean(): void {
    const { dockerd } = this;
    const containers = dockerd.docker('ps', '-aq').trim();
    if (containers !== '') dockerd.docker('rm', '-f', ...containers.split('\n'));
    dockerd.docker('image', 'prune', '-af');
    dockerd.docker('builder', 'prune', '-af');
  }

  /** Removes all that the daemon has, and ends it: no layer, container, mount, mount point or process stays, and the store is sound. */
  async checkNothingStays(): Promise<void> {
    this.clean();
    assert.deepEqual(mountsBelow(this.driver.runDirectory), []);
    assert.deepEqual(readdirSync(`${this.driver.runDirectory}/docker`), []);
    for (const kind of ['layers', 'containers', 'images']) assert.equal(this.bench.ufs(kind, '--json').trim(), '[]', kind);
    await this.dockerd.stop();
    await this.driver.stop();
    await until(() => processesWith((word) => word.includes(this.bench.directory)).length === 0, 'every process ends');
    this.bench.ufs('check');
    for (const directory of ['layers', 'staging', 'trash']) assert.deepEqual(readdirSync(`${this.bench.store}/${directory}`), [], directory);
  }
}
