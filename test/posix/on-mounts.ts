import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { clearUmask } from '../../fs/host/make.ts';
import { inInitialUserNamespace } from '../../fs/host/process.ts';
import { isDirectory, isRegular, S_IFSOCK } from '../../fs/stat.ts';
import type { Stat } from '../../fs/stat.ts';
import type { PassthroughMode } from '../../fs/transport/mount.ts';
import type { Transport } from '../../fs/transport/transport.ts';
import { needsFuseNative, needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences } from '../helpers/tree.ts';
import { cannotRun, writeFixture } from './case.ts';
import type { Fixture } from './case.ts';
import { posixCases } from './cases.ts';
import { deviation } from './deviations.ts';
import { mountable } from './lowers.ts';
import type { LowerKind, Mountable } from './lowers.ts';
import { refresh } from './system.ts';

/** Layers of a mount, topmost first; the first is the upper. */
const LAYERS = ['upper', 'top', 'middle', 'lowest'] as const;
type Roots = Record<(typeof LAYERS)[number], string>;

/** Where a case's files are before it runs. `prepare` gets the directory in the mount. */
interface Placement {
  place(fixture: Fixture, roots: Roots, name: string): void;
  prepare?(fixture: Fixture, dir: string): void;
}

const placements = {
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
      const all = Object.entries(fixture).map(([name, entry]) => ({ entry, at: Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, 'latin1')]) }));
      for (const { entry, at } of all) {
        const { uid, gid, mode } = fs.lstatSync(at);
        if (entry.kind === 'symlink') fs.lchownSync(at, uid, gid);
        else fs.chmodSync(at, mode & 0o7777);
        if (entry.kind === 'file') fs.closeSync(fs.openSync(at, 'r+'));
      }
      // The kernel isn't told that copying moved their ctimes.
      for (const { at } of all) refresh(at);
    },
  },
} satisfies Record<string, Placement>;

export type PlacementName = keyof typeof placements;
export const PLACEMENTS = Object.keys(placements) as PlacementName[];

export interface MountKind {
  lower: LowerKind;
  passthrough: PassthroughMode;
  placements?: PlacementName[];
  transport?: Transport;
}

/** Declares all cases on a mount for each placement of their files. */
export function testOnMounts({ lower, passthrough, placements: wanted = PLACEMENTS, transport = 'dev-fuse' }: MountKind): void {
  for (const where of wanted) {
    const placement: Placement = placements[where];
    const way = transport === 'dev-fuse' ? `passthrough ${inInitialUserNamespace() ? passthrough : 'impossible'}` : transport;
    const mode = `${lower} below, ${way}, files ${where}`;
    describe(`mount, ${mode}`, { skip: transport === 'fuse-native' ? needsFuseNative() : needsRootAndFuse }, () => {
      const cases = Object.entries(posixCases).map(([title, definition], index) => {
        const skip = cannotRun(definition) || deviation(title, mode) || (lower === 'image' && cannotBeArchived(definition.fixture));
        return { title, definition, name: `c${index}`, skip };
      });
      let base: string;
      let mount: Mountable;
      let root: string;
      let keptBefore: ReturnType<typeof listTree>[];
      const kept = (): ReturnType<typeof listTree>[] => mount.kept.map((directory) => listTree(directory));

      before(async () => {
        clearUmask();
        base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-posix-'));
        fs.chmodSync(base, 0o755);
        const roots = Object.fromEntries(LAYERS.map((layer) => [layer, path.join(base, layer)])) as Roots;
        for (const made of Object.values(roots)) fs.mkdirSync(made);
        for (const { definition, name, skip } of cases) if (skip === false) placement.place(definition.fixture ?? {}, roots, name);
        mount = await mountable(lower, LAYERS.slice(1).map((layer) => roots[layer]), { base, passthrough, transport });
        if (mount.upper !== roots.upper) execFileSync('cp', ['-a', `${roots.upper}/.`, mount.upper]);
        keptBefore = kept();
        root = await mount.mount();
        openPath(base, root);
      });
      after(async () => {
        await mount?.close();
        execFileSync('rm', ['-rf', base]);
      });

      for (const { title, definition: { fixture, run }, name, skip } of cases) {
        test(title, { skip }, async (t) => {
          const dir = path.join(root, name);
          if (fixture === undefined) fs.mkdirSync(dir, { recursive: true });
          placement.prepare?.(fixture ?? {}, dir);
          const reason = await run(dir);
          if (typeof reason !== 'string') return;
          // What the file system below can, the mount must.
          const plain = path.join(base, `plain-${name}`);
          writeFixture(fixture ?? {}, plain);
          assert.equal(await run(plain), reason);
          t.skip(reason);
        });
      }

      test('no case changed a lower layer', () => {
        for (const [index, now] of kept().entries()) assert.deepEqual(treeDifferences(keptBefore[index], now), []);
      });

      test('all the cases left is the same when it is mounted again, down to the inode numbers', async () => {
        const options = {
          // The kernel's clock moves in steps: of two writes in one step the writeback cache tells the time of the first, the file below has the second's.
          mtime: passthrough !== 'never' && inInitialUserNamespace(),
          // Where a copied up symlink or fifo comes from has no place but a trusted xattr.
          ino: (stat: Stat): boolean => (inInitialUserNamespace() || isRegular(stat) || isDirectory(stat)) && (transport === 'dev-fuse' || lower === 'directories'),
        };
        const left = listTree(root, options);
        await mount.unmount();
        await mount.mount();
        assert.deepEqual(treeDifferences(left, listTree(root, options)), []);
      });
    });
  }
}

function cannotBeArchived(fixture: Fixture | undefined): string | false {
  return Object.values(fixture ?? {}).some((entry) => entry.kind === 'node' && entry.type === S_IFSOCK) ? 'archives hold no sockets' : false;
}

/** Lets everybody through to a directory: a store is its owner's only. */
function openPath(base: string, to: string): void {
  for (let at = to; at.startsWith(base); at = path.dirname(at)) if (at !== to) fs.chmodSync(at, 0o755);
}
