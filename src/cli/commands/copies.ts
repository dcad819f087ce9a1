import type { Command } from 'commander';
import type { IdRange } from '../../../fs/id-map.ts';
import { UfsError } from '../../errors.ts';
import { cloneContainer, remapContainer } from '../../graph/copies.ts';
import type { Context } from '../context.ts';
import { flushContainer, mountedAt } from '../mounted.ts';
import { json } from '../output.ts';
import { withProgress } from '../progress.ts';

interface RemapFlags {
  from?: IdRange[];
  to?: IdRange[];
  fromGid?: IdRange[];
  toGid?: IdRange[];
  json?: boolean;
}

/** clone, remap: containers made of containers. */
export function copyCommands(program: Command, context: Context): void {
  const { io } = context;

  program.command('clone')
    .description('Create a container with the content of another, which it shares; what it changes is told against that. Prints its id.')
    .argument('<container>', 'id or name')
    .option('--name <name>', 'a name for the new container')
    .option('--json', 'say what was made as JSON')
    .action(async (idOrName: string, options: { name?: string; json?: boolean }) => {
      const store = await context.store();
      const container = store.findContainer(idOrName);
      flushContainer(context, container);
      const made = await withProgress(io, 'Cloning', (how) => cloneContainer(store, container, { ...how, name: options.name }));
      await io.out(options.json === true ? json({ id: made.id, name: made.name, parent: made.parent }) : `${made.id}\n`);
    });

  program.command('remap')
    .description('Make all files of a container belong to others: each owner is looked up in --from (from outside to inside), and the result in --to (from inside to outside). Data isn\'t copied; set-user-ID bits and file capabilities stay. Who is in no map is an error, and then nothing is changed.')
    .argument('<container>', 'id or name; it must not be mounted')
    .option('--from <inside:outside:size>', 'a range of users and groups as they are now; several may be given, none: ids are what they are inside', range)
    .option('--to <inside:outside:size>', 'a range of users and groups as they are to be; several may be given, none: ids are to be what they are inside', range)
    .option('--from-gid <inside:outside:size>', 'the same for groups, if they differ', range)
    .option('--to-gid <inside:outside:size>', 'the same for groups, if they differ', range)
    .option('--json', 'say what was made as JSON')
    .action(async (idOrName: string, flags: RemapFlags) => {
      if (flags.from === undefined && flags.to === undefined && flags.fromGid === undefined && flags.toGid === undefined) throw new UfsError('UFS_USAGE', 'Cannot change owners: give --from, --to, or both');
      const store = await context.store();
      const container = store.findContainer(idOrName);
      const mounted = mountedAt(context, container);
      if (mounted !== undefined) throw new UfsError('UFS_CONTAINER_IN_USE', `Cannot change the owners of the container "${idOrName}": it is mounted on ${mounted}`);
      const { from = [], to = [] } = flags;
      const owners = { toContainer: { uid: from, gid: flags.fromGid ?? from }, toHost: { uid: to, gid: flags.toGid ?? to } };
      const layer = await withProgress(io, 'Changing owners', (how) => remapContainer(store, container, { ...how, owners }));
      await io.out(flags.json === true ? json({ container: container.id, layer: layer.id }) : `${layer.id}\n`);
    });
}

function range(text: string, previous: IdRange[] = []): IdRange[] {
  const numbers = text.split(':').map((word) => (/^[0-9]{1,10}$/.test(word) ? Number(word) : NaN));
  const [inside, outside, size] = numbers;
  if (numbers.length !== 3 || inside === undefined || outside === undefined || size === undefined || !(size > 0 && inside + size <= 2 ** 32 && outside + size <= 2 ** 32)) {
    throw new UfsError('UFS_USAGE', `Cannot use "${text}" as a range of ids: it is inside:outside:size, as 0:100000:65536`);
  }
  return [...previous, { inside, outside, size }];
}
