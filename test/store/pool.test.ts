import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Store } from '../../src/store/store.ts';
import { addLayer, withRoot } from './sample-layers.ts';

const MIB = 1 << 20;
/** Another text for each letter, of some length. */
const text = (letter: string, length: number): string => letter.repeat(length);

/** A store to work with, and a way to have it opened anew. */
async function withStores(run: (open: (how?: { rebuild?: boolean }) => Promise<Store>, root: string) => Promise<void>): Promise<void> {
  await withRoot(async (root) => {
    let store: Store | undefined;
    try {
      await run(async (how = {}) => {
        await store?.close();
        return (store = await Store.open(root, { create: true, ...how }));
      }, root);
    } finally {
      await store?.close();
    }
  });
}

test('what layers share counts once, and until the last of them is removed', async () => {
  await withStores(async (open) => {
    let store = await open();
    const bytes = async (): Promise<number> => (await store.status()).contentBytes;
    const first = await addLayer(store, { shared: text('s', 5000), own: text('a', 100) });
    const second = await addLayer(store, { shared: text('s', 5000), other: text('b', 10) });
    assert.equal(await bytes(), 5110);
    await store.removeLayer(first.id);
    assert.equal(await bytes(), 5010, 'while the first is still in the trash');
    store = await open();
    assert.equal(await bytes(), 5010);
    await store.removeLayer(second.id);
    assert.equal(await bytes(), 0);
    for (const how of [{}, { rebuild: true }]) {
      await addLayer(store, { shared: text('s', 5000) });
      store = await open(how);
      assert.equal(await bytes(), 5000);
      assert.deepEqual(await store.check(), []);
    }
  });
});

test('equal data of two layers that are made at the same time is stored for both, and counted so', async () => {
  await withStores(async (open) => {
    const store = await open();
    const pair = [store.beginLayer(), store.beginLayer()];
    for (const { sink } of pair) sink.put(Buffer.from(text('x', 3000)));
    const records = [];
    for (const [index, transaction] of pair.entries()) {
      writeFileSync(transaction.recipePath, '');
      records.push(await transaction.commit({ root: { hides: false }, diffId: `sha256:${String(index).repeat(64)}`, archiveSize: 0, size: 3000 }));
    }
    assert.equal((await store.status()).contentBytes, 6000);
    await store.gc({ keep: records.slice(1).map(({ id }) => id) });
    assert.equal((await store.status()).contentBytes, 3000);
    await store.gc();
    assert.equal((await store.status()).contentBytes, 0);
  });
});

test('numbers are never used twice, though all that had them is gone', async () => {
  await withStores(async (open) => {
    let store = await open();
    let last = 0;
    for (const how of [{}, {}, { rebuild: true }]) {
      const { number } = await addLayer(store, { a: text('a', 10) });
      const container = await store.createContainer();
      assert.ok(number > last && container.number > number, `${number} comes after ${last}`);
      last = container.number;
      await store.removeContainer(container.id);
      await store.gc();
      await store.emptyTrash();
      store = await open(how);
      assert.equal((await store.status()).lastNumber, last);
    }
  });
});

test('an index of another store is refused', async () => {
  await withRoot(async (root) => {
    const store = await Store.open(root, { create: true });
    await store.close();
    const file = join(root, 'store.json');
    const { uuid, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as { uuid: string };
    writeFileSync(file, JSON.stringify({ ...rest, uuid: uuid.replace(/^./, (digit) => (digit === 'a' ? 'b' : 'a')) }));
    await assert.rejects(Store.open(root), { code: 'UFS_INDEX_DAMAGED', message: new RegExp(`it belongs to another store \\(${uuid}\\)`) });
  });
});

test('a pool with a limit takes no layer and no container beyond it, keeps it when it is opened again, and is resized in figures', async () => {
  await withStores(async (open, root) => {
    let store = await open();
    const base = await addLayer(store, { a: text('a', MIB) });
    const container = await store.createContainer({ parent: base.id });
    writeFileSync(join(container.diff, 'file'), Buffer.alloc(MIB, 1));
    await assert.rejects(store.resizePool(2 * MIB), { code: 'UFS_POOL_TOO_SMALL', message: /Cannot resize the pool to 2\.097MB: 2\.\d+MB are used/ });
    await store.resizePool(4 * MIB);
    store = await open();
    const { used, limit, available } = store.pool.figures();
    assert.ok(limit === 4 * MIB && used > 2 * MIB && used < 2.1 * MIB && available === limit - used, `${used} of ${limit}`);
    await assert.rejects(addLayer(store, { b: text('b', 2 * MIB) }), { code: 'UFS_STORE_FULL', message: /^Cannot store the layer: 2\.\d+MB of the pool's 4\.194MB are used, 2\.\d+MB are free/ });
    assert.equal(store.pool.figures().used, used, 'nothing is left of it');
    await addLayer(store, { b: text('b', MIB), again: text('a', MIB) });
    store.pool.keepFree = { bytes: 0, part: 0.25 };
    await assert.rejects(addLayer(store, { c: text('c', 8000) }), { code: 'UFS_STORE_FULL', message: /and 1\.049MB are to stay free/ });
    await assert.rejects(store.createContainer(), { code: 'UFS_STORE_FULL', message: /^Cannot create container/ });
    await assert.rejects(store.resizePool(3.5 * MIB), { code: 'UFS_POOL_TOO_SMALL', message: /3\.\d+MB are used, and 917\.5kB are to stay free/ });
    await store.resizePool(8 * MIB);
    await store.createContainer();
    await store.removeContainer(container.id);
    store = await open({ rebuild: true });
    assert.ok(store.pool.figures().used < 2.1 * MIB);
    assert.deepEqual(store.pool.keepFree, { bytes: 0, part: 0.25 });
    await store.resizePool(undefined);
    assert.equal(store.pool.limit, undefined);
    assert.deepEqual(readdirSync(join(root, 'staging')), []);
  });
});

test('after a power cut containers are counted anew', async () => {
  await withStores(async (open, root) => {
    let store = await open();
    const container = await store.createContainer();
    await store.resizePool(64 * MIB);
    writeFileSync(join(container.diff, 'file'), Buffer.alloc(3 * MIB, 1));
    store = await open();
    assert.ok(store.pool.figures().used < MIB, 'it is believed what was noted');
    const file = readFileSync(join(root, 'pool'));
    file.fill(7, 32, 48);
    await store.close();
    writeFileSync(join(root, 'pool'), file);
    store = await open();
    assert.ok(store.pool.figures().used > 3 * MIB);
  });
});

test('a pool file that is none is told of; without it there is no limit', async () => {
  await withRoot(async (root) => {
    await (await Store.open(root, { create: true })).close();
    writeFileSync(join(root, 'pool'), 'something else');
    await assert.rejects(Store.open(root), { code: 'UFS_STORE_DAMAGED', message: /pool: it isn't the file of a store's pool/ });
    rmSync(join(root, 'pool'));
    const store = await Store.open(root);
    assert.equal(store.pool.limit, undefined);
    await store.close();
  });
});
