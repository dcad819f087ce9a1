import type { Mount } from './mount.ts';
import { refused } from './refused.ts';

/** The mount of `--mount KEY=VALUE,…` as docker's command line takes it (docker/cli, opts/mount.go). Sources that begin with a dot are below `directory`. */
export function parseMountOption(value: string, directory: string = process.cwd()): Mount {
  throw refused(`not yet: ${value} in ${directory}`);
}
