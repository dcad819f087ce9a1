import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { clearUmask } from '../../fs/host/make.ts';
import type { PassthroughMode } from '../../fs/transport/mount.ts';
import { mountUnion } from '../helpers/mount.ts';
import type { TestMount } from '../helpers/mount.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences } from '../helpers/tree.ts';
import { writeFixture } from './case.ts';
import type { Fixture } from './case.ts';
import { posixCases } from './cases.ts';

/** Layers of a mount, topmost first; the first is the upper. */
const LAYERS = ['upper', 'top', 'middle', 'lowest'] as const;
type Roots = Record<(typeof LAYERS)[number], string>;

/** Where a case's files are before it runs. `prepare` gets the directory in the mount. */
interface Placement {
  place(fixture: Fixture, roots: Roots, name: string): void;
  prepare?(fixture: Fixture, dir: string): void;
}

const placements: Record<string, Placement> = {
  'in the upper': { place: (fixture, { upper }, name) => writeFixture(fixture, path.join(upper, name)) },
  'in the lowest layer': { place: (fixture, { lowest }, name) => writeFixture(fixture, path.join(lowest, name)) },
  'in a middle layer': { place: (fixture, { middle }, name) => writeFixture(fixture, path.join(middle, name)) },
  'in all layers, merged': {
    place(fixture, roots, name) {
      // Names of one file can only be in one layer.
      const home = (at: string): string => {
        const entry = fixture[at];
        return entry.kind === 'link' ? home(entry.to) : LAYERS[[...at].reduce((sum, character) => sum + character.charCodeAt(0), 0) % LAYERS.length];
      };
      for (const layer of LAYERS) writeFixture(fixture, path.join(roots[layer], name), (at) => home(at) === layer);
    },
  },
  'just copied up': {
    place: (fixture, { lowest }, name) => writeFixture(fixture, path.join(lowest, name)),
    prepare(fixture, dir) {
      for (const [name, entry] of Object.entries(fixture)) {
        const at = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, 'latin1')]);
        const { uid, gid, mode } = fs.lstatSync(at);
        if (entry.kind === 'symlink') fs.lchownSync(at, uid, gid);
        else fs.chmodSync(at, mode & 0o7777);
        if (entry.kind === 'file') fs.closeSync(fs.openSync(at, 'r+'));
      }
    },
  },
};

/** What a mount does otherwise, and why that is accepted. */
const deviations: { title: string; where: RegExp; reason: string }[] = [
  {
    title: 'unlink updates the ctime of a file that has other names', where: /auto.* in (the lowest layer|a middle layer|all layers)/,
    reason: 'the other names are in a lower layer, and a file isn\'t copied up for its ctime',
  },
];

/** Declares all cases on a mount for each placement of their files. */
export function testOnMounts(passthrough: PassthroughMode): void {
  for (const [where, placement] of Object.entries(placements)) {
    const mode = `passthrough ${passthrough}, files ${where}`;
    describe(`mount, ${mode}`, { skip: needsRootAndFuse }, () => {
      let mount: TestMount;
      let base: string;
      let roots: Roots;
      let lowersBefore: ReturnType<typeof listTree>[];
      const lowers = (): string[] => [roots.top, roots.middle, roots.lowest];

      before(async () => {
        clearUmask();
        base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-posix-'));
        roots = Object.fromEntries(LAYERS.map((layer) => [layer, path.join(base, layer)])) as Roots;
        for (const root of Object.values(roots)) fs.mkdirSync(root);
        for (const [index, { fixture }] of Object.values(posixCases).entries()) placement.place(fixture ?? {}, roots, `c${index}`);
        lowersBefore = lowers().map((root) => listTree(root));
        mount = await mountUnion({ lowers: lowers(), upper: roots.upper, passthrough });
        fs.chmodSync(path.dirname(mount.path), 0o755);
      });
      after(async () => {
        await mount?.close();
        execFileSync('rm', ['-rf', base]);
      });

      for (const [index, [title, { fixture, run }]] of Object.entries(posixCases).entries()) {
        const deviation = deviations.find((known) => known.title === title && known.where.test(mode));
        test(title, { skip: deviation?.reason ?? false }, async (t) => {
          const dir = path.join(mount.path, `c${index}`);
          placement.prepare?.(fixture ?? {}, dir);
          const reason = await run(dir);
          if (typeof reason !== 'string') return;
          // What the file system below can, the mount must.
          const plain = path.join(base, `plain${index}`);
          writeFixture(fixture ?? {}, plain);
          assert.equal(await run(plain), reason);
          t.skip(reason);
        });
      }

      test('no case changed a lower layer', () => {
        for (const [index, root] of lowers().entries()) assert.deepEqual(treeDifferences(lowersBefore[index], listTree(root)), []);
      });

      test('all the cases left is the same when it is mounted again', async () => {
        // The kernel's clock moves in steps: of two writes in one step the writeback cache tells the time of the first, the file below has the second's.
        const options = { mtime: passthrough === 'auto' };
        const left = listTree(mount.path, options);
        await mount.close();
        mount = await mountUnion({ lowers: lowers(), upper: roots.upper, passthrough });
        assert.deepEqual(treeDifferences(left, listTree(mount.path, options)), []);
      });
    });
  }
}
