import type { Command } from 'commander';
import { shortImageName } from '../../archive/image-name.ts';
import { UfsError } from '../../errors.ts';
import { belongsToEngine } from '../../graph/layer-labels.ts';
import { findSubject, nameAskedFor } from '../../graph/trees.ts';
import type { Context } from '../context.ts';
import { mountedAt } from '../mounted.ts';
import { bytes, counted, json, shortId } from '../output.ts';
import { forEachSubject } from '../report.ts';

/** rm and gc: taking things out of the store. */
export function removeCommands(program: Command, context: Context): void {
  const { io } = context;

  program.command('rm')
    .description('Remove containers, images or layers. Of an image with several names only the name given goes. Layers that nothing needs stay until gc.')
    .argument('<subject...>', 'names or ids')
    .action(async (subjects: string[]) => {
      const store = await context.store();
      await forEachSubject(context, subjects, async (text) => {
        const subject = findSubject(store, text);
        if (subject.kind === 'container') {
          const mounted = mountedAt(context, subject.container);
          if (mounted !== undefined) throw new UfsError('UFS_CONTAINER_IN_USE', `Cannot remove the container "${text}": it is mounted on ${mounted}`);
          if (belongsToEngine(subject.container)) throw new UfsError('UFS_CONTAINER_IN_USE', `Cannot remove "${subject.container.id}": it belongs to the engine that made it, which removes it`);
          await store.removeContainer(subject.container.id);
          await io.out(`Removed the container ${shortId(subject.container.id)}\n`);
        } else if (subject.kind === 'layer') {
          await store.removeLayer(subject.layer.id);
          await io.out(`Removed the layer ${shortId(subject.layer.id)}\n`);
        } else {
          const name = subject.image.names.length > 1 ? nameAskedFor(subject.image, text) : undefined;
          if (name !== undefined) {
            await store.untagImage(name);
            await io.out(`Removed the name ${shortImageName(name)}\n`);
          } else {
            await store.removeImage(subject.image.id);
            await io.out(`Removed the image ${shortId(subject.image.id)}\n`);
          }
        }
      });
    });

  program.command('gc')
    .description('Remove the layers that no image or container needs.')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const store = await context.store();
      const { layers, bytes: freed } = await store.gc();
      await store.emptyTrash();
      if (options.json === true) await io.out(json({ layers: layers.map(({ id }) => id), bytes: freed }));
      else await io.out(`Removed ${counted(layers.length, 'layer')}, ${bytes(freed)}\n`);
    });
}
