import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, closeSync, openSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { CheckOptions } from '../../src/store/check.ts';
import { chainId } from '../../src/store/layer-id.ts';
import { contentPath } from '../../src/store/paths.ts';
import { Store } from '../../src/store/store.ts';
import { addLayer, filesOf, sampleChange, sampleDiffId, withRoot, type Sample } from './sample-layers.ts';

const read = (fd: number): string => readFileSync(fd, 'utf8');
const SAMPLE_BASE: Sample = { a: 'base', d: { f: 'in d' } };
const SAMPLE_TOP: Sample = { d: { g: 'top' } };

/** Does something in a process that kills itself (-9) the `nth` time the store comes to the step. */
function crash(root: string, step: string, action: string): void {
  const script = fileURLToPath(new URL('crash-child.js', import.meta.url));
  const { signal, stderr } = spawnSync(process.execPath, [script, root, step, action], { encoding: 'utf8' });
  assert.equal(signal, 'SIGKILL', `step ${step} was never reached: ${stderr}`);
}

/** The sample is the recipe: what `replay` and `reapply` of real archives do. */
const jsonRecipes: CheckOptions = {
  replay: async function* (path) {
    yield readFileSync(path);
  },
  reapply: async (path, source) => sampleChange(JSON.parse(readFileSync(path, 'utf8')) as Sample, {
    put: (data) => {
      const digest = createHash('sha256').update(data).digest('hex');
      closeSync(source.open(digest));
      return { digest, elf: false };
    },
    open: () => assert.fail(),
    share: () => undefined,
  }),
};

async function assertSound(store: Store): Promise<void> {
  assert.deepEqual(await store.check(jsonRecipes), []);
  assert.deepEqual(readdirSync(join(store.root, 'staging')), []);
}

for (const step of ['commit-objects', 'commit-manifest', 'commit-sync', 'commit-rename', 'commit-batch', 'committed']) {
  test(`a process killed at "${step}" leaves the layer wholly or not at all`, async () => {
    await withRoot(async (root) => {
      const first = await Store.open(root, { create: true });
      const base = await addLayer(first, SAMPLE_BASE);
      await first.close();
      crash(root, step, 'layer');
      const log: string[] = [];
      const store = await Store.open(root, { log: (line) => log.push(line) });
      const id = chainId(base.id, sampleDiffId(SAMPLE_TOP));
      const there = ['commit-batch', 'committed'].includes(step);
      assert.equal(store.layer(id) !== undefined, there);
      if (step !== 'committed') assert.equal(log.length, 1, 'what was mended is logged');
      await assertSound(store);
      const top = await addLayer(store, SAMPLE_TOP, base);
      assert.deepEqual(filesOf(store, top, read), { '/a': 'base', '/d/f': 'in d', '/d/g': 'top' });
      await assertSound(store);
      await store.gc();
      await store.emptyTrash();
      assert.deepEqual(readdirSync(join(root, 'layers')), []);
      await store.close();
    });
  });
}

for (const step of ['remove-rename', 'remove-batch']) {
  test(`a process killed at "${step}" of a removal leaves a sound store, from which the rest can be removed`, async () => {
    await withRoot(async (root) => {
      const first = await Store.open(root, { create: true });
      const base = await addLayer(first, SAMPLE_BASE);
      await addLayer(first, SAMPLE_TOP, base);
      await first.close();
      crash(root, step, 'gc');
      const store = await Store.open(root);
      assert.equal(store.layers().length, step === 'remove-rename' ? 2 : 0);
      await assertSound(store);
      await store.gc();
      const again = await addLayer(store, SAMPLE_BASE);
      assert.deepEqual(filesOf(store, again, read), { '/a': 'base', '/d/f': 'in d' });
      await assertSound(store);
      await store.close();
    });
  });
}

for (const step of ['exchange', 'exchanged']) {
  test(`a process killed at "${step}" leaves a container as it was, or on its new layer with nothing changed in it`, async () => {
    await withRoot(async (root) => {
      const first = await Store.open(root, { create: true });
      const base = await addLayer(first, SAMPLE_BASE);
      const top = await addLayer(first, SAMPLE_TOP, base);
      const { diff } = await first.createContainer({ id: 'web', parent: base.id });
      writeFileSync(join(diff, 'written'), 'x');
      await first.close();
      crash(root, step, 'replace');
      const store = await Store.open(root);
      const container = store.findContainer('web');
      assert.deepEqual([container.parent, readdirSync(container.diff)], step === 'exchange' ? [base.id, ['written']] : [top.id, []]);
      await assertSound(store);
      await store.replaceContainer('web', { parent: top.id, sealed: true });
      assert.deepEqual([store.findContainer('web').sealed, readdirSync(container.diff)], [top.id, []]);
      await store.emptyTrash();
      await store.close();
    });
  });
}

