import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What docker's command line asks of the daemon for `docker create --mount …`. There is no daemon: all that is made is refused. */
export class AskedByDocker {
  readonly #directory = mkdtempSync(join(tmpdir(), 'ufs-docker-cli-'));
  readonly #server: Server;
  #asked: { HostConfig: { Mounts: unknown[] } } | undefined;

  private constructor() {
    this.#server = createServer(async (request, response) => {
      if (request.url?.endsWith('/_ping')) return void response.writeHead(200, { 'Api-Version': '1.41' }).end('OK');
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      this.#asked = JSON.parse(Buffer.concat(parts).toString());
      response.writeHead(400, { 'Content-Type': 'application/json' }).end('{"message":"refused by the test"}');
    });
  }

  static async start(): Promise<AskedByDocker> {
    const docker = new AskedByDocker();
    docker.#server.listen(docker.#socket);
    await once(docker.#server, 'listening');
    return docker;
  }

  get #socket(): string {
    return join(this.#directory, 'socket');
  }

  /** The mounts it asks for, in the API's words. */
  async mounts(values: readonly string[]): Promise<unknown[]> {
    this.#asked = undefined;
    const error = await this.#create(values);
    if (this.#asked === undefined) throw new Error(`docker didn't ask: ${error}`);
    return (this.#asked as { HostConfig: { Mounts: unknown[] } }).HostConfig.Mounts;
  }

  /** Why it refuses each; '' where it doesn't. */
  async errors(values: readonly string[]): Promise<string[]> {
    const errors: string[] = [];
    const left = [...values.entries()];
    const work = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) errors[next[0]] = await this.#error(next[1]);
    };
    await Promise.all([work(), work()]);
    return errors;
  }

  async #error(value: string): Promise<string> {
    const printed = await this.#create([value]);
    return / for "--mount" flag: ([^]*)\nSee 'docker create --help'\.\n$/.exec(printed)?.[1] ?? '';
  }

  /** What it prints. */
  async #create(values: readonly string[]): Promise<string> {
    const docker = spawn('/usr/bin/docker', ['-H', `unix://${this.#socket}`, 'create', ...values.map((value) => `--mount=${value}`), 'image'], {
      env: { ...process.env, DOCKER_CONFIG: this.#directory }, stdio: ['ignore', 'ignore', 'pipe'],
    });
    let printed = '';
    docker.stderr.setEncoding('utf8').on('data', (part: string) => (printed += part));
    await once(docker, 'close');
    return printed;
  }

  close(): void {
    this.#server.close();
    rmSync(this.#directory, { recursive: true });
  }
}
