import type { Command } from 'commander';
import { nameFromText } from '../../../fs/name.ts';
import { UfsError } from '../../errors.ts';
import { humanSize, parseSize } from '../../store/size-text.ts';
import type { Store } from '../../store/store.ts';
import type { Context } from '../context.ts';
import { json } from '../output.ts';

/** pool: the space of the store. */
export function poolCommand(program: Command, context: Context): void {
  const { io } = context;
  const pool = program.command('pool')
    .description('Tell how much space the store takes, may take and has left; "pool resize" limits it. What layers have (each file once) and what is in the upper directories of containers counts; the index, and what was removed and is being deleted, doesn\'t.')
    .option('--json', 'as JSON, in bytes')
    .action(async (options: { json?: boolean }) => {
      const store = await context.store({ create: true });
      const { limit, used, available, keepFree } = store.pool.figures();
      const uncounted = limit === undefined ? [] : mountedWithoutRoom(context, store);
      if (options.json === true) {
        await io.out(json({ limit: limit ?? null, used, available, keepFree, uncounted }));
        return;
      }
      const rows = [['Limit', limit === undefined ? 'none: all of its file system' : humanSize(limit)], ['Used', humanSize(used)], ['Available', humanSize(available)], ['Kept free', humanSize(keepFree)]] as const;
      await io.out(rows.map(([name, value]) => `${`${name}:`.padEnd(11)}${value}\n`).join(''));
      tellUncounted(context, uncounted);
    });

  pool.command('resize')
    .description('Limit what the store may take, or change that, while it is in use too. Then load, import, commit, create and Docker are refused what would take more (UFS_STORE_FULL), and programs in mounts get ENOSPC. It can always grow, and shrink to what is used and to be kept free. Containers that are mounted when the first limit is set aren\'t held to it before they are mounted again; files of those that are aren\'t passed through to the kernel.')
    .argument('[size]', 'bytes, or as 500m, 20g (powers of 1024)')
    .option('--unlimited', 'take the limit away')
    .action(async (text: string | undefined, options: { unlimited?: boolean }) => {
      if ((text === undefined) === (options.unlimited !== true)) throw new UfsError('UFS_USAGE', 'Cannot resize the pool: give a size, or --unlimited');
      const size = text === undefined ? undefined : parseSize(text);
      const store = await context.store({ create: true });
      await store.resizePool(size);
      const { limit, used, available } = store.pool.figures();
      await io.out(limit === undefined ? 'The pool has no limit\n' : `The pool has ${humanSize(limit)}: ${humanSize(used)} are used, ${humanSize(available)} are free\n`);
      if (limit !== undefined) tellUncounted(context, mountedWithoutRoom(context, store));
    });
}

/** Ids of containers whose mounts don't know of the limit. */
function mountedWithoutRoom(context: Context, store: Store): string[] {
  const uncounted = new Set(context.mounts().flatMap(({ spec }) => (spec.upper === undefined || spec.upper.room !== undefined ? [] : [spec.upper.directory])));
  return store.containers().filter(({ diff }) => uncounted.has(nameFromText(diff))).map(({ id }) => id);
}

function tellUncounted({ io }: Context, ids: readonly string[]): void {
  if (ids.length > 0) io.err(`ufs: mounted before there was a limit, and not held to it before they are mounted again: ${ids.join(', ')}\n`);
}
