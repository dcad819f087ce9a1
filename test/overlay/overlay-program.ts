import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { type Bench, mountsBelow, type Result, until } from '../helpers/cli.ts';
import { processesWith } from '../helpers/processes.ts';
import { installMountProgram } from './install.ts';

/** The mount program, with servers of its own. */
export class OverlayProgram {
  readonly bench: Bench;
  readonly command: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly #run: string;

  constructor(bench: Bench) {
    this.bench = bench;
    this.#run = bench.path('run');
    mkdirSync(this.#run, { mode: 0o700 });
    this.command = installMountProgram(bench.path('installed'));
    this.environment = { ...process.env, XDG_RUNTIME_DIR: this.#run, UFS_OVERLAY_IDLE: '0.2' };
  }

  /** Runs it; whatever its exit code. */
  run(...argv: string[]): Result {
    const { status, stdout, stderr, error } = spawnSync(this.command, argv, { cwd: this.bench.directory, env: this.environment, timeout: 60_000 });
    if (error !== undefined) throw error;
    return { code: status, out: stdout.toString(), err: stderr.toString() };
  }

  mount(options: string, target: string): void {
    const { code, err } = this.run('-o', options, target);
    if (code !== 0) throw new Error(`ufs-overlay -o ${options} ${target} ended with ${code}: ${err}`);
  }

  start(...argv: string[]): { kill: ChildProcess['kill']; ended: Promise<Result> } {
    const child = spawn(this.command, argv, { cwd: this.bench.directory, env: this.environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const result: Result = { code: null, out: '', err: '' };
    child.stdout.on('data', (data: Buffer) => (result.out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (result.err += data.toString()));
    const ended = new Promise<Result>((done) => child.once('close', (code) => done({ ...result, code })));
    return { kill: (signal) => child.kill(signal), ended };
  }

  /** What the kernel asked of a mount, and was answered, while `use` ran. */
  async traced(options: string, target: string, use: () => void): Promise<string[]> {
    const { ended } = this.start('-d', '-o', options, target);
    await until(() => mountsBelow(this.bench.directory).length === 1, 'it is mounted');
    use();
    this.bench.sh(`umount ${target}`);
    return (await ended).err.split('\n');
  }

  /** The processes that serve mounts. */
  servers(): number[] {
    return processesWith((word) => word.startsWith(`${this.#run}/`));
  }

  /** Waits until its server has ended, as it does after the last mount. */
  async ended(): Promise<void> {
    await until(() => this.servers().length === 0, 'the server of the mounts has ended');
  }
}
