import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { contentPath } from '../../src/store/paths.ts';
import { chainId, toLayerId } from '../../src/store/layer-id.ts';
import { Store } from '../../src/store/store.ts';
import { addLayer, filesOf, sampleDiffId, withRoot } from './sample-layers.ts';

const read = (fd: number): string => readFileSync(fd, 'utf8');

async function withStore(run: (store: Store) => Promise<void>): Promise<void> {
  await withRoot(async (root) => {
    const store = await Store.open(root, { create: true });
    try {
      await run(store);
    } finally {
      await store.close();
    }
  });
}

test('what was committed is there when the store is opened again', async () => {
  await withRoot(async (root) => {
    let store = await Store.open(root, { create: true });
    const base = await addLayer(store, { etc: { motd: 'hello', empty: '' } });
    const top = await addLayer(store, { etc: { motd: null, other: 'x' } }, base);
    const image = await store.putImage({ names: ['app:latest'], config: Buffer.from('{}'), layers: [base.id, top.id] });
    const container = await store.createContainer({ name: 'web', parent: top.id, image: image.id, labels: { a: 'b' } });
    await store.close();
    const log: string[] = [];
    store = await Store.open(root, { log: (line) => log.push(line) });
    assert.deepEqual(store.layers(), JSON.parse(JSON.stringify([base, top])));
    assert.deepEqual(filesOf(store, top, read), { '/etc/empty': '', '/etc/other': 'x' });
    assert.deepEqual(store.findImage('app'), image);
    assert.deepEqual(store.findContainer('web'), container);
    assert.deepEqual(log, [], 'nothing had to be mended');
    await store.close();
  });
});

test('the id of a layer is its OCI chain id', async () => {
  await withStore(async (store) => {
    const base = await addLayer(store, { a: '1' });
    const top = await addLayer(store, { b: '2' }, base);
    assert.equal(base.id, base.diffId);
    assert.equal(top.id, chainId(base.id, sampleDiffId({ b: '2' })));
    assert.deepEqual(store.chain(top.id).map(({ id }) => id), [base.id, top.id]);
  });
});

test('a layer that is committed twice is one layer', async () => {
  await withStore(async (store) => {
    const [first, second] = await Promise.all([addLayer(store, { a: '1' }), addLayer(store, { a: '1' })]);
    assert.equal(first.number, second.number);
    assert.equal(store.layers().length, 1);
    assert.deepEqual(readdirSync(join(store.root, 'staging')), []);
  });
});

test('an aborted layer leaves nothing', async () => {
  await withStore(async (store) => {
    const transaction = store.beginLayer();
    transaction.sink.put(Buffer.from('data'));
    transaction.abort();
    transaction.abort();
    await store.emptyTrash();
    for (const directory of ['staging', 'trash', 'layers']) assert.deepEqual(readdirSync(join(store.root, directory)), [], directory);
    await assert.rejects(transaction.commit({ root: { hides: false, children: new Map() }, diffId: sampleDiffId({}), archiveSize: 0, size: 0 }), { code: 'UFS_TRANSACTION_ENDED' });
  });
});

test('directories are 0700 and files 0600, whatever the umask', async () => {
  for (const umask of [0, 0o077]) {
    const before = process.umask(umask);
    try {
      await withStore(async (store) => {
        const layer = await addLayer(store, { a: '1' });
        await store.putImage({ names: ['a'], config: Buffer.from('{}'), layers: [layer.id] });
        const container = await store.createContainer({ parent: layer.id });
        const open = [store.root];
        for (let path = open.pop(); path !== undefined; path = open.pop()) {
          const stat = statSync(path);
          // The index is LevelDB's: its directory closes it. An upper looks like the root it shows as.
          if (path.endsWith('/index') || path === container.diff) continue;
          assert.equal((stat.mode & 0o777).toString(8), stat.isDirectory() ? '700' : '600', path);
          if (stat.isDirectory()) open.push(...readdirSync(path).map((name) => join(path as string, name)));
        }
        assert.equal(statSync(join(store.root, 'index')).mode & 0o777, 0o700);
        assert.equal(statSync(container.diff).mode & 0o777, 0o755);
      });
    } finally {
      process.umask(before);
    }
  }
});

test('content that another layer has is linked, not written again', async () => {
  await withStore(async (store) => {
    const base = await addLayer(store, { a: 'same data', b: 'same data' });
    const other = await addLayer(store, { c: 'same data', d: 'its own' });
    const { digest } = store.reader.lookup(store.tree(base.id).root, 'a')?.content ?? assert.fail();
    const [one, two] = [base, other].map(({ number }) => statSync(contentPath(join(store.root, 'layers', String(number)), digest)));
    assert.deepEqual([one.ino, one.nlink], [two.ino, 2]);
    assert.deepEqual([base.ownBytes, other.ownBytes], [9, 7]);
    assert.equal((await store.status()).contentBytes, 16);
  });
});

