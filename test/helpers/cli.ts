import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The built command line. */
export const MAIN = resolve(import.meta.dirname, '../../src/cli/main.js');

export interface Result {
  code: number | null;
  out: string;
  err: string;
}

/** A temporary directory with a store in it, and the command line on that store. */
export class Bench {
  readonly directory = mkdtempSync(join(tmpdir(), 'ufs-cli-'));
  readonly store = this.path('store');

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /** Runs `ufs`; whatever its exit code. */
  try(...argv: string[]): Result {
    return this.run(process.execPath, [MAIN, '--root', this.store, ...argv]);
  }

  /** Runs `ufs`, which must succeed; its output. */
  ufs(...argv: string[]): string {
    return succeeded(this.try(...argv), `ufs ${argv.join(' ')}`);
  }

  run(command: string, argv: string[], input?: Buffer): Result {
    const { status, stdout, stderr, error } = spawnSync(command, argv, { cwd: this.directory, timeout: 120_000, maxBuffer: 256 << 20, ...(input === undefined ? {} : { input }) });
    if (error !== undefined) throw error;
    return { code: status, out: stdout.toString(), err: stderr.toString() };
  }

  /** Runs a shell script, which must succeed; its output. */
  sh(script: string): string {
    return succeeded(this.run('/bin/bash', ['-euo', 'pipefail', '-c', script]), script);
  }

  /** Runs a command while other things are done; whatever its exit code. */
  later(command: string, argv: string[]): Promise<Result> {
    return this.#spawn(command, argv).ended;
  }

  /** Starts `ufs`; `result` grows as it prints, `ended` resolves when it has ended. */
  start(...argv: string[]): { pid: number; result: Result; ended: Promise<Result>; kill: (signal: NodeJS.Signals) => void } {
    return this.#spawn(process.execPath, [MAIN, '--root', this.store, ...argv]);
  }

  #spawn(command: string, argv: string[]): ReturnType<Bench['start']> {
    const child = spawn(command, argv, { cwd: this.directory, stdio: ['ignore', 'pipe', 'pipe'] });
    const result: Result = { code: null, out: '', err: '' };
    child.stdout.on('data', (data: Buffer) => (result.out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (result.err += data.toString()));
    const ended = new Promise<Result>((done) => child.once('close', (code) => done({ ...result, code })));
    return { pid: child.pid as number, result, ended, kill: (signal) => void child.kill(signal) };
  }

  /** Unmounts what is left, and removes everything. */
  close(): void {
    for (const mount of mountsBelow(this.directory)) spawnSync('umount', ['-l', mount]);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Mount points below a directory, the innermost first. */
export function mountsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').map((line) => line.split(' ')[4] ?? '').filter((target) => target.startsWith(`${directory}/`)).sort().reverse();
}

/** Waits until `condition` holds, looking often; fails after half a minute. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (const started = Date.now(); !condition(); await new Promise((done) => setTimeout(done, 10))) {
    if (Date.now() - started > 30_000) throw new Error(`Waited for half a minute in vain: ${what}`);
  }
}

function succeeded(result: Result, what: string): string {
  if (result.code !== 0) throw new Error(`${what} ended with ${result.code}:\n${result.err}${result.out}`);
  return result.out;
}
