import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { clearUmask } from '../../fs/host/make.ts';
import { mount, umount2 } from '../../fs/host/process.ts';
import { needsOverlayfs } from '../helpers/needs.ts';
import { listTree, treeDifferences } from '../helpers/tree.ts';
import { random, type Random } from '../model/random.ts';
import { listStack, paths, withStack } from './stacks.ts';

const base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-overlayfs-layers-'));
after(() => execFileSync('rm', ['-rf', base]));
clearUmask();

/** Changes a tree at random through a mount; what can't be done isn't. */
function scramble(root: string, steps: number, next: Random): void {
  const pick = (): string => path.join(root, ...Array.from({ length: 1 + next(3) }, () => `n${next(5)}`));
  for (let step = 0; step < steps; step++) {
    const [at, other] = [pick(), pick()];
    try {
      switch (next(9)) {
        case 0: case 1: fs.mkdirSync(at, { recursive: true, mode: 0o700 + next(64) }); break;
        case 2: fs.writeFileSync(at, `content ${step}`.repeat(1 + next(100))); break;
        case 3: fs.rmSync(at, { recursive: true }); break;
        case 4: case 5: fs.renameSync(at, other); break;
        case 6: fs.chmodSync(at, 0o700 + next(64)); break;
        case 7: fs.chownSync(at, next(5), next(5)); break;
        default: fs.symlinkSync(`to ${step}`, at);
      }
    } catch {
      // Taken, missing, not empty: another step will do.
    }
  }
}

test('layers that kernel overlayfs wrote at random, with redirects and metadata-only copies, read as overlayfs reads them', { skip: needsOverlayfs }, () => {
  const options = 'redirect_dir=on,metacopy=on,index=off';
  for (let seed = 1; seed <= 12; seed++) {
    const next = random(seed);
    const set = path.join(base, `kernel${seed}`);
    const at = (name: string): string => path.join(set, name);
    for (const name of ['merged', 'work', 'l0']) fs.mkdirSync(at(name), { recursive: true });
    scramble(at('l0'), 60, next);
    const stack = [at('l0')];
    for (let level = 1; level <= 4; level++) {
      const upper = at(`l${level}`);
      fs.mkdirSync(upper);
      fs.mkdirSync(at(`work${level}`));
      mount('overlay', at('merged'), 'overlay', 0, `lowerdir=${stack.join(':')},upperdir=${upper},workdir=${at(`work${level}`)},${options}`);
      try {
        scramble(at('merged'), 60, next);
      } finally {
        umount2(at('merged'), 0);
      }
      stack.unshift(upper);
    }
    mount('overlay', at('merged'), 'overlay', 1, `lowerdir=${stack.join(':')},redirect_dir=follow,metacopy=on`);
    try {
      const differences = treeDifferences(listTree(at('merged')), withStack(stack, listStack));
      assert.deepEqual(differences, [], `seed ${seed}`);
      withStack(stack, paths);
    } finally {
      umount2(at('merged'), 0);
    }
  }
});
