import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { inInitialUserNamespace } from '../../fs/host/process.ts';
import { checkCommand } from './commands/check.ts';
import { containerCommands } from './commands/containers.ts';
import { copyCommands } from './commands/copies.ts';
import { diffCommands } from './commands/diff.ts';
import { fileCommands } from './commands/files.ts';
import { imageCommands } from './commands/images.ts';
import { inspectCommands } from './commands/inspect.ts';
import { layerCommands } from './commands/layers.ts';
import { mountCommands } from './commands/mount.ts';
import { poolCommand } from './commands/pool.ts';
import { removeCommands } from './commands/remove.ts';
import { runCommand } from './commands/run.ts';
import { serveCommand } from './commands/serve.ts';
import { storesCommand } from './commands/stores.ts';
import { volumeCommands } from './commands/volumes.ts';
import type { Context } from './context.ts';

/** The store of who says nothing else. Root of a user namespace is an ordinary user, inside and out. */
function defaultRoot(): string {
  if (process.env['UFS_ROOT'] !== undefined && process.env['UFS_ROOT'] !== '') return process.env['UFS_ROOT'];
  return process.getuid?.() === 0 && inInitialUserNamespace() ? '/var/lib/ufs' : join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local/share'), 'ufs');
}

/** The command line. Each use makes a new one: options of one run don't stay for the next. */
export function buildProgram(context: Context, argv: readonly string[]): Command {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string };
  const program = new Command('ufs');
  program
    .description('A union file system in user space: images of layers, mounted through FUSE as copy-on-write root file systems.')
    .version(version)
    .option('--root <directory>', 'the store', defaultRoot())
    .configureOutput({ writeOut: (text) => void context.io.out(text), writeErr: (text) => context.io.err(text) })
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError('(--help says more)')
    .hook('preAction', () => context.setRoot(resolve(context.io.cwd, program.opts<{ root: string }>().root)));
  for (const register of [imageCommands, containerCommands, mountCommands, runCommand, serveCommand, diffCommands, inspectCommands, removeCommands, checkCommand, copyCommands, fileCommands, storesCommand, layerCommands, poolCommand, volumeCommands]) register(program, context);
  // What follows an image belongs to the command that is run, whatever it looks like. Elsewhere the store may be named at the end, too.
  program.enablePositionalOptions(commandOf(argv) === 'run');
  inheritSettings(program);
  return program;
}

function commandOf(argv: readonly string[]): string | undefined {
  return argv.find((word, index) => !word.startsWith('-') && argv[index - 1] !== '--root');
}

function inheritSettings(program: Command): void {
  for (const command of program.commands) {
    command.exitOverride().copyInheritedSettings(program);
    inheritSettings(command);
  }
}
