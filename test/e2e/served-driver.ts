import { existsSync, rmSync } from 'node:fs';
import { type Bench, until } from '../helpers/cli.ts';

/** Where Docker looks for sockets of plugins: it can't be told another place. */
const PLUGINS = '/run/docker/plugins';
let count = 0;

/** `ufs serve --docker` under a name of its own, on a bench's store. */
export class ServedDriver {
  readonly name = `ufs-test-${process.pid}-${++count}`;
  readonly runDirectory: string;
  readonly #bench: Bench;
  #server: ReturnType<Bench['start']> | undefined;

  private constructor(bench: Bench) {
    this.#bench = bench;
    this.runDirectory = bench.path('run');
  }

  static async start(bench: Bench): Promise<ServedDriver> {
    const driver = new ServedDriver(bench);
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
    const server = this.#bench.start('serve', '--docker', this.name, '--run-directory', this.runDirectory, '--plugin-directory', PLUGINS);
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

  async stop(): Promise<void> {
    await this.end('SIGTERM');
    if (existsSync(this.socket)) rmSync(this.socket);
  }
}
