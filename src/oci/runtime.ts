import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { constants as os } from 'node:os';
import { UfsError } from '../errors.ts';

/** OCI runtimes, the first choice first. */
const KNOWN = ['runc', 'crun'];
/** Where a user's PATH may not lead, and runtimes are. */
const SYSTEM_PATHS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The runtime that is asked for, or one that is installed. UFS_NO_RUNTIME. */
export function findRuntime(wanted?: string): string {
  if (wanted?.includes('/') === true) return wanted;
  const names = wanted === undefined ? KNOWN : [wanted];
  for (const name of names) {
    for (const directory of [...(process.env['PATH'] ?? '').split(delimiter).filter((path) => path !== ''), ...SYSTEM_PATHS]) {
      if (isExecutable(join(directory, name))) return join(directory, name);
    }
  }
  throw new UfsError('UFS_NO_RUNTIME', `Cannot run a container: ${names.join(' or ')} is not installed`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether the runtime takes a mount option; those that can't tell their options don't take the newer ones. */
export function takesMountOption(runtime: string, option: string): boolean {
  const { status, stdout } = spawnSync(runtime, ['features'], { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore'] });
  if (status !== 0) return false;
  try {
    return (JSON.parse(stdout) as { mountOptions?: string[] }).mountOptions?.includes(option) === true;
  } catch {
    return false;
  }
}

/** One container of a runtime. */
export interface RuntimeContainer {
  runtime: string;
  id: string;
  /** Where the runtime keeps what it knows of its containers. */
  state: string;
}

/** Runs a bundle with this process's output, and input where `input` is given; `ended`: its exit code. It gets no signals of our terminal: what comes there is for us to pass on. */
export function runBundle({ runtime, id, state }: RuntimeContainer, { bundle, log, input }: { bundle: string; log: string; input: boolean }): { child: ChildProcess; ended: Promise<number> } {
  const argv = ['--root', state, '--log', log, '--log-format', 'json', 'run', '--bundle', bundle, id];
  // In a session of its own. It still finds the terminal in what it inherits.
  const child = spawn(runtime, argv, { stdio: [input ? 'inherit' : 'ignore', 'inherit', 'inherit'], detached: true });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (error) => reject(new UfsError('UFS_NO_RUNTIME', `Cannot run ${runtime}: ${error.message}`, { cause: error })));
    child.once('exit', (code, signal) => resolve(code === null ? 128 + os.signals[signal as NodeJS.Signals] : code));
  });
  return { child, ended: ended.then((code) => (code === 0 ? 0 : (failureOf(log) ?? code))) };
}

/** How `docker run` ends where a container can't be started; undefined where it was: its command ended so. */
function failureOf(log: string): number | undefined {
  const message = readLog(log).filter(({ level }) => level === 'error' || level === 'fatal').map(({ msg }) => msg).join('\n');
  if (message === '') return undefined;
  if (/executable file .*not found|exec.*no such file or directory/i.test(message)) return 127;
  return /exec.*(permission denied|not permitted|is a directory|format error)/i.test(message) ? 126 : 125;
}

function readLog(log: string): { level: string; msg: string }[] {
  let text = '';
  try {
    text = readFileSync(log, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').filter((line) => line !== '').flatMap((line) => {
    try {
      return [JSON.parse(line) as { level: string; msg: string }];
    } catch {
      return [];
    }
  });
}

/** Ends a container, if it is there, whatever it is at, and has the runtime forget it. */
export async function deleteContainer({ runtime, id, state }: RuntimeContainer): Promise<void> {
  const child = spawn(runtime, ['--root', state, 'delete', '--force', id], { stdio: 'ignore' });
  await new Promise((resolve) => child.once('error', resolve).once('exit', resolve));
}
