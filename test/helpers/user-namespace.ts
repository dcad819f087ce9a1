import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { needsProgram, needsRootAndFuse } from './needs.ts';

/** An unprivileged user, and the ids that are theirs to give away, as /etc/subuid would have them. */
const USER = 65_534;
const SUBORDINATE = { first: 200_000, count: 65_535 };
const asUser = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
const MARK = 'UFS_TEST_IN_USER_NAMESPACE';

/** Whether `runInUserNamespace` started this process. */
export const inUserNamespace = process.env[MARK] !== undefined;

/** Runs a test file as uid 0 of a user and mount namespace of an unprivileged user, with 65,536 ids; its results are told as the caller's own. */
export async function runInUserNamespace(file: string): Promise<void> {
  const skip = needsRootAndFuse || needsProgram('setpriv') || needsProgram('unshare') || (succeeds([...asUser, 'unshare', '-Um', 'true']) ? false : 'needs user namespaces for unprivileged users');
  if (skip !== false) {
    test('in a user namespace', { skip }, () => undefined);
    return;
  }
  const copy = mkdtempSync(join(tmpdir(), 'ufs-clone-'));
  try {
    const readable = readableFor(file, copy);
    // The shell says that its namespaces are made, then waits until its ids are mapped; what it becomes then is root.
    const wait = 'echo made >&3; exec 3>&-; read mapped; exec "$@" </dev/null';
    const [command, ...argv] = [...asUser, 'unshare', '-Um', '--propagation', 'slave', '/bin/sh', '-c', wait, 'sh', process.execPath, readable];
    const child = spawn(command as string, argv, { cwd: '/', stdio: ['pipe', 'inherit', 'inherit', 'pipe'], env: { ...process.env, [MARK]: '1' } });
    const ended = new Promise<number | null>((done, fail) => child.on('error', fail).on('exit', done));
    await new Promise((done) => (child.stdio[3] as NodeJS.ReadableStream).once('data', done).once('close', done));
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${child.pid}/${map}`, `0 ${USER} 1\n1 ${SUBORDINATE.first} ${SUBORDINATE.count}\n`);
    child.stdin?.end('\n');
    process.exitCode = (await ended) ?? 1;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function succeeds(argv: string[]): boolean {
  return spawnSync(argv[0] as string, argv.slice(1)).status === 0;
}

/** A file of the build, or a copy of it and all it needs below `copy` where an unprivileged user can't enter the clone. */
export function readableFor(file: string, copy: string): string {
  if (succeeds([...asUser, 'test', '-r', file])) return file;
  const build = resolve(import.meta.dirname, '../..');
  const root = packageRoot(build);
  chmodSync(copy, 0o755);
  for (const part of [relative(root, build), 'node_modules', 'package.json']) cpSync(join(root, part), join(copy, part), { recursive: true });
  return join(copy, relative(root, file));
}

/** The folder that holds node_modules, above a folder of the build. */
export function packageRoot(at: string): string {
  return succeeds(['test', '-d', join(at, 'node_modules')]) ? at : packageRoot(resolve(at, '..'));
}
