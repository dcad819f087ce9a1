import type { Command } from 'commander';
import { replay } from '../../archive/recipe.ts';
import { UfsError } from '../../errors.ts';
import { reapply } from '../../graph/reapply.ts';
import type { Context } from '../context.ts';
import { counted, json } from '../output.ts';
import { Progress } from '../progress.ts';

/** check: the store against itself. */
export function checkCommand(program: Command, context: Context): void {
  const { io } = context;
  program.command('check')
    .description('Check every layer: content, index, and that recipe and content give back the exact archive. Exits with 1 where something is wrong.')
    .option('--rebuild', 'make the index anew from the layers, and mend what can be mended')
    .option('--json', 'as JSON')
    .action(async (options: { rebuild?: boolean; json?: boolean }) => {
      if (options.rebuild === true && context.serving) throw new UfsError('UFS_STORE_IN_USE', 'Cannot rebuild the index: the store is being served; unmount what is mounted first');
      const store = await context.store(options.rebuild === true ? { rebuild: true } : {});
      const progress = new Progress(io, 'Checking');
      const problems = await store.check({ replay, reapply, ...(options.rebuild === true ? { rebuild: true } : {}), onProgress: (done, total, what) => progress.note(`${done} of ${total}: ${what}`) });
      progress.end();
      if (options.json === true) await io.out(json(problems));
      else {
        for (const { layer, problem, fixed } of problems) await io.out(`${layer}: ${problem}${fixed ? ' (mended)' : ''}\n`);
        const left = problems.filter(({ fixed }) => !fixed).length;
        await io.out(left === 0 ? `The store is sound: ${counted(store.layers().length, 'layer')}\n` : `${counted(left, 'problem')}\n`);
      }
      if (problems.some(({ fixed }) => !fixed)) context.exitCode = 1;
    });
}
