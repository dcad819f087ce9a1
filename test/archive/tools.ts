import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** `{ skip }` with the reason where a tool isn't installed, for node:test. */
export function needs(...paths: string[]): { skip: string | false } {
  const missing = paths.find((path) => !existsSync(path));
  return { skip: missing === undefined ? false : `${missing} isn't installed` };
}

/** Runs a tool to its end; its output. Throws with what it complains of. */
export function run(path: string, args: string[], how: { input?: Buffer; cwd?: string } = {}): Buffer {
  const { status, stdout, stderr, error } = spawnSync(path, args, { maxBuffer: 2 ** 30, ...how });
  if (status !== 0) throw new Error(`${path} ${args.join(' ')}: ${error?.message ?? stderr.toString()}`);
  return stdout;
}
