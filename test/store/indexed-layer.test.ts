import assert from 'node:assert/strict';
import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { IndexedLayer, openIndexedLayer } from '../../src/store/indexed-layer.ts';
import type { LayerRecord } from '../../src/store/records.ts';
import { Store } from '../../src/store/store.ts';
import type { Change, NewInode } from '../../src/tree/change.ts';
import { addLayer, attributes, sampleDiffId, sampleFile, withRoot } from './sample-layers.ts';

/** A layer with something of each kind. */
async function addRichLayer(store: Store): Promise<LayerRecord> {
  const transaction = store.beginLayer();
  const linked = sampleFile('linked', transaction.sink);
  const inode = (more: NewInode): Change => ({ hides: false, inode: more });
  const xattrs = new Map([['user.a', Buffer.from([0, 255])]]);
  const children = new Map<string, Change>([
    ['a', inode(linked)],
    ['b', inode(linked)],
    ['dev', inode({ attributes: { ...attributes(0o060660), rdevMajor: 8, rdevMinor: 1 } })],
    ['dir', { hides: false, inode: { attributes: attributes(0o041777) }, children: new Map([['sub', { hides: false, children: new Map() }], ['\xff', inode(sampleFile('', transaction.sink))]]) }],
    ['elf', inode(sampleFile('\x7fELF...', transaction.sink))],
    ['sym', inode({ attributes: { ...attributes(0o120777, 6), target: 'dir/\xff\x01' } })],
    ['x', inode({ ...sampleFile('x', transaction.sink), attributes: { ...attributes(0o100600, 1), xattrs } })],
  ]);
  writeFileSync(transaction.recipePath, '');
  return await transaction.commit({ root: { hides: false, children }, diffId: sampleDiffId({ rich: '' }), archiveSize: 0, size: 0 });
}

async function withLayer(run: (layer: IndexedLayer, store: Store, record: LayerRecord) => void | Promise<void>): Promise<void> {
  await withRoot(async (root) => {
    const store = await Store.open(root, { create: true });
    const record = await addRichLayer(store);
    const layer = store.openLayer(record.id);
    try {
      await run(layer, store, record);
    } finally {
      layer.close();
      await store.close();
    }
  });
}

function get(layer: IndexedLayer, ...names: string[]): IndexedLayer['root'] {
  let node = layer.root;
  for (const name of names) node = layer.lookup(node, name) ?? assert.fail(`${name} is missing`);
  return node;
}

test('list() and lookup() agree, and say the inode numbers stat() says', async () => {
  await withLayer((layer) => {
    const listed = layer.list(layer.root);
    assert.deepEqual(listed.map(({ name }) => name), ['a', 'b', 'dev', 'dir', 'elf', 'sym', 'x']);
    for (const { name, node, ino, mode } of listed) {
      assert.equal(layer.lookup(layer.root, name), node);
      assert.deepEqual([layer.stat(node).ino, layer.stat(node).mode], [ino, mode]);
    }
    assert.equal(layer.lookup(layer.root, 'nothing'), undefined);
    assert.throws(() => layer.lookup(get(layer, 'a'), 'x'), { code: 'ENOTDIR' });
    assert.throws(() => layer.list(get(layer, 'sym')), { code: 'ENOTDIR' });
  });
});

test('stat() counts hard links and directories, and tells devices', async () => {
  await withLayer((layer) => {
    assert.deepEqual([layer.stat(get(layer, 'a')).nlink, layer.stat(get(layer, 'x')).nlink], [2, 1]);
    assert.equal(layer.identity(get(layer, 'a')), layer.identity(get(layer, 'b')));
    assert.notEqual(layer.identity(get(layer, 'a')), layer.identity(get(layer, 'x')));
    assert.deepEqual([layer.stat(layer.root).nlink, layer.stat(get(layer, 'dir')).nlink, layer.stat(get(layer, 'dir', 'sub')).nlink], [3, 3, 2]);
    const { rdevMajor, rdevMinor, ino } = layer.stat(get(layer, 'dev'));
    assert.deepEqual([rdevMajor, rdevMinor], [8, 1]);
    assert.ok(ino > 2 ** 52 && Number.isSafeInteger(ino));
  });
});

