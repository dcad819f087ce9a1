import type { Command } from 'commander';
import { commitContainer } from '../../graph/commit.ts';
import { type Subject, topLayer, withSubject } from '../../graph/trees.ts';
import { fullImageName, shortImageName } from '../../archive/image-name.ts';
import type { Store } from '../../store/store.ts';
import type { Container } from '../../store/containers.ts';
import type { Context } from '../context.ts';
import { flushContainer, mountedAt } from '../mounted.ts';
import { age, json, shortId, table } from '../output.ts';
import { withProgress } from '../progress.ts';

/** A new writable layer on what a name stands for. */
export async function newContainer(store: Store, subject: Subject, name: string | undefined): Promise<Container> {
  const parent = topLayer(subject);
  return await store.createContainer({
    ...(name === undefined ? {} : { name }),
    ...(parent === undefined ? {} : { parent }),
    ...(subject.kind === 'image' ? { image: subject.image.id } : {}),
  });
}

/** create, containers, commit: writable layers. */
export function containerCommands(program: Command, context: Context): void {
  const { io } = context;

  program.command('create')
    .description('Create a container: a writable layer on an image or layer. Prints its id.')
    .argument('<image>', 'name or id')
    .option('--name <name>', 'a name to call it by')
    .action(async (image: string, options: { name?: string }) => {
      const store = await context.store();
      const container = await withSubject(store, image, (subject) => newContainer(store, subject, options.name), ['image', 'layer']);
      await io.out(`${container.id}\n`);
    });

  program.command('containers')
    .description('List the containers.')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const store = await context.store({ create: true });
      const images = new Map(store.images().map((image) => [image.id, image.names.map(shortImageName).join(', ') || shortId(image.id)]));
      const containers = store.containers().map((container) => ({
        id: container.id, name: container.name, image: container.image, parent: container.parent, created: container.created, mounted: mountedAt(context, container),
      }));
      if (options.json === true) await io.out(json(containers));
      else {
        await io.out(table(['ID', 'NAME', 'IMAGE', 'CREATED', 'MOUNTED'], containers.map((container) => [
          shortId(container.id), container.name ?? '-', (container.image !== undefined ? images.get(container.image) : undefined) ?? (container.parent === undefined ? '-' : shortId(container.parent)),
          age(container.created), container.mounted ?? '-',
        ])));
      }
    });

  program.command('commit')
    .description('Make what a container changed a new layer, and an image of it. The container stays as it is, mounted or not.')
    .argument('<container>', 'id or name')
    .argument('[name]', 'the name of the image')
    .option('-m, --message <text>', 'a comment for the image\'s history')
    .option('--json', 'say what was made as JSON')
    .action(async (idOrName: string, name: string | undefined, options: { message?: string; json?: boolean }) => {
      const store = await context.store();
      const container = store.findContainer(idOrName);
      const fullName = name === undefined ? undefined : fullImageName(name);
      flushContainer(context, container);
      const { layer, image } = await withProgress(io, 'Committing', (how) => commitContainer(store, container, { ...how, name: fullName, comment: options.message }));
      await io.out(options.json === true ? json({ image: image.id, names: image.names, layer: layer.id }) : `${image.id}\n`);
    });
}