test('an interrupted making of a store is taken up again', async () => {
  await withRoot(async (root) => {
    await (await Store.open(root, { create: true })).close();
    rmSync(join(root, 'store.json'));
    writeFileSync(join(root, 'store.json.new'), 'torn');
    await assert.rejects(Store.open(root), { code: 'UFS_STORE_MISSING' });
    const store = await Store.open(root, { create: true });
    await addLayer(store, SAMPLE_BASE);
    await store.close();
    rmSync(join(root, 'store.json'));
    await assert.rejects(Store.open(root, { create: true }), { code: 'UFS_STORE_MISSING', message: /holds layers/ });
  });
});

/** A closed store with two layers and an image. */
async function withClosedStore(run: (root: string) => Promise<void>): Promise<void> {
  await withRoot(async (root) => {
    const store = await Store.open(root, { create: true });
    const base = await addLayer(store, SAMPLE_BASE);
    const top = await addLayer(store, SAMPLE_TOP, base);
    await store.putImage({ names: ['app:latest'], config: Buffer.from('{}'), layers: [base.id, top.id] });
    await store.createContainer({ name: 'web', parent: top.id });
    await store.close();
    await run(root);
  });
}

async function assertComplete(store: Store): Promise<void> {
  const top = store.layers()[1];
  assert.deepEqual(filesOf(store, top, read), { '/a': 'base', '/d/f': 'in d', '/d/g': 'top' });
  assert.equal(store.findImage('app').layers[1], top.id);
  assert.equal(store.findContainer('web').parent, top.id);
  await assertSound(store);
}

const DAMAGES: Record<string, (index: string) => void> = {
  'is gone': (index) => rmSync(index, { recursive: true }),
  'has lost its CURRENT': (index) => rmSync(join(index, 'CURRENT')),
  'has a MANIFEST of zeros': (index) => {
    const manifest = readdirSync(index).find((name) => name.startsWith('MANIFEST')) ?? assert.fail();
    writeFileSync(join(index, manifest), Buffer.alloc(200));
  },
  'is empty, as LevelDB would make it anew': (index) => {
    rmSync(index, { recursive: true });
    spawnSync('mkdir', [index]);
  },
};
for (const [damage, inflict] of Object.entries(DAMAGES)) {
  test(`an index that ${damage} is told of, and made anew from the layers when asked`, async () => {
    await withClosedStore(async (root) => {
      inflict(join(root, 'index'));
      await assert.rejects(Store.open(root), { code: 'UFS_INDEX_DAMAGED', message: /ufs check --rebuild/ });
      const store = await Store.open(root, { rebuild: true });
      await assertComplete(store);
      await store.emptyTrash();
      await store.close();
      await (await Store.open(root)).close();
    });
  });
}

test('an index of another store is not used', async () => {
  await withClosedStore(async (root) => {
    await (await Store.open(`${root}-other`, { create: true })).close();
    rmSync(join(root, 'index'), { recursive: true });
    spawnSync('cp', ['-r', `${root}-other/index`, `${root}/index`]);
    await assert.rejects(Store.open(root), { code: 'UFS_INDEX_DAMAGED', message: /another store/ });
  });
});

test('batches the log of LevelDB lost without a word are noticed at open and mended', async () => {
  await withClosedStore(async (root) => {
    const index = join(root, 'index');
    const log = readdirSync(index).find((name) => name.endsWith('.log')) ?? assert.fail();
    const size = readFileSync(join(index, log)).length;
    // Behind the identity, which a store can't be opened without.
    for (const keep of [size - 1, Math.floor(size / 2), 100]) {
      truncateSync(join(index, log), keep);
      const lines: string[] = [];
      let store: Store;
      try {
        store = await Store.open(root, { log: (line) => lines.push(line) });
      } catch (error) {
        assert.equal((error as { code: string }).code, 'UFS_INDEX_DAMAGED');
        continue;
      }
      assert.match(lines.join(), /The index had lost/);
      await assertComplete(store);
      await store.close();
      break;
    }
  });
});

