import { writeFileSync } from 'node:fs';
import { hostname as hostName } from 'node:os';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { close, openPath } from '../../../fs/host/at.ts';
import { O_DIRECTORY, O_PATH } from '../../../fs/host/constants.ts';
import { nameFromText } from '../../../fs/name.ts';
import { UfsError } from '../../errors.ts';
import { bundleConfig } from '../../oci/config.ts';
import { hostSide } from '../../oci/host-side.ts';
import { networkFiles } from '../../oci/network-files.ts';
import { argumentsOf, environmentOf, workingDirectoryOf } from '../../oci/process.ts';
import { deleteContainer, findRuntime, runBundle } from '../../oci/runtime.ts';
import { resolveUser } from '../../oci/user.ts';
import type { Context } from '../context.ts';
import { forwardSignals } from '../forward-signals.ts';
import type { Hold, HoldRequest } from '../held-mount.ts';
import { holdMount } from '../held-mount.ts';
import { askForMount } from '../hold-client.ts';
import { addMountFlags, type MountFlags } from '../mount-flags.ts';
import { shortId } from '../output.ts';
import { repeated } from '../repeated.ts';
import { report } from '../report.ts';

/** How `docker run` ends where nothing was run. */
const NOT_RUN = 125;

interface RunFlags extends MountFlags {
  user?: string;
  workdir?: string;
  env?: string[];
  entrypoint?: string;
  name?: string;
  rm?: boolean;
  readOnly?: boolean;
  interactive?: boolean;
  tty?: boolean;
  network: 'host' | 'none';
  runtime?: string;
}

/** run; and "hold", by which it has its mount. */
export function runCommand(program: Command, context: Context): void {
  const command = program.command('run')
    .description('Run a command in an image (in a new container, which stays), or in a container, through runc or crun. It ends as the command does: with its exit code, or 125 where it could not be run, 126 where it is no program, 127 where there is none.')
    .argument('<image|container>', 'name or id')
    .argument('[command...]', 'what to run, instead of what the image says; options here are the command\'s')
    .passThroughOptions();
  addMountFlags(command)
    .addOption(new Option('-e, --env <name[=value]>', 'set a variable, or take it from here').argParser(repeated))
    .option('-u, --user <user[:group]>', 'who runs it: names of the image\'s own accounts, or ids')
    .option('-w, --workdir <directory>', 'where it starts')
    .option('--entrypoint <program>', 'what to run instead of the image\'s program; the command is its arguments')
    .option('-i, --interactive', 'let it read this command\'s input; otherwise it reads nothing')
    .option('-t, --tty', 'give it a terminal of its own, shown on this one')
    .option('--name <name>', 'a name for the new container')
    .option('--rm', 'remove the new container, and volumes without a name, when it has ended')
    .option('--read-only', 'let it write only to what is mounted')
    .addOption(new Option('--network <which>', 'the machine\'s own, with its resolv.conf and hosts, or one with nothing in it').choices(['host', 'none']).default('host'))
    .option('--runtime <program>', 'what runs containers, by name or path (default: runc, or crun)')
    .action(async (what: string, words: string[], flags: RunFlags) => {
      try {
        context.exitCode = await run(context, what, words, flags);
      } catch (error) {
        report(context.io, error);
        context.exitCode = NOT_RUN;
      }
    });

  program.command('hold', { hidden: true })
    .description('Mount for "ufs run".')
    .argument('<request>', 'JSON')
    .action(async (request: string) => await holdMount(context, JSON.parse(request) as HoldRequest));
}

/**
 * The mount is the serving process's, as all of a store; the command runs here, where the terminal is.
 */
async function run(context: Context, what: string, command: string[], flags: RunFlags): Promise<number> {
  if (flags.tty === true && ![process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY)) throw new UfsError('UFS_USAGE', 'Cannot give it a terminal: this command has none');
  const { volume, mount, tmpfs, name } = flags;
  const request: HoldRequest = {
    what, rm: flags.rm === true, runtime: findRuntime(flags.runtime), ...(name === undefined ? {} : { name }),
    ...(volume === undefined ? {} : { volume }), ...(mount === undefined ? {} : { mount }), ...(tmpfs === undefined ? {} : { tmpfs }),
  };
  const held = await askForMount(context, request);
  try {
    if (held.hold === undefined) return NOT_RUN;
    context.io.signal.throwIfAborted();
    writeFileSync(join(held.hold.bundle, 'config.json'), JSON.stringify(configOf(held.hold, command, flags)), { mode: 0o600 });
    const { child, ended } = runBundle(held.hold.running, { bundle: held.hold.bundle, log: join(held.hold.bundle, 'runtime.log'), input: flags.interactive === true });
    const restore = forwardSignals(child);
    try {
      return await Promise.race([ended, held.lost]);
    } catch (error) {
      await deleteContainer(held.hold.running);
      throw error;
    } finally {
      restore();
    }
  } finally {
    await held.release();
  }
}

function configOf(hold: Hold, command: string[], flags: RunFlags): object {
  const words = { command, env: flags.env ?? [], terminal: flags.tty === true, ...(flags.entrypoint === undefined ? {} : { entrypoint: flags.entrypoint }), ...(flags.workdir === undefined ? {} : { workingDirectory: flags.workdir }) };
  const hostname = flags.network === 'host' ? hostName() : shortId(hold.container);
  const host = hostSide();
  const root = openPath(nameFromText(hold.rootfs), O_PATH | O_DIRECTORY);
  try {
    return bundleConfig({
      rootfs: hold.rootfs, hostname, readonly: flags.readOnly === true, network: flags.network, mounts: [...(flags.network === 'host' ? networkFiles(root, hold.mounts, { make: host.map === undefined }) : []), ...hold.mounts], ...(hold.propagation === undefined ? {} : { propagation: hold.propagation }),
      process: {
        args: argumentsOf(hold.image, words), env: environmentOf(hold.image, words, { hostname, environment: process.env }), cwd: workingDirectoryOf(hold.image, words),
        user: resolveUser(root, flags.user ?? hold.image.user), terminal: words.terminal,
      },
    }, host);
  } finally {
    close(root);
  }
}
