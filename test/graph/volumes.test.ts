import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nameFromText } from '../../fs/name.ts';
import { openWhole } from '../../src/graph/trees.ts';
import type { Volumes } from '../../src/graph/volumes.ts';
import type { Store } from '../../src/store/store.ts';
import { openVolumes } from './open-volumes.ts';

/** Does something in a process that kills itself the nth time the store comes to a step; false where it never did. */
function crash(root: string, { step, nth, action }: { step: string; nth: number; action: string }): boolean {
  const { signal, status, stderr } = spawnSync(process.execPath, [fileURLToPath(new URL('volumes-child.js', import.meta.url)), root, step, String(nth), action], { encoding: 'utf8' });
  assert.ok(signal === 'SIGKILL' || status === 0, stderr);
  return signal === 'SIGKILL';
}

/** A store with a volume "data" that has a file, for `use`; closed and removed after. */
async function withData(use: (root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'ufs-volumes-'));
  try {
    const { store, volumes } = await openVolumes(join(root, 'store'), { create: true });
    const { container } = await volumes.create('data', { 'label.kept': 'yes' });
    writeFileSync(join(container.diff, 'file'), 'kept');
    await store.close();
    await use(join(root, 'store'));
  } finally {
    rmSync(root, { recursive: true });
  }
}

function filesOf(store: Store, volumes: Volumes, name: string): string[] {
  const layer = openWhole(store, volumes.find(name).container);
  try {
    return layer.list(layer.root).map((entry) => nameFromText(entry.name));
  } finally {
    layer.close();
  }
}

/** All volumes have the file, and when they are removed nothing is left. */
async function checkVolumes(root: string, has: string[]): Promise<void> {
  const { store, volumes } = await openVolumes(root);
  const names = volumes.list().map(({ name }) => name);
  for (const name of has) assert.ok(names.includes(name), `${name} is there`);
  for (const name of names) assert.deepEqual(filesOf(store, volumes, name), ['file'], name);
  if (names.includes('data')) assert.deepEqual(volumes.find('data').options, { labels: { kept: 'yes' } });
  for (const name of names) await volumes.remove(name);
  assert.deepEqual([store.containers(), store.layers(), await store.check()], [[], [], []]);
  await store.close();
  assert.deepEqual(readdirSync(join(root, 'staging')), []);
}

const STEPS = ['rename', 'renamed', 'commit-manifest', 'commit-sync', 'commit-rename', 'commit-batch', 'committed'];

describe('volumes of a store', () => {
  test('no volume is lost, and nothing stays, where a process is killed that copies one', async () => {
    for (const step of STEPS) {
      for (let nth = 1; ; nth += 1) {
        let killed = false;
        await withData(async (root) => {
          killed = crash(root, { step, nth, action: 'make a copy' });
          await checkVolumes(root, killed ? ['data'] : ['copy', 'data']);
        });
        if (!killed) {
          assert.ok(nth > 1, `step ${step} was never reached`);
          break;
        }
      }
    }
  });

  test('nor where one is killed that removes one of those that were one', async () => {
    for (const [action, other] of [['data', 'copy'], ['copy', 'data']] as const) {
      await withData(async (root) => {
        const { store, volumes } = await openVolumes(root);
        await volumes.create('copy', { from: 'volume:data' });
        await store.close();
        assert.ok(crash(root, { step: 'remove-rename', nth: 1, action }));
        await checkVolumes(root, [other]);
      });
    }
    await withData(async (root) => {
      const { store, volumes } = await openVolumes(root);
      await volumes.create('copy', { from: 'volume:data' });
      await volumes.remove('copy');
      await store.close();
      assert.ok(crash(root, { step: 'remove-rename', nth: 2, action: 'data' }), 'what it was goes with the last');
      await checkVolumes(root, []);
    });
  });

  test('are copied at once, without a layer, as long as they aren\'t mounted and have no limit, and not too often', async () => {
    await withData(async (root) => {
      const { store, volumes } = await openVolumes(root);
      const { created } = volumes.find('data');
      for (let copy = 1; copy <= 12; copy += 1) {
        await volumes.create(`copy-${copy}`, { from: 'data' });
        writeFileSync(join(volumes.find('data').container.diff, `later-${copy}`), 'x'.repeat(5000));
      }
      assert.equal(volumes.find('data').created, created);
      assert.ok((await volumes.taken('data')).bytes >= 12 * 8192, 'what was written before counts on');
      assert.deepEqual(filesOf(store, volumes, 'data').length, 13);
      for (let copy = 1; copy <= 12; copy += 1) assert.equal(filesOf(store, volumes, `copy-${copy}`).length, copy);
      assert.ok(volumes.list().every(({ container }) => store.below(container).containers.length <= 8));
      assert.equal(store.layers().length, 4, 'the last ones have layers');
      await volumes.create('limited', { size: '1m' });
      await volumes.create('of-limited', { from: 'volume:limited' });
      assert.equal(volumes.find('limited').container.on, undefined);
      await store.close();
    });
  });
});