test('a flipped byte in the index is never served, and the index can be made anew', async () => {
  await withClosedStore(async (original) => {
    // What is in a log LevelDB checks when it is opened; a table it doesn't. Opening writes the log to a table.
    await (await Store.open(original)).close();
    const table = readdirSync(join(original, 'index')).find((name) => name.endsWith('.ldb')) ?? assert.fail('no table');
    const bytes = readFileSync(join(original, 'index', table));
    let noticed = 0;
    for (let offset = 10; offset < bytes.length; offset += 67) {
      const root = `${original}-${offset}`;
      spawnSync('cp', ['-r', original, root]);
      flip(join(root, 'index', table), bytes, offset);
      try {
        const store = await Store.open(root, { log: () => noticed++ });
        try {
          assert.deepEqual(filesOf(store, store.layers()[1], read), { '/a': 'base', '/d/f': 'in d', '/d/g': 'top' }, `offset ${offset}`);
        } finally {
          await store.close();
        }
      } catch (error) {
        assert.ok(['UFS_INDEX_DAMAGED', 'EIO', 'UFS_STORE_WRITE'].includes((error as { code: string }).code), `offset ${offset}: ${error}`);
        noticed++;
        const store = await Store.open(root, { rebuild: true });
        await assertComplete(store);
        await store.close();
      }
    }
    assert.ok(noticed > 0, 'some flip hit what is read');
  });
});

function flip(path: string, bytes: Buffer, offset: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([bytes[offset] ^ 0xff]), 0, 1, offset);
  closeSync(fd);
}

test('check finds objects the index has lost, and mends them when asked', async () => {
  await withClosedStore(async (root) => {
    const { Level } = await import('level');
    const database = new Level(join(root, 'index'));
    const keys = (await database.keys({ gt: 'object/', lt: 'object0' }).all());
    await database.del(keys[0]);
    await database.put(keys[1], 'nonsense');
    await database.close();
    const store = await Store.open(root);
    assert.ok((await store.check()).length > 0);
    assert.ok((await store.check({ rebuild: true })).every(({ fixed }) => fixed));
    await assertComplete(store);
    await store.close();
  });
});

test('check finds damaged and missing content, a changed recipe and a lost manifest', async () => {
  await withClosedStore(async (root) => {
    let store = await Store.open(root);
    const [base, top] = store.layers();
    const digest = (path: string): string => store.reader.lookup(store.tree(top.id).root, path)?.content?.digest ?? assert.fail();
    writeFileSync(contentPath(join(root, 'layers', '1'), digest('a')), 'evil');
    appendFileSync(store.recipePath(top.number), ' ');
    const problems = await store.check(jsonRecipes);
    assert.deepEqual(problems.map(({ layer, fixed }) => [layer, fixed]), [[base.id, false], [top.id, false]]);
    assert.match(problems[0].problem, /is damaged/);
    assert.match(problems[1].problem, /give the archive sha256:/);
    rmSync(contentPath(join(root, 'layers', '1'), digest('a')));
    assert.match((await store.check())[0].problem, /is missing/);
    await store.close();
    writeFileSync(join(root, 'layers', '1', 'manifest.json'), '{}');
    const log: string[] = [];
    store = await Store.open(root, { log: (line) => log.push(line) });
    assert.match(log.join(), /left out/);
    const found = await store.check();
    assert.deepEqual(found.map(({ layer }) => layer), ['store', top.id, 'image app:latest']);
    assert.throws(() => store.tree(top.id), { code: 'UFS_LAYER_NOT_FOUND' });
    await store.close();
  });
});

test('a layer whose file of objects is damaged is made anew from its recipe', async () => {
  await withClosedStore(async (root) => {
    truncateSync(join(root, 'layers', '1', 'objects'), 30);
    rmSync(join(root, 'layers', '2', 'objects'));
    const log: string[] = [];
    const store = await Store.open(root, { rebuild: true, log: (line) => log.push(line) });
    assert.match(log.join(), /can't be mended/);
    assert.ok((await store.check()).some(({ fixed }) => !fixed));
    const problems = await store.check({ ...jsonRecipes, rebuild: true });
    assert.ok(problems.length > 0 && problems.every(({ fixed }) => fixed), JSON.stringify(problems));
    await assertComplete(store);
    await store.close();
  });
});