test('content that is gone or has another size is not linked but stored anew', async () => {
  await withStore(async (store) => {
    const base = await addLayer(store, { a: 'some data' });
    const { digest } = store.reader.lookup(store.tree(base.id).root, 'a')?.content ?? assert.fail();
    const path = contentPath(join(store.root, 'layers', String(base.number)), digest);
    writeFileSync(path, 'short');
    const second = await addLayer(store, { b: 'some data' });
    rmSync(path);
    const third = await addLayer(store, { c: 'some data' });
    assert.deepEqual(filesOf(store, second, read), { '/b': 'some data' });
    assert.deepEqual(filesOf(store, third, read), { '/c': 'some data' });
  });
});

test('a file written in pieces has the content, the digest and the holes of one put at once', async () => {
  await withStore(async (store) => {
    const { sink } = store.beginLayer();
    const whole = Buffer.concat([Buffer.from('\x7fELF head'), Buffer.alloc(100_000), Buffer.from('tail'), Buffer.alloc(5000)]);
    const writer = sink.open();
    writer.write(Buffer.from('\x7fE'));
    writer.write(Buffer.from('LF head'));
    writer.skip(100_000);
    writer.write(Buffer.from('tail'));
    writer.skip(5000);
    const content = writer.finish();
    assert.deepEqual(sink.put(whole), content);
    assert.equal(content.elf, true);
    const aborted = sink.open();
    aborted.write(Buffer.from('x'));
    aborted.abort();
    const directory = join(store.root, 'staging', '1');
    assert.deepEqual(readFileSync(contentPath(directory, content.digest)), whole);
    assert.deepEqual(readdirSync(join(directory, 'content')), [content.digest.slice(0, 2)]);
  });
});

test('share() makes content of a lower layer this layer\'s own', async () => {
  await withStore(async (store) => {
    const base = await addLayer(store, { a: 'data', empty: '' });
    const transaction = store.beginLayer({ parent: base.id });
    const { root } = transaction.parentTree ?? assert.fail();
    const entry = transaction.reader.lookup(root, 'a') ?? assert.fail();
    assert.deepEqual(transaction.sink.share(entry), entry.content);
    assert.equal(transaction.sink.share(transaction.reader.lookup(root, 'empty') ?? assert.fail()), undefined);
    assert.equal(statSync(contentPath(join(store.root, 'staging', String(transaction.number)), entry.content?.digest ?? '')).nlink, 2);
    transaction.abort();
  });
});

test('gc removes what no image, container, use or kept layer needs, and content stays known', async () => {
  await withStore(async (store) => {
    const base = await addLayer(store, { a: 'base' });
    const top = await addLayer(store, { b: 'shared' }, base);
    const inContainer = await addLayer(store, { c: 'container' }, base);
    const kept = await addLayer(store, { d: 'kept' });
    const used = await addLayer(store, { e: 'used' });
    const garbage = await addLayer(store, { f: 'garbage', g: 'more garbage' }, used);
    const sharing = await addLayer(store, { h: 'shared' });
    await store.putImage({ names: ['a'], config: Buffer.from('1'), layers: [base.id, top.id] });
    await store.createContainer({ parent: inContainer.id });
    const release = store.use(used.id, 'a test');
    assert.deepEqual((await store.gc({ keep: [kept.id, sharing.id] })).layers.map(({ id }) => id), [garbage.id]);
    release();
    await store.removeImage('a');
    const result = await store.gc({ keep: [kept.id, sharing.id] });
    assert.deepEqual(new Set(result.layers.map(({ id }) => id)), new Set([top.id, used.id]));
    assert.equal(result.bytes, 'used'.length, '"shared" is still on disk');
    // The layer whose content was noted is gone; the other one that has it is noted now.
    const again = await addLayer(store, { i: 'shared' });
    assert.equal(again.ownBytes, 0);
    assert.deepEqual(filesOf(store, inContainer, read), { '/a': 'base', '/c': 'container' });
    assert.deepEqual(await store.check(), []);
    await store.emptyTrash();
    assert.deepEqual(readdirSync(join(store.root, 'trash')), []);
  });
});

test('a directory object two layers made stays until both are gone', async () => {
  await withStore(async (store) => {
    const one = await addLayer(store, { d: {} });
    const two = await addLayer(store, { e: {} });
    await store.gc({ keep: [two.id] });
    assert.equal(store.layer(one.id), undefined);
    assert.deepEqual(await store.check(), []);
    await store.gc();
    assert.deepEqual(await store.check(), []);
  });
});

