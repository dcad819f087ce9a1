import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { parseMountOption } from '../volume/mount-option.ts';
import type { MountPoint } from '../volume/mount-point.ts';
import { inMountOrder } from '../volume/mount-points.ts';
import { parseMountRaw } from '../volume/mount-raw.ts';
import { parseMountSpec } from '../volume/mount-spec.ts';
import { parseTmpfs } from '../volume/tmpfs.ts';
import { repeated } from './repeated.ts';

/** Mount expressions, as they were given. */
export interface MountFlags {
  volume?: string[];
  mount?: string[];
  tmpfs?: string[];
}

/** Gives a command the options -v, --mount and --tmpfs. */
export function addMountFlags(command: Command): Command {
  return command
    .addOption(new Option('-v, --volume <source:target[:mode]>', 'mount a volume of the store (by its name; a missing one is made, and filled with what the image has there) or a directory or file of the host (by its path); mode: ro, nocopy, rshared, rslave …; a target alone: a volume without a name').argParser(repeated))
    .addOption(new Option('--mount <type=…,…>', 'the same in keys and values, as docker run takes them: type=bind|volume|tmpfs, source=, target=, readonly, bind-propagation=, volume-nocopy, volume-subpath=, volume-opt=KEY=VALUE, tmpfs-size=, tmpfs-mode= …').argParser(repeated))
    .addOption(new Option('--tmpfs <target[:options]>', 'mount a tmpfs: size=, mode=, exec …').argParser(repeated));
}

/** The mount points of such options, in the order they are to be mounted in. `directory`: which relative sources are taken from. UFS_USAGE, in Docker's words. */
export function mountPointsOf({ volume = [], mount = [], tmpfs = [] }: MountFlags, directory: string): MountPoint[] {
  return inMountOrder([
    ...volume.map((raw) => parseMountRaw(/^\.{1,2}(\/|:|$)/.test(raw) ? absolute(raw, directory) : raw)),
    ...mount.map((value) => parseMountSpec(parseMountOption(value, directory))),
    ...tmpfs.map(parseTmpfs),
  ]);
}

/** "./here:/there", as docker's command line takes it. */
function absolute(raw: string, directory: string): string {
  const colon = raw.indexOf(':');
  return colon === -1 ? raw : resolve(directory, raw.slice(0, colon)) + raw.slice(colon);
}
