import type { RunConfig } from '../archive/run-config.ts';
import { UfsError } from '../errors.ts';

/** Where programs are found if the image doesn't say. */
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the command line says of a process. */
export interface ProcessWords {
  /** Instead of the image's arguments. */
  command: readonly string[];
  /** Instead of the image's program and arguments; "": neither. */
  entrypoint?: string;
  /** "NAME=value", or "NAME": as it is in `environment`, and absent where it isn't there. */
  env: readonly string[];
  workingDirectory?: string;
  terminal: boolean;
}

/** The words of the command that is run: the image's program, with its arguments or those given. UFS_USAGE where there are none. */
export function argumentsOf({ entrypoint, cmd }: RunConfig, words: ProcessWords): string[] {
  const program = words.entrypoint === undefined ? entrypoint : words.entrypoint === '' ? [] : [words.entrypoint];
  const rest = words.command.length > 0 || words.entrypoint !== undefined ? words.command : cmd;
  const args = [...program, ...rest];
  if (args.length === 0) throw new UfsError('UFS_USAGE', 'no command specified');
  return args;
}

/** The environment: Docker's defaults, over them the image's, over them the command line's. */
export function environmentOf({ env }: RunConfig, words: ProcessWords, { hostname, environment }: { hostname: string; environment: NodeJS.ProcessEnv }): string[] {
  const result = new Map<string, string>();
  const set = (entry: string): void => void result.set(entry.split('=', 1)[0] as string, entry);
  for (const entry of [PATH, `HOSTNAME=${hostname}`, ...(words.terminal ? ['TERM=xterm'] : []), ...env]) set(entry);
  for (const entry of words.env) {
    if (entry === '' || entry.startsWith('=')) throw new UfsError('UFS_USAGE', `invalid environment variable: ${entry}`);
    if (entry.includes('=')) set(entry);
    else if (environment[entry] === undefined) result.delete(entry);
    else set(`${entry}=${environment[entry]}`);
  }
  return [...result.values()];
}

/** The directory it starts in. UFS_USAGE where that isn't absolute. */
export function workingDirectoryOf(image: RunConfig, words: ProcessWords): string {
  const directory = words.workingDirectory ?? image.workingDirectory;
  if (words.workingDirectory !== undefined && !directory.startsWith('/')) throw new UfsError('UFS_USAGE', `the working directory '${directory}' is invalid, it needs to be an absolute path`);
  return directory === '' ? '/' : directory.startsWith('/') ? directory : `/${directory}`;
}
