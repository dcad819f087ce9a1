import type { Command } from 'commander';
import { usageOf } from '../../graph/disk-usage.ts';
import { FileGetter } from '../../graph/file-getter.ts';
import { openTrees, withSubject } from '../../graph/trees.ts';
import type { Context } from '../context.ts';
import { flushContainer } from '../mounted.ts';
import { bytes, counted, json } from '../output.ts';

/** cat, usage: the files of a container, image or layer. */
export function fileCommands(program: Command, context: Context): void {
  const { io } = context;

  program.command('cat')
    .description('Write the content of files of a container, image or layer, without mounting it. Symlinks aren\'t followed.')
    .argument('<subject>', 'a container, image or layer: name or id')
    .argument('<path...>', 'paths in its root file system')
    .option('--changed', 'only files that it has changed itself, as in its diff')
    .action(async (text: string, paths: string[], options: { changed?: boolean }) => {
      const store = await context.store();
      await withSubject(store, text, async (subject) => {
        if (subject.kind === 'container') flushContainer(context, subject.container);
        const trees = openTrees(store, subject);
        try {
          const getter = new FileGetter({ layer: trees.after, close: () => {}, ...(options.changed === true ? { before: trees.before } : {}) });
          for (const path of paths) for await (const piece of getter.get(path)) await io.out(piece as Buffer);
        } finally {
          trees.close();
        }
      });
    });

  program.command('usage')
    .description('Tell what a container takes on disk, or what an image\'s or layer\'s top layer adds: bytes of file data, and inodes.')
    .argument('<subject>', 'a container, image or layer: name or id')
    .option('--json', 'as JSON')
    .action(async (text: string, options: { json?: boolean }) => {
      const store = await context.store();
      await withSubject(store, text, async (subject) => {
        if (subject.kind === 'container') flushContainer(context, subject.container);
        const usage = usageOf(store, subject);
        await io.out(options.json === true ? json(usage) : `${usage.size} bytes (${bytes(usage.size)}) in ${counted(usage.inodeCount, 'inode')}\n`);
      });
    });
}
