import type { Command } from 'commander';
import { nameToText } from '../../../fs/name.ts';
import { changesArchive, changesOf, sizeOf } from '../../graph/diff.ts';
import { type Subject, withSubject } from '../../graph/trees.ts';
import type { Store } from '../../store/store.ts';
import type { Context } from '../context.ts';
import { flushContainer } from '../mounted.ts';
import { bytes, json } from '../output.ts';
import { writeArchive } from '../write-archive.ts';

const LETTERS = { added: 'A', modified: 'C', deleted: 'D' } as const;

/** changes, diff, size, export: what a container, image or layer changes, and what it holds. */
export function diffCommands(program: Command, context: Context): void {
  const { io } = context;

  const withFlushed = async (text: string, action: (store: Store, subject: Subject) => Promise<void>): Promise<void> => {
    const store = await context.store();
    await withSubject(store, text, async (subject) => {
      if (subject.kind === 'container') flushContainer(context, subject.container);
      await action(store, subject);
    });
  };
  const skipped = (path: string, reason: string): void => io.err(`ufs: left out ${nameToText(path)}: ${reason}\n`);

  program.command('changes')
    .description('List what a container changed against its image, or an image\'s or layer\'s top layer against those below: A added, C changed, D deleted.')
    .argument('<subject>', 'a container, image or layer: name or id')
    .option('--json', 'as JSON')
    .action(async (text: string, options: { json?: boolean }) => {
      await withFlushed(text, async (store, subject) => {
        const changes = changesOf(store, subject);
        if (options.json === true) await io.out(json(changes.map(({ kind, path }) => ({ kind, path: `/${nameToText(path)}` }))));
        else await io.out(changes.map(({ kind, path }) => `${LETTERS[kind]} /${nameToText(path)}\n`).join(''));
      });
    });

  program.command('diff')
    .description('Write what a container, image or layer changes as a layer archive (tar).')
    .argument('<subject>', 'a container, image or layer: name or id')
    .option('-o, --output <file>', 'where to; standard output unless given')
    .action(async (text: string, options: { output?: string }) => {
      await withFlushed(text, async (store, subject) => {
        await writeArchive(context, 'Writing', changesArchive(store, subject, { skipped }), options.output);
      });
    });

  program.command('export')
    .description('Write the whole root file system of a container, image or layer as a tar.')
    .argument('<subject>', 'a container, image or layer: name or id')
    .option('-o, --output <file>', 'where to; standard output unless given')
    .action(async (text: string, options: { output?: string }) => {
      await withFlushed(text, async (store, subject) => {
        await writeArchive(context, 'Exporting', changesArchive(store, subject, { skipped, whole: true }), options.output);
      });
    });

  program.command('size')
    .description('Tell the bytes that a container, image or layer adds to what it stands on.')
    .argument('<subject>', 'a container, image or layer: name or id')
    .option('--json', 'as JSON')
    .action(async (text: string, options: { json?: boolean }) => {
      await withFlushed(text, async (store, subject) => {
        const size = sizeOf(store, subject);
        await io.out(options.json === true ? json({ bytes: size }) : `${size} bytes (${bytes(size)})\n`);
      });
    });
}
