import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Bench, MAIN, type Result } from './cli.ts';
import { needsProgram, needsRootAndFuse } from './needs.ts';

/** A user without any rights. */
export const USER = 65_534;

/** What to put before a command so that this user runs it. */
export const asUser = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'] as const;

/** Why a test can't act as that user; false where it can. */
export const needsOtherUser: string | false = needsRootAndFuse || needsProgram('setpriv');

/** The built command line, where that user can run it: a copy where the clone is in a folder they can't enter. The bench becomes theirs. */
export function userMain(bench: Bench): string {
  bench.sh(`chown -R ${USER}:${USER} .; chmod 0755 .`);
  if (spawnSync(asUser[0], [...asUser.slice(1), 'test', '-r', MAIN]).status === 0) return MAIN;
  const root = resolve(dirname(MAIN), '../../..');
  for (const part of ['dist', 'node_modules', 'package.json']) cpSync(`${root}/${part}`, bench.path('copy', part), { recursive: true });
  return bench.path('copy/dist/src/cli/main.js');
}

/** Runs a shell script as that user, with `ufs` on the bench's store; `before`: what to put before the shell, to unshare namespaces. */
export function runAsUser(bench: Bench, main: string, script: string, before: string[] = []): Result {
  const [command, ...argv] = [...asUser, ...before, '/bin/bash', '-euo', 'pipefail', '-c', `ufs() { ${process.execPath} ${main} --root ${bench.store} "$@"; }; ${script}`];
  return bench.run(command as string, argv);
}
