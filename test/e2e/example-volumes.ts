import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from '../helpers/cli.ts';
import { writeCertificates } from '../plugin/certificates.ts';

const PROGRAM = join(import.meta.dirname, '../../scripts/example-volume-driver.js');

export const TRANSPORTS = ['unix', 'tcp', 'tls'] as const;

/** The example of a volume driver, in a process of its own, which Docker reaches one way. Its name is that of no other test. */
export class ExampleVolumes {
  readonly name: string;
  readonly root: string;
  readonly #transport: (typeof TRANSPORTS)[number];
  readonly #certificates: string;
  /** Any, at first; the same ever after, for Docker looks for it once. */
  #address = '127.0.0.1:0';
  #process: ChildProcess | undefined;

  private constructor(bench: Bench, transport: (typeof TRANSPORTS)[number]) {
    this.name = `ufs-volumes-${process.pid}-${transport}`;
    this.root = bench.path('volumes', transport);
    this.#transport = transport;
    this.#certificates = bench.path('certificates');
  }

  static async start(bench: Bench, transport: (typeof TRANSPORTS)[number]): Promise<ExampleVolumes> {
    const driver = new ExampleVolumes(bench, transport);
    if (transport === 'tls') {
      mkdirSync(bench.path('certificates'));
      writeCertificates(bench.path('certificates'));
    }
    await driver.start();
    return driver;
  }

  /** The files by which Docker can find it. */
  get discovery(): string[] {
    return [`/run/docker/plugins/${this.name}.sock`, `/etc/docker/plugins/${this.name}.spec`, `/etc/docker/plugins/${this.name}.json`].filter((path) => existsSync(path));
  }

  /** The volumes, as its directory has them. */
  get volumes(): string[] {
    return readdirSync(this.root).sort();
  }

  async start(): Promise<void> {
    const how = { unix: [], tcp: ['--tcp', this.#address], tls: ['--tcp', this.#address, '--tls', this.#certificates] }[this.#transport];
    const child = spawn(process.execPath, [PROGRAM, '--name', this.name, '--root', this.root, ...how], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process = child;
    const words = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
    const [, address] = /^serving Docker on (.*)\n$/.exec(String(words[0])) ?? [];
    if (address === undefined) throw new Error(`the example driver ended with ${String(words[0])}`);
    this.#address = address.replace('tcp://', '');
  }

  /** Its exit code; null where the signal ended it. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined) return null;
    const ended = once(child, 'exit');
    child.kill(signal);
    return ((await ended) as [number | null])[0];
  }

  async stop(): Promise<void> {
    await this.end('SIGKILL');
    for (const path of this.discovery) rmSync(path);
  }
}
