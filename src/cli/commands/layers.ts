import type { Command } from 'commander';
import { containerStatus, layerStatus, listLayers } from '../../graph/layer-status.ts';
import { findSubject } from '../../graph/trees.ts';
import type { Context } from '../context.ts';
import { flushContainer } from '../mounted.ts';
import { bytes, json, shortId, table } from '../output.ts';

/** layer list, layer stat: what each layer and container is on disk. */
export function layerCommands(program: Command, context: Context): void {
  const { io } = context;
  const layer = program.command('layer').description('Tell what layers and containers are on disk, each by itself.');

  layer.command('list')
    .description('List all layers and containers in the order they were made in, with the number of the change that made each (it only grows), and the bytes a container may take.')
    .option('--json', 'as JSON, with ids in full')
    .action(async (options: { json?: boolean }) => {
      const layers = listLayers(await context.store({ create: true }));
      if (options.json === true) await io.out(json(layers));
      else await io.out(table(['ID', 'KIND', 'TRANSACTION', 'QUOTA', 'PARENT'], layers.map(({ id, kind, transactionId, quota, parent }) => [shortId(id), kind, String(transactionId), quota === undefined ? '-' : bytes(quota), parent === undefined ? '-' : shortId(parent)])));
    });

  layer.command('stat')
    .description('Tell of layers and containers: size by their files (LOGICAL), blocks on disk (MAPPED; what is shared with other layers counts for each), inodes besides those below, and the end of the last byte any file of it has (HIGHEST).')
    .argument('<subject...>', 'ids or names of layers and containers')
    .option('--json', 'as JSON, in bytes, with ids in full')
    .action(async (subjects: string[], options: { json?: boolean }) => {
      const store = await context.store();
      const found = [];
      for (const text of subjects) {
        const subject = findSubject(store, text, ['container', 'layer']);
        if (subject.kind === 'container') flushContainer(context, subject.container);
        if (subject.kind === 'container') found.push(await containerStatus(store, subject.container));
        else if (subject.kind === 'layer') found.push(await layerStatus(store, subject.layer));
      }
      if (options.json === true) await io.out(json(found));
      else {
        await io.out(table(['ID', 'TRANSACTION', 'QUOTA', 'LOGICAL', 'MAPPED', 'INODES', 'HIGHEST'], found.map(({ id, transactionId, quota, logical, mapped, inodes, highest }) => [
          shortId(id), String(transactionId), quota === undefined ? '-' : bytes(quota), bytes(logical), bytes(mapped), String(inodes), bytes(highest),
        ])));
      }
    });
}