test('a layer in use is not removed, and the error says by what', async () => {
  await withStore(async (store) => {
    const base = await addLayer(store, { a: '1' });
    const inUse = (by: RegExp) => assert.rejects(store.removeLayer(base.id), (error: Error & { code: string }) => error.code === 'UFS_LAYER_IN_USE' && by.test(error.message));
    const transaction = store.beginLayer({ parent: base.id });
    await inUse(/a layer that is being made/);
    transaction.abort();
    const layer = store.openLayer(base.id);
    await inUse(/a mount/);
    layer.close();
    const container = await store.createContainer({ name: 'web', parent: base.id });
    await inUse(/container web/);
    await store.removeContainer(container.id);
    const top = await addLayer(store, { b: '2' }, base);
    await inUse(/on top of it/);
    await store.removeLayer(top.id);
    await store.putImage({ names: ['x'], config: Buffer.from('{}'), layers: [base.id] });
    await inUse(/image x/);
    await store.removeImage('x');
    await store.removeLayer(base.id);
    assert.deepEqual(store.layers(), []);
  });
});

test('images are found by name, id and prefix, and lose their names one by one', async () => {
  await withStore(async (store) => {
    const { id: layer } = await addLayer(store, { a: '1' });
    const one = await store.putImage({ names: ['app:1', 'app:latest'], config: Buffer.from('one'), layers: [layer] });
    const two = await store.putImage({ names: ['app:latest', 'constructor'], config: Buffer.from('two'), layers: [layer] });
    assert.equal(store.findImage('app').id, two.id);
    assert.deepEqual(store.findImage(one.id).names, ['app:1']);
    assert.equal(store.findImage(one.id.slice(7, 15)).id, one.id);
    assert.deepEqual(store.findImage('app:1').config, Buffer.from('one'));
    assert.throws(() => store.findImage(one.id.slice(7, 10)), { code: 'UFS_IMAGE_NOT_FOUND' });
    assert.deepEqual((await store.tagImage('app:1', 'other:v2')).names, ['app:1', 'other:v2']);
    await store.untagImage('app:1');
    assert.deepEqual(store.findImage(one.id).names, ['other:v2']);
    const container = await store.createContainer({ parent: layer, image: one.id });
    await assert.rejects(store.removeImage('other:v2'), { code: 'UFS_IMAGE_IN_USE' });
    await store.removeContainer(container.id);
    await store.removeImage('other:v2');
    assert.deepEqual(store.images().map(({ id }) => id), [two.id]);
    await assert.rejects(store.putImage({ config: Buffer.from('x'), layers: [chainId(layer, layer)] }), { code: 'UFS_LAYER_NOT_FOUND' });
    for (const name of ['', '../x', '-v', 'a b', 'a\0', 'é', 'a'.repeat(600)]) {
      await assert.rejects(store.tagImage('app', name), { code: 'UFS_BAD_NAME' }, name);
    }
  });
});

test('a container has an upper that looks like the root below it, and ids and names of its own', async () => {
  await withStore(async (store) => {
    const base = await addLayer(store, { a: '1' });
    const container = await store.createContainer({ id: 'ABC:def.1_x-init', name: 'web', parent: base.id });
    assert.equal(statSync(container.diff).mode & 0o7777, 0o755);
    assert.equal(statSync(container.diff).mtimeMs, 0);
    await assert.rejects(store.createContainer({ id: container.id }), { code: 'UFS_CONTAINER_EXISTS' });
    await assert.rejects(store.createContainer({ name: 'web' }), { code: 'UFS_CONTAINER_EXISTS' });
    await assert.rejects(store.createContainer({ parent: chainId(base.id, base.id) }), { code: 'UFS_LAYER_NOT_FOUND' });
    assert.equal(store.findContainer('ABC:').id, container.id);
    assert.throws(() => store.findContainer('ABC'), { code: 'UFS_CONTAINER_NOT_FOUND' });
    writeFileSync(join(container.diff, 'file'), 'x');
    await store.removeContainer('web');
    assert.equal(existsSync(container.diff), false);
    assert.deepEqual(store.containers(), []);
    await store.createContainer({ id: container.id, name: 'web' });
  });
});

