import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { counted, json, shortId, table } from '../output.ts';

/** stores: the read-only stores that are consulted after the own one. */
export function storesCommand(program: Command, context: Context): void {
  const { io } = context;
  const stores = program.command('stores')
    .description('Additional stores: where images and layers are looked for that the store itself doesn\'t have. They are only read, without a lock, so that many hosts can use one at once.');

  stores.command('list', { isDefault: true })
    .description('List them, in the order they are consulted in.')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const store = await context.store({ create: true });
      const listed = store.additionalStores().map(({ root, store: other, problem }) => ({
        root, uuid: other?.uuid, images: other?.images().all().length, layers: other?.layers().layers().length, problem: problem?.message,
        borrowed: other === undefined ? undefined : store.layers().filter(({ borrowed }) => borrowed?.store === other.uuid).length,
      }));
      if (options.json === true) await io.out(json(listed));
      else await io.out(table(['DIRECTORY', 'ID', 'IMAGES', 'LAYERS', 'BORROWED', 'STATE'], listed.map(({ root, uuid, images, layers, borrowed, problem }) => [root, uuid === undefined ? '-' : shortId(uuid), ...[images, layers, borrowed].map((count) => String(count ?? '-')), problem ?? 'ok'])));
    });

  stores.command('add')
    .description('Consult a store after this one, and after those added before.')
    .argument('<directory>', 'the root of the other store')
    .action(async (directory: string) => {
      const store = await context.store({ create: true });
      await store.addAdditionalStore(resolve(io.cwd, directory));
    });

  stores.command('remove')
    .description('Consult a store no more. Containers and images made of its layers go on, and need it to stay where it is.')
    .argument('<directory>', 'the root of the other store, as it was added')
    .action(async (directory: string) => {
      const store = await context.store();
      const root = resolve(io.cwd, directory);
      const uuid = store.additionalStores().find((other) => other.root === root)?.store?.uuid;
      await store.removeAdditionalStore(root);
      const left = store.layers().filter(({ borrowed }) => borrowed !== undefined && borrowed.store === uuid).length;
      if (left > 0) io.err(`ufs: ${counted(left, 'layer')} of it are in use, or wait for gc: keep it where it is\n`);
    });
}