test('data, symlinks and xattrs are read as they were stored', async () => {
  await withLayer((layer) => {
    const text = (...names: string[]): string => {
      const fd = layer.open(get(layer, ...names));
      const data = readFileSync(fd, 'utf8');
      closeSync(fd);
      return data;
    };
    assert.deepEqual([text('a'), text('b'), text('dir', '\xff')], ['linked', 'linked', '']);
    assert.equal(layer.readlink(get(layer, 'sym')), 'dir/\xff\x01');
    assert.throws(() => layer.readlink(get(layer, 'a')), { code: 'EINVAL' });
    assert.throws(() => layer.open(get(layer, 'dir')), { code: 'EISDIR' });
    assert.throws(() => layer.open(get(layer, 'dev')), { code: 'EINVAL' });
    assert.deepEqual(layer.listXattr(get(layer, 'x')), ['user.a']);
    assert.deepEqual(layer.getXattr(get(layer, 'x'), 'user.a'), Buffer.from([0, 255]));
    assert.equal(layer.getXattr(get(layer, 'a'), 'user.a'), undefined);
    assert.deepEqual([layer.isElf(get(layer, 'elf')), layer.isElf(get(layer, 'a')), layer.isElf(get(layer, 'dir'))], [true, false, false]);
  });
});

test('subtreeKey() is equal in two layers for what the upper one left alone, and origin() says which layer a file is from', async () => {
  await withLayer(async (layer, store, record) => {
    const top = await addLayer(store, { new: 'file' }, record);
    const upper = store.openLayer(top.id);
    assert.equal(upper.subtreeKey(get(upper, 'dir')), layer.subtreeKey(get(layer, 'dir')));
    assert.notEqual(upper.subtreeKey(upper.root), layer.subtreeKey(layer.root));
    assert.equal(upper.subtreeKey(get(upper, 'a')), undefined);
    assert.equal(upper.stat(get(upper, 'a')).ino, layer.stat(get(layer, 'a')).ino);
    assert.deepEqual([upper.origin(get(upper, 'a')), upper.origin(get(upper, 'new'))], [record.id.slice(7, 19), top.id.slice(7, 19)]);
    upper.close();
  });
});

test('a worker thread opens a layer while the main thread has the store', async () => {
  await withLayer(async (layer, store, record) => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.module).then(async ({ openIndexedLayer }) => {
        const layer = await openIndexedLayer(workerData);
        const result = layer.list(layer.root).map(({ name, ino }) => name + ino);
        const text = require('node:fs').readFileSync(layer.open(layer.lookup(layer.root, 'a')), 'utf8');
        const origin = layer.origin(layer.root), key = layer.subtreeKey(layer.root);
        layer.close();
        parentPort.postMessage({ result, text, origin, key });
      });`;
    const module = new URL('../../src/store/indexed-layer.js', import.meta.url).href;
    const worker = new Worker(script, { eval: true, workerData: { module, root: store.root, layerId: record.id } });
    const answer = await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
    await worker.terminate();
    assert.deepEqual(answer, {
      result: layer.list(layer.root).map(({ name, ino }) => name + ino), text: 'linked', origin: layer.origin(layer.root), key: layer.subtreeKey(layer.root),
    });
    await addLayer(store, { after: 'the worker has closed it' });
  });
});

test('layers a thread has open share what was read of the index, which goes on to be read when the first of them is closed', async () => {
  await withLayer(async (_layer, store, record) => {
    const first = await openIndexedLayer({ root: store.root, layerId: record.id });
    const top = await addLayer(store, { new: 'file' }, record);
    const [second, third] = await Promise.all([openIndexedLayer({ root: store.root, layerId: top.id }), openIndexedLayer({ root: store.root, layerId: record.id })]);
    assert.equal(get(second, 'dir', 'sub'), get(first, 'dir', 'sub'));
    assert.equal(get(third, 'a'), get(first, 'a'));
    first.close();
    third.close();
    assert.equal(second.list(get(second, 'dir')).length, 2);
    assert.equal(second.stat(get(second, 'new')).size, 4);
    second.close();
    const again = await openIndexedLayer({ root: store.root, layerId: top.id });
    assert.equal(again.stat(get(again, 'new')).size, 4);
    again.close();
  });
});
