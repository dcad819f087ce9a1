import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { inInitialUserNamespace } from '../../fs/host/process.ts';
import type { PassthroughMode } from '../../fs/transport/mount.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences, type TreeListing } from '../helpers/tree.ts';
import { type LowerKind, mountable, type Mountable } from '../posix/lowers.ts';
import { type Program, runScript, type Script } from './program.ts';
import { programs } from './programs.ts';

/** Declares all programs, each on a mount of its own. */
export function testPrograms({ lower, passthrough }: { lower: LowerKind; passthrough: PassthroughMode }): void {
  const mode = `${lower} below, passthrough ${inInitialUserNamespace() ? passthrough : 'impossible'}`;
  for (const [name, program] of Object.entries(programs)) {
    const skip = needsRootAndFuse || program.needs.map(needsProgram).find((missing) => missing !== false) || false;
    describe(`${name}, ${mode}`, { skip }, () => testProgram(program, lower, passthrough));
  }
}

function testProgram(program: Program, lower: LowerKind, passthrough: PassthroughMode): void {
  let base: string;
  let mount: Mountable;
  let keptBefore: TreeListing[];
  let directory: string;
  let plain: string;
  const kept = (): TreeListing[] => mount.kept.map((layer) => listTree(layer));

  before(async () => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-stress-'));
    plain = path.join(base, 'plain');
    fs.mkdirSync(plain);
    const layers: string[] = [];
    for (const [index, script] of program.layers.entries()) {
      const layer = path.join(base, `lower${index}`);
      fs.mkdirSync(path.join(layer, 'work'), { recursive: true });
      await runScript(script, path.join(layer, 'work'));
      execFileSync('cp', ['-a', `${layer}/work/.`, plain]);
      layers.unshift(layer);
    }
    mount = await mountable(lower, layers, { base, passthrough });
    keptBefore = kept();
    directory = path.join(await mount.mount(), 'work');
  });
  after(async () => {
    await mount?.close();
    execFileSync('rm', ['-rf', base]);
  });

  const step = async (t: TestContext, script: Script): Promise<void> => {
    const outcome = await runScript(script, directory);
    if ('cannot' in outcome || program.plain) assert.deepEqual(outcome, await runScript(script, plain));
    if ('cannot' in outcome) t.skip(outcome.cannot);
  };
  for (const [title, script] of Object.entries(program.steps)) test(title, async (t) => await step(t, script));

  const { leaves } = program;
  if (leaves !== undefined) {
    test('what all that left is what it leaves in a plain directory', () => {
      const list = (root: string): TreeListing => new Map([...listTree(root, { mtime: leaves.mtime })].filter(([name]) => leaves.except?.test(name) !== true));
      assert.deepEqual(treeDifferences(list(plain), list(directory)), []);
    });
  }
  test('the same is there when it is mounted again, and the lower layers are what they were', async () => {
    // See test/posix/on-mounts.ts for the times of a writeback cache.
    const options = { mtime: passthrough !== 'never' && inInitialUserNamespace() };
    const left = listTree(directory, options);
    await mount.unmount();
    for (const [index, now] of kept().entries()) assert.deepEqual(treeDifferences(keptBefore[index], now), []);
    await mount.mount();
    assert.deepEqual(treeDifferences(left, listTree(directory, options)), []);
  });
  for (const [title, script] of Object.entries(program.again ?? {})) test(title, async (t) => await step(t, script));
}
