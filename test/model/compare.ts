import { execFileSync } from 'node:child_process';
import * as host from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearUmask } from '../../fs/host/make.ts';
import { dumpDirectory } from '../union/driver.ts';
import { HostTree } from './host-tree.ts';
import { type LayerPlan, planLayers, writeLayer, writeMergedLayers } from './layers.ts';
import { type Operation, printed, randomScript, SLOTS } from './operation.ts';
import { random } from './random.ts';
import { shrink } from './shrink.ts';

/** A union of layers that scripts are run on. */
export interface Subject {
  run(operation: Operation): string;
  /** What it shows. */
  dump(): string[];
  remount(): Promise<void>;
  /** Ends its use, and tells what is left, by the name of each way to look at it. */
  end(): Promise<Map<string, string[]>>;
  close(): Promise<void>;
}

/** Whether two outcomes are the same; given the step that had them. */
export type Same = (union: string, plain: string, operation: Operation) => boolean;

export interface Kind {
  spelling: 'overlay' | 'aufs';
  /** Lower files may have several names. */
  links: boolean;
  /** Layers have whiteouts, also ones that hide nothing. */
  whiteouts: boolean;
  /** Files are opened for reading alone too. */
  readers: boolean;
  length: number;
  same: Same;
  /** What the kernel wouldn't ask. */
  impossible?: (operation: Operation, plain: string) => boolean;
  /** `lowers`: directories, topmost first; `base`: one to work in. */
  make(lowers: string[], base: string): Promise<Subject>;
}

/** Runs a script on the union and on a plain directory; the first difference, or undefined. */
async function difference(kind: Kind, plans: readonly LayerPlan[], script: readonly Operation[]): Promise<string | undefined> {
  const base = host.mkdtempSync(join(tmpdir(), 'ufs-model-'));
  let subject: Subject | undefined;
  const plain = join(base, 'plain');
  const model = new HostTree(plain);
  try {
    host.mkdirSync(plain);
    writeMergedLayers(plans, plain);
    const lowers = plans.map((plan, index) => {
      const lower = join(base, `lower${index}`);
      host.mkdirSync(lower);
      writeLayer(plan, lower, kind.spelling);
      return lower;
    });
    const before = lowers.map(dumpDirectory);
    subject = await kind.make(lowers, base);
    for (const [index, operation] of [{ do: 'check' } as const, ...script, { do: 'remount' } as const, { do: 'check' } as const].entries()) {
      if (kind.impossible?.(operation, plain) === true) continue;
      const [expected, got] = [model.run(operation), subject.run(operation)];
      const where = `step ${index}, ${JSON.stringify(operation)}`;
      if (!kind.same(got, expected, operation)) return `${where}\n  plain: ${short(expected)}\n  union: ${short(got)}`;
      if (operation.do === 'remount') await subject.remount();
      // Whatever was done, every open file shows what its inode is now.
      for (let slot = 0; slot < SLOTS; slot += 1) {
        for (const look of [{ do: 'fstat', slot }, { do: 'pread', slot, offset: 0, length: 40_000 }] as const) {
          const [wanted, seen] = [model.run(look), subject.run(look)];
          if (wanted !== seen) return `${where}, then ${JSON.stringify(look)}\n  plain: ${short(wanted)}\n  union: ${short(seen)}`;
        }
      }
      if (operation.do === 'check' || operation.do === 'remount') {
        const differing = between(dumpDirectory(plain), subject.dump());
        if (differing !== undefined) return `${where}: ${differing}`;
      }
    }
    model.close();
    const wanted = dumpDirectory(plain);
    for (const [way, left] of await subject.end()) {
      // Archives of layers hold no trusted xattrs.
      const differing = between(way === 'committed' ? wanted.map((line) => line.replace(/ trusted\.x=\d+/, '')) : wanted, left);
      if (differing !== undefined) return `at the end, ${way}: ${differing}`;
    }
    for (const [index, lower] of lowers.entries()) {
      const differing = between(before[index] as string[], dumpDirectory(lower));
      if (differing !== undefined) return `lower ${index} was changed: ${differing}`;
    }
    return undefined;
  } catch (error) {
    return `thrown: ${(error as Error).stack}`;
  } finally {
    model.close();
    await subject?.close();
    execFileSync('rm', ['-rf', base]);
  }
}

function between(plain: string[], union: string[]): string | undefined {
  const [left, right] = [new Set(plain), new Set(union)];
  const lines = [...plain.filter((line) => !right.has(line)).map((line) => `plain: ${short(line)}`), ...union.filter((line) => !left.has(line)).map((line) => `union: ${short(line)}`)];
  return lines.length === 0 ? undefined : `\n  ${lines.slice(0, 10).join('\n  ')}`;
}

function short(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 120)}… (${text.length}) …${text.slice(-40)}`;
}

/** Throws where a union and a plain directory differ after the script of this seed: with the shortest script that shows it. */
export async function compare(kind: Kind, seed: number): Promise<void> {
  clearUmask();
  const next = random(seed);
  const plans = planLayers(next, kind);
  const known = plans.flat().filter(({ kind: type }) => type === 'file' || type === 'link').map(({ path }) => path);
  const script = randomScript(next, kind.length, { readers: kind.readers, known: known.length > 0 ? known : ['a'] });
  const found = await difference(kind, plans, script);
  if (found === undefined) return;
  const shortest = await shrink(script, async (part) => (await difference(kind, plans, part)) !== undefined);
  const layers = plans.map((plan, index) => `layer ${index}: ${JSON.stringify(plan.map((entry) => ({ ...entry, content: short(entry.content) })))}`).join('\n');
  throw new Error(`Seed ${seed}: ${found}\nThe shortest script that shows a difference:\n${printed(shortest)}\n${await difference(kind, plans, shortest) ?? 'only sometimes'}\n${layers}`);
}
