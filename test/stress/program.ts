import { spawn } from 'node:child_process';

/** Told to bash, which stops at the first command that fails; its working directory is the program's. What it prints, to either stream, is its result; the directory's own path is `.` there. */
export type Script = string;

/** Ends a script that can't do what it is for on this machine; the last line it prints says why. As automake has it. */
const CANNOT = 77;

/** Seconds a script may take; it is ended then, and fails. */
const PATIENCE = 60;

/** Something people do with programs that weren't written for this project, told of one directory. The same is done in a mount and in a plain directory. */
export interface Program {
  /** Commands it can't do without. */
  needs: readonly string[];
  /** What makes its files in each lower layer, the lowest first; run in its directory of that layer. */
  layers: readonly Script[];
  /** In this order; the title of each is the promise it keeps by succeeding. */
  steps: Readonly<Record<string, Script>>;
  /** Steps after it was mounted again. */
  again?: Readonly<Record<string, Script>>;
  /** Whether the steps are done in a plain directory too, and must print the same there. Not where they only prove themselves right: what can't be done must be impossible there nevertheless. */
  plain: boolean;
  /** The tree that the steps leave must be the plain directory's: with modification times, or without; but for these paths. Absent where no two runs leave the same. */
  leaves?: { mtime: boolean; except?: RegExp };
}

/** What a script printed, or why it can't be run here. */
export type Outcome = { printed: string } | { cannot: string };

/** Runs a script in a directory. */
export async function runScript(script: Script, directory: string): Promise<Outcome> {
  const environment = {
    ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: 'C', TZ: 'UTC', HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1', GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.org', GIT_COMMITTER_NAME: 'C',
    GIT_COMMITTER_EMAIL: 'c@example.org', GIT_AUTHOR_DATE: '1000000000 +0000', GIT_COMMITTER_DATE: '1000000000 +0000',
  };
  // timeout(1) ends all that the script started.
  const child = spawn('timeout', ['-k', '5', String(PATIENCE), 'bash', '-euo', 'pipefail', '-c', `exec 2>&1; umask 022; ${script}`], { cwd: directory, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (printed += data.toString()));
  const code = await new Promise<number | string | null>((resolve, reject) => child.on('error', reject).on('close', (status, signal) => resolve(status ?? signal)));
  if (code === CANNOT) return { cannot: printed.trimEnd().split('\n').at(-1) ?? '' };
  if (code !== 0) throw new Error(`In ${directory}, this ended with ${code === 124 ? `no result after ${PATIENCE} s` : code}:\n${script}\n${printed}`);
  return { printed: printed.replaceAll(directory, '.') };
}
