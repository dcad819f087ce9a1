import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { inInitialUserNamespace } from '../../fs/host/process.ts';
import type { PassthroughMode } from '../../fs/transport/mount.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences } from '../helpers/tree.ts';
import { pick, random, seeds } from '../model/random.ts';
import { shrink } from '../model/shrink.ts';
import { type LowerKind, mountable } from '../posix/lowers.ts';
import { contentOf, FILES, type Operation, type Plan, randomPlan, randomScript } from './fsx-operation.ts';
import { FsxProcess } from './fsx-process.ts';

/** Where the files are: in a plain directory, which shows that the test itself is right, or in the lower layer of a mount. */
export type Where = 'plain' | { lower: LowerKind; passthrough: PassthroughMode };

/** Steps of a script. */
const LENGTH = 300;

interface Subject {
  directory: string;
  unmount(): Promise<void>;
  mount(): Promise<unknown>;
  /** What of the lower layer was changed. */
  changed(): string[];
  close(): Promise<void>;
}

/** Declares the test: reads, writes, mappings, allocations and copies in random order, against what the files must hold. */
export function testRandomWrites(where: Where, count: number): void {
  const title = where === 'plain' ? 'a plain directory' : `a mount, ${where.lower} below, passthrough ${inInitialUserNamespace() ? where.passthrough : 'impossible'}`;
  test(`random reads, writes, mappings, allocations and copies see what was written before, over remounts too, and leave the layers as they are (${title})`, { skip: where !== 'plain' && needsRootAndFuse }, async () => {
    const other = new FsxProcess();
    for (const seed of seeds('UFS_FSX_SEEDS', count)) await run(where, seed, other);
  });
}

/** Throws where a script of this seed finds a difference: with the shortest script that does. */
async function run(where: Where, seed: number, other: FsxProcess): Promise<void> {
  const next = random(seed);
  const limit = pick(next, [20_000, 60_000, 400_000, 2_500_000]);
  const plans = FILES.map(() => randomPlan(next, limit));
  // With passthrough=always who has a lower file open for reading alone goes on with that file: the README tells of it.
  const readers = where === 'plain' || where.passthrough !== 'always';
  const script = randomScript(next, LENGTH, { limit, readers });
  const found = await difference(where, plans, script, other);
  if (found === undefined) return;
  const told = `Seed ${seed}: ${found.wrong}\nFiles: ${JSON.stringify(plans)}\n`;
  if (found.hung) throw new Error(`${told}The script up to there:\n${printed(script.slice(0, found.step + 1))}`);
  const shortest = await shrink(script.slice(0, found.step + 1), async (part) => (await difference(where, plans, part, other)) !== undefined);
  throw new Error(`${told}The shortest script that shows a difference:\n${printed(shortest)}\n${(await difference(where, plans, shortest, other))?.wrong ?? 'only sometimes'}`);
}

function printed(script: readonly Operation[]): string {
  return script.map((operation) => JSON.stringify(operation)).join('\n');
}

interface Found {
  wrong: string;
  step: number;
  hung: boolean;
}

async function difference(where: Where, plans: readonly Plan[], script: readonly Operation[], other: FsxProcess): Promise<Found | undefined> {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-fsx-'));
  let subject: Subject | undefined;
  let hung = false;
  let step = 0;
  const onHang = (pid: number): string => {
    hung = true;
    return waitingIn(pid);
  };
  try {
    subject = await make(where, plans, base);
    await subject.mount();
    let wrong = await other.ask({ ask: 'begin', directory: subject.directory, plain: base, plans }, onHang);
    for (; step < script.length && wrong === undefined; step += 1) {
      const operation = script[step] as Operation;
      if (operation.do === 'remount') {
        wrong = await other.ask({ ask: 'close' }, onHang);
        await subject.unmount();
        await subject.mount();
      } else if (operation.do === 'dropCaches') dropCaches();
      else wrong = await other.ask({ ask: 'do', operation }, onHang);
      if (wrong !== undefined) return { wrong: `step ${step}, ${JSON.stringify(operation)}: ${wrong}`, step, hung };
    }
    wrong = await other.ask({ ask: 'close' }, onHang);
    await subject.unmount();
    await subject.mount();
    wrong ??= await other.ask({ ask: 'compareAll' }, onHang);
    if (wrong !== undefined) return { wrong: `at the end, mounted again: ${wrong}`, step, hung };
    await subject.unmount();
    const changed = subject.changed();
    return changed.length === 0 ? undefined : { wrong: `the layer was changed: ${changed.join('\n')}`, step, hung };
  } catch (error) {
    return { wrong: `step ${step} threw ${(error as Error).stack}`, step, hung };
  } finally {
    if (!hung) await other.ask({ ask: 'close' }, onHang);
    await subject?.close();
    execFileSync('rm', ['-rf', base]);
  }
}

async function make(where: Where, plans: readonly Plan[], base: string): Promise<Subject> {
  const lower = path.join(base, 'lower');
  fs.mkdirSync(lower);
  for (const [index, name] of FILES.entries()) {
    const { content, data } = contentOf(plans[index] as Plan);
    const fd = fs.openSync(path.join(lower, name), 'w');
    for (const { offset, length } of data) fs.writeSync(fd, content, offset, length, offset);
    fs.ftruncateSync(fd, content.length);
    fs.closeSync(fd);
  }
  const nothing = async (): Promise<void> => undefined;
  if (where === 'plain') return { directory: lower, mount: nothing, unmount: nothing, changed: () => [], close: nothing };
  const mount = await mountable(where.lower, [lower], { base, passthrough: where.passthrough });
  const before = mount.kept.map((layer) => listTree(layer));
  return {
    directory: path.join(base, 'mnt'), mount: mount.mount, unmount: mount.unmount, close: mount.close,
    changed: () => mount.kept.flatMap((layer, index) => treeDifferences(before[index] as ReturnType<typeof listTree>, listTree(layer))),
  };
}

/** All that the kernel remembers of any file system, and needn't; only root of the machine can. */
function dropCaches(): void {
  if (inInitialUserNamespace()) fs.writeFileSync('/proc/sys/vm/drop_caches', '3');
}

/** Where in the kernel the threads of a process are, and of this one, which serves the mount; but for those that wait for something to do. */
function waitingIn(pid: number): string {
  const threads = [pid, process.pid].flatMap((of) => fs.readdirSync(`/proc/${of}/task`).map((task) => ({ who: of === pid ? 'it' : 'serving', stack: readable(`/proc/${of}/task/${task}/stack`) })));
  return threads.filter(({ stack }) => !/^\S+ (do_epoll|futex)/.test(stack)).map(({ who, stack }) => `${who}: ${stack}`).join('\n');
}

/** Stacks are root's to read. */
function readable(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? '';
  }
}