test('hostile ids are refused and nothing is made of them', async () => {
  await withStore(async (store) => {
    const before = readdirSync(store.root, { recursive: true }).filter((path) => !String(path).startsWith('index'));
    for (const id of ['', '.', '..', '../x', 'a/b', '/etc', '.hidden', 'a\0b', 'a\nb', 'x'.repeat(300), '%2e%2e%2f', 'ü']) {
      await assert.rejects(store.createContainer({ id }), { code: 'UFS_BAD_ID' }, JSON.stringify(id));
      await assert.rejects(store.createContainer({ name: id }), { code: 'UFS_BAD_ID' }, JSON.stringify(id));
      assert.throws(() => toLayerId(id), { code: 'UFS_BAD_ID' });
      assert.throws(() => store.findLayer(id), { code: 'UFS_LAYER_NOT_FOUND' });
    }
    assert.throws(() => toLayerId(`sha256:${'A'.repeat(64)}`), { code: 'UFS_BAD_ID' });
    assert.deepEqual(readdirSync(store.root, { recursive: true }).filter((path) => !String(path).startsWith('index')), before);
  });
});

test('one process opens a store at a time, and the error names the one that has it', async () => {
  await withRoot(async (root) => {
    const store = await Store.open(root, { create: true });
    const locked = { code: 'UFS_STORE_LOCKED', message: new RegExp(`process ${process.pid} has it open`) };
    await assert.rejects(Store.open(root), locked);
    const script = `import { Store } from ${JSON.stringify(new URL('../../src/store/store.js', import.meta.url).href)};
      try { await Store.open(${JSON.stringify(root)}); } catch (error) { console.log(error.code, error.message); }`;
    assert.match(spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).stdout, new RegExp(`UFS_STORE_LOCKED .*process ${process.pid} `));
    await store.close();
    await (await Store.open(root)).close();
  });
});

test('a store that is not there, not ours to use or of another version is refused', async () => {
  await withRoot(async (root) => {
    await assert.rejects(Store.open(root), { code: 'UFS_STORE_MISSING' });
    mkdirSync(root);
    await assert.rejects(Store.open(root), { code: 'UFS_STORE_MISSING' });
    writeFileSync(join(root, 'precious'), '');
    await assert.rejects(Store.open(root, { create: true }), { code: 'UFS_STORE_MISSING', message: /holds other files/ });
    rmSync(join(root, 'precious'));
    await (await Store.open(root, { create: true })).close();
    chmodSync(root, 0o770);
    await assert.rejects(Store.open(root), { code: 'UFS_STORE_UNSAFE' });
    chmodSync(root, 0o700);
    const file = readFileSync(join(root, 'store.json'), 'utf8');
    writeFileSync(join(root, 'store.json'), file.replace('"format":1', '"format":2'));
    await assert.rejects(Store.open(root), { code: 'UFS_STORE_VERSION' });
    writeFileSync(join(root, 'store.json'), '{');
    await assert.rejects(Store.open(root), { code: 'UFS_STORE_DAMAGED' });
    writeFileSync(join(root, 'store.json'), file);
    await (await Store.open(root)).close();
  });
});

test('a symlink, a fifo or nothing in place of content is an error, never followed or waited for', async () => {
  await withStore(async (store) => {
    const layer = await addLayer(store, { a: 'secret?' });
    const { digest } = store.reader.lookup(store.tree(layer.id).root, 'a')?.content ?? assert.fail();
    const path = contentPath(join(store.root, 'layers', String(layer.number)), digest);
    renameSync(path, `${path}.away`);
    const fails = (): void => {
      assert.throws(() => store.contentSource(layer.number).open(digest), { name: 'UfsError' });
      const open = store.openLayer(layer.id);
      assert.throws(() => open.open(open.lookup(open.root, 'a') ?? assert.fail()), { code: 'EIO' });
      open.close();
    };
    fails();
    symlinkSync('/etc/passwd', path);
    fails();
    rmSync(path);
    spawnSync('mkfifo', [path]);
    fails();
    rmSync(path);
    mkdirSync(path);
    fails();
  });
});

test('what is removed is deleted however deep, closed or strange it is', async () => {
  await withStore(async (store) => {
    const { id, diff } = await store.createContainer();
    let path = diff;
    for (let depth = 0; depth < 30; depth++) mkdirSync((path = join(path, 'd'.repeat(100))));
    writeFileSync(join(path, 'f'), '');
    linkSync(join(path, 'f'), join(diff, 'g'));
    symlinkSync('/', join(diff, 'root'));
    mkdirSync(join(diff, 'closed', 'in'), { recursive: true });
    writeFileSync(join(diff, 'closed', 'in', 'f'), '');
    for (const closed of ['closed/in', 'closed']) chmodSync(join(diff, closed), 0);
    await store.removeContainer(id);
    await store.emptyTrash();
    assert.deepEqual(readdirSync(join(store.root, 'trash')), []);
  });
});
