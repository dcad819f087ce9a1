import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { UfsError } from '../../errors.ts';
import { volumeStatus } from '../../graph/volume-status.ts';
import { OPTION_HELP } from '../../graph/volume-options.ts';
import { checkVolumeName, type Volume } from '../../graph/volume-record.ts';
import { humanSize, parseSize } from '../../store/size-text.ts';
import type { Context } from '../context.ts';
import { age, bytes, counted, json, table } from '../output.ts';
import { withProgress } from '../progress.ts';
import { repeated } from '../repeated.ts';
import { forEachSubject } from '../report.ts';
import { writeArchive } from '../write-archive.ts';

/** What Docker calls a volume that nobody named. */
const ANONYMOUS = /^[0-9a-f]{64}$/;

/** volume create, ls, inspect, rm, snapshot, export, import, resize, prune: directories by name that containers share and outlive. */
export function volumeCommands(program: Command, context: Context): void {
  const { io } = context;
  const volume = program.command('volume').description('Volumes: directories by name, which outlive the containers they are mounted in. "ufs serve" offers them to Docker.');

  volume.command('create')
    .description('Create a volume, empty or with the content of something else, which it shares until it is changed. Where there is one of that name with the same options it is that one. Prints its name.')
    .argument('<name>', 'as Docker allows them')
    .addOption(optionsOption())
    .option('--json', 'say what was made as JSON')
    .addHelpText('after', `\nOptions of volumes (also of docker volume create -o):\n${OPTION_HELP.map((line) => `  ${line}\n`).join('')}`)
    .action(async (name: string, flags: { opt?: string[]; json?: boolean }) => {
      const volumes = await context.volumes();
      const made = await withProgress(io, 'Creating', (how) => volumes.create(name, keyValues(flags.opt), how));
      await tell(context, made, flags);
    });

  volume.command('snapshot')
    .description('Create a volume with what is in another one now. It is made at once where that one isn\'t mounted and has no limit; else what was written to it is copied, and what is being written meanwhile may be in it or not. Prints its name.')
    .argument('<volume>', 'the one to copy')
    .argument('<name>', 'the new one')
    .addOption(optionsOption())
    .option('--json', 'say what was made as JSON')
    .action(async (from: string, name: string, flags: { opt?: string[]; json?: boolean }) => {
      const volumes = await context.volumes();
      refuseThere(volumes.list(), name);
      const made = await withProgress(io, 'Copying', (how) => volumes.create(name, { ...keyValues(flags.opt), from: `volume:${from}` }, how));
      await tell(context, made, flags);
    });

  volume.command('import')
    .description('Create a volume with what is in a tar, plain or compressed. Prints its name.')
    .argument('<name>')
    .argument('[tar]', 'the tar; - or none reads it from standard input', '-')
    .addOption(optionsOption())
    .option('--json', 'say what was made as JSON')
    .action(async (name: string, tar: string, flags: { opt?: string[]; json?: boolean }) => {
      const volumes = await context.volumes();
      refuseThere(volumes.list(), name);
      const given = keyValues(flags.opt);
      const made = await withProgress(io, 'Importing', (how) => (tar === '-' ? volumes.createFromArchive(name, io.input(), given, how) : volumes.create(name, { ...given, from: `tar:${resolve(io.cwd, tar)}` }, how)));
      await tell(context, made, flags);
    });

  volume.command('export')
    .description('Write all that is in a volume as a tar.')
    .argument('<volume>')
    .option('-o, --output <file>', 'where to; standard output unless given')
    .action(async (name: string, flags: { output?: string }) => {
      const volumes = await context.volumes();
      await volumes.export(name, async (archive) => await writeArchive(context, 'Exporting', archive, flags.output), { warn: (message) => io.err(`ufs: ${message}\n`) });
    });

  volume.command('ls')
    .description('List the volumes.')
    .addOption(labelOption())
    .option('--json', 'as JSON')
    .action(async (flags: { filter?: string[]; json?: boolean }) => {
      const volumes = await context.volumes();
      const found = volumes.list().filter(labelled(flags.filter)).map((each) => ({ ...described(each), mountpoint: volumes.mountpoint(each.name), holders: volumes.holders(each.name) }));
      if (flags.json === true) await io.out(json(found));
      else await io.out(table(['NAME', 'FROM', 'LIMIT', 'HOLDERS', 'CREATED', 'MOUNTED'], found.map(({ name, options, created, mountpoint, holders }) => [name, options.from ?? '-', options.size === undefined ? '-' : bytes(options.size), String(holders.length), age(created), mountpoint ?? '-'])));
    });

  volume.command('inspect')
    .description('Tell everything about volumes, as JSON: a list. What is in one is told as what is written to it, besides what it is from.')
    .argument('<volume...>')
    .option('--json', 'as it is anyhow')
    .action(async (names: string[]) => {
      const volumes = await context.volumes();
      const found = names.map((name) => volumes.find(name));
      await io.out(json(await Promise.all(found.map(async (each) => ({ ...described(each), ...(await volumeStatus(volumes, each)), id: each.container.id, upper: each.container.diff })))));
    });

  volume.command('resize')
    .description('Change what a volume may take, also while it is used: it is held to that at once, if it had a limit when it was mounted.')
    .argument('<volume>')
    .argument('[size]', 'bytes, or as 500m, 20g (powers of 1024)')
    .option('--inodes <count>', 'how many files and directories it may have besides what it is from')
    .option('--unlimited', 'take the limits away that aren\'t given')
    .option('--json', 'say what it has now as JSON')
    .action(async (name: string, text: string | undefined, flags: { inodes?: string; unlimited?: boolean; json?: boolean }) => {
      if (text === undefined && flags.inodes === undefined && flags.unlimited !== true) throw new UfsError('UFS_USAGE', 'Cannot resize a volume: give a size, --inodes or --unlimited');
      if (flags.inodes !== undefined && !/^[1-9]\d{0,14}$/.test(flags.inodes)) throw new UfsError('UFS_USAGE', `Cannot use "${flags.inodes}" as --inodes: not a number above 0`);
      const others = flags.unlimited === true ? null : undefined;
      const limits = { size: text === undefined ? others : parseSize(text), inodes: flags.inodes === undefined ? others : Number(flags.inodes) };
      const volumes = await context.volumes();
      const { volume: { options }, held } = await volumes.resize(name, { ...(limits.size === undefined ? {} : { size: limits.size }), ...(limits.inodes === undefined ? {} : { inodes: limits.inodes }) });
      const words = [options.size === undefined ? [] : [humanSize(options.size)], options.inodes === undefined ? [] : [counted(options.inodes, 'inode')]].flat();
      await io.out(flags.json === true ? json({ name, size: options.size ?? null, inodes: options.inodes ?? null, held }) : `Volume ${name} has ${words.length === 0 ? 'no limit' : words.join(', ')}\n`);
      if (!held) io.err(`ufs: volume ${name} was mounted before it had a limit, and isn't held to it before it is mounted again\n`);
    });

  volume.command('rm')
    .description('Remove volumes with all that is in them. Docker\'s containers that don\'t run have none: that they name a volume keeps only "docker volume rm" from removing it.')
    .argument('<volume...>')
    .option('-f, --force', 'although somebody has them who may have been killed; what is in use somewhere stays all the same')
    .action(async (names: string[], flags: { force?: boolean }) => {
      const volumes = await context.volumes();
      await forEachSubject(context, names, async (name) => {
        await volumes.remove(name, flags);
        await io.out(`${name}\n`);
      });
    });

  volume.command('prune')
    .description('Remove the volumes that nobody named (Docker names such by 64 digits) and nobody has; without --force tell which. Docker\'s containers that don\'t run don\'t have theirs: this can\'t tell them from volumes nobody needs, and "docker rm -v" is better there.')
    .option('-a, --all', 'those that have a name, too')
    .addOption(labelOption())
    .option('-f, --force', 'do it')
    .option('--json', 'say which as JSON')
    .action(async (flags: { all?: boolean; filter?: string[]; force?: boolean; json?: boolean }) => {
      const volumes = await context.volumes();
      const unused = volumes.list().filter(labelled(flags.filter)).filter(({ name }) => volumes.holders(name).length === 0 && (flags.all === true || ANONYMOUS.test(name))).map(({ name }) => name);
      const removed: string[] = [];
      if (flags.force === true) {
        await forEachSubject(context, unused, async (name) => {
          await volumes.remove(name);
          removed.push(name);
        });
      }
      if (flags.json === true) await io.out(json(flags.force === true ? { removed } : { unused }));
      else if (flags.force === true) await io.out(`${removed.map((name) => `${name}\n`).join('')}Removed ${counted(removed.length, 'volume')}\n`);
      else await io.out(`${unused.map((name) => `${name}\n`).join('')}${counted(unused.length, 'volume')} would be removed with --force\n`);
    });
}

async function tell({ io }: Context, made: Volume, flags: { json?: boolean }): Promise<void> {
  await io.out(flags.json === true ? json(described(made)) : `${made.name}\n`);
}

function described({ name, created, options, layer }: Volume): { name: string; created: string; options: Volume['options']; layer: string | undefined } {
  return { name, created, options, layer };
}

function optionsOption(): Option {
  return new Option('-o, --opt <key=value>', 'an option of the volume ("ufs volume create --help" tells them); may be given several times').argParser(repeated);
}

function labelOption(): Option {
  return new Option('--filter <label=KEY[=VALUE]>', 'those that have a label (option label.KEY); may be given several times').argParser(repeated);
}

/** "key=value", or "key" alone, which is empty: as docker volume create -o. */
function keyValues(texts: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(texts.map((text) => {
    const at = text.indexOf('=');
    return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  }));
}

function labelled(filters: readonly string[] = []): (volume: Volume) => boolean {
  const wanted = filters.map((filter) => {
    const [, key, value] = /^label=([^=]+)(?:=(.*))?$/s.exec(filter) ?? [];
    if (key === undefined) throw new UfsError('UFS_USAGE', `Cannot use "${filter}" as a filter: it is label=KEY or label=KEY=VALUE`);
    return { key, value };
  });
  return ({ options: { labels = {} } }) => wanted.every(({ key, value }) => Object.hasOwn(labels, key) && (value === undefined || labels[key] === value));
}

function refuseThere(volumes: readonly Volume[], name: string): void {
  checkVolumeName(name);
  if (volumes.some((each) => each.name === name)) throw new UfsError('UFS_VOLUME_EXISTS', `Cannot create volume "${name}": there is one of that name`);
}
