import assert from 'node:assert/strict';
import fs from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { GraphLayers } from '../../src/graph/layers.ts';
import { CountedMounts } from '../../src/graph/mounts.ts';
import type { NewOwners } from '../../src/graph/owners.ts';
import { MountClient } from '../../src/mount/mount-client.ts';
import { Store } from '../../src/store/store.ts';
import { Bench } from '../helpers/cli.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences } from '../helpers/tree.ts';

const everybody = { uid: [{ inside: 0, outside: 0, size: 2 ** 32 - 1 }], gid: [{ inside: 0, outside: 0, size: 2 ** 32 - 1 }] };
const range = (outside: number, size = 65536): NewOwners['toHost'] => ({ uid: [{ inside: 0, outside, size }], gid: [{ inside: 0, outside: outside + 7, size }] });
const none = { uid: [], gid: [] };

describe('layers of an engine', { skip: needsRootAndFuse || needsProgram('setcap') }, () => {
  let bench: Bench;
  let store: Store;
  let mounts: CountedMounts;
  let client: MountClient;
  let layers: GraphLayers;
  before(async () => {
    bench = new Bench();
    bench.sh(`
      mkdir -p base/etc base/bin other; head -c 300000 /dev/urandom >base/big; cp /bin/true base/bin/true; chown 3:4 base/bin/true; chmod 6755 base/bin/true
      cp /bin/true base/bin/capable; setcap cap_net_raw+ep base/bin/capable; echo one >base/etc/one; ln base/etc/one base/etc/hard; ln -s one base/etc/soft; mknod base/null c 1 3
      setfacl -m u:9:r base/etc/one; chown 10:11 base/etc; chmod 1777 base/etc; tar --xattrs --xattrs-include='*' -cf base.tar -C base .; tar --xattrs --xattrs-include='*' -xpf base.tar -C other`);
    store = await Store.open(bench.store, { create: true });
    client = await MountClient.open({ socket: bench.path('run/mounts.sock'), serves: store.root, logFile: bench.path('mounts.log'), log: (message) => assert.fail(message) });
    mounts = new CountedMounts({ directory: bench.path('mounts'), client, log: (message) => assert.fail(message) });
    layers = new GraphLayers({ store, mounts, engine: 'test' });
    await layers.create('base', { kind: 'image' });
    await layers.apply('base', fs.createReadStream(bench.path('base.tar')) as AsyncIterable<Buffer>);
  });
  after(async () => {
    mounts?.releaseAll();
    await client?.close();
    await store?.close();
    bench.close();
  });

  async function shown<T>(id: string, look: (directory: string) => T): Promise<T> {
    const directory = await layers.get(id);
    try {
      return look(directory);
    } finally {
      await layers.put(id);
    }
  }
  const owner = (path: string): string => `${fs.lstatSync(path).uid}:${fs.lstatSync(path).gid}`;
  const tree = async (id: string): Promise<ReturnType<typeof listTree>> => await shown(id, (directory) => listTree(directory));
  const own = (): number => store.layers().reduce((sum, { ownBytes }) => sum + ownBytes, 0);

  test('a copy of a template has the same content, and neither sees what is done to the other', async () => {
    const before = own();
    await layers.createFromTemplate('image-copy', 'base', { kind: 'image' });
    await layers.createFromTemplate('copy', 'base', { kind: 'container', limit: 1 << 20 });
    for (const id of ['base', 'image-copy', 'copy']) assert.deepEqual(treeDifferences(listTree(bench.path('base')), await tree(id)), []);
    assert.equal(own(), before, 'no data was written');
    assert.ok((await buffer(await layers.diff('image-copy', undefined))).equals(fs.readFileSync(bench.path('base.tar'))), 'the archive too is the same');
    assert.equal(layers.limitOf('copy'), 1 << 20);
    await layers.create('child', { kind: 'container', parent: 'base' });
    await shown('child', (directory) => fs.writeFileSync(`${directory}/etc/one`, 'changed'));
    await layers.createFromTemplate('copy-of-child', 'child', { kind: 'container' });
    await shown('child', (directory) => fs.rmSync(`${directory}/big`));
    await shown('copy-of-child', (directory) => {
      assert.equal(fs.readFileSync(`${directory}/etc/hard`, 'utf8'), 'changed');
      fs.writeFileSync(`${directory}/new`, '');
    });
    assert.equal(layers.parentOf('copy-of-child'), 'base');
    assert.deepEqual(layers.changes('copy-of-child', 'base').map(({ path }) => path), ['etc', 'etc/hard', 'etc/one', 'new']);
    assert.deepEqual(layers.changes('child', 'base').map(({ path }) => path), ['big', 'etc', 'etc/hard', 'etc/one']);
    await assert.rejects(layers.createFromTemplate('copy', 'base', { kind: 'container' }), { code: 'UFS_LAYER_EXISTS' });
    await assert.rejects(layers.createFromTemplate('x', 'missing', { kind: 'container' }), { code: 'UFS_LAYER_NOT_FOUND' });
    for (const id of ['copy', 'child', 'copy-of-child', 'image-copy']) await layers.remove(id);
    assert.equal(store.layers().length, 1, 'what was made for copies is gone with them');
  });

  test('files are given to others by two maps, with all they have, at the cost of metadata', async () => {
    const before = own();
    const expected = (directory: string, by: (id: number) => number): ReturnType<typeof listTree> => new Map([...listTree(directory)].map(([path, line]) => [path, line.replace(/ (\d+):(\d+) /, (_, uid: string, gid: string) => ` ${by(Number(uid))}:${by(Number(gid)) + 7} `)]));
    await layers.createFromTemplate('host', 'base', { kind: 'image', owners: { toContainer: none, toHost: range(100_000) } });
    // A capability is that of the mapped root, an ACL names the mapped user.
    const without = (listing: ReturnType<typeof listTree>): ReturnType<typeof listTree> => new Map([...listing].map(([path, line]) => [path, line.replace(/ (security\.capability|system\.posix_acl_access)=\S+/g, ' $1')]));
    assert.deepEqual(treeDifferences(without(expected(bench.path('base'), (id) => id + 100_000)), without(await tree('host'))), []);
    await shown('host', (directory) => {
      assert.match(bench.sh(`getcap -n ${directory}/bin/capable`), /cap_net_raw=ep \[rootid=100000\]/);
      assert.match(bench.sh(`getfacl -n ${directory}/etc/one`), /user:100009:r--/);
    });
    const archive = await buffer(await layers.diff('host', undefined));
    assert.equal(store.findLayer(layers.find('host').sealed as string).archiveSize, archive.length);

    await layers.updateIdMap('host', { toContainer: range(100_000), toHost: none });
    assert.deepEqual(treeDifferences(listTree(bench.path('base')), await tree('host')), [], 'and back');
    assert.equal(own(), before, 'no data was written');
    assert.deepEqual(await store.check(), []);
    await layers.remove('host');
    assert.equal(store.layers().length, 1);
  });

  test('a layer that is written to is given to others with what was written, and is written to again', async () => {
    await layers.create('work', { kind: 'container', parent: 'base' });
    await shown('work', (directory) => {
      fs.writeFileSync(`${directory}/etc/new`, 'new');
      fs.chownSync(`${directory}/etc/new`, 20, 21);
      fs.rmSync(`${directory}/null`);
    });
    const names = [...(await tree('work')).keys()];
    await layers.updateIdMap('work', { toContainer: everybody, toHost: range(5000) });
    await shown('work', (directory) => {
      assert.deepEqual([...listTree(directory).keys()], names);
      assert.deepEqual(['', 'etc', 'etc/new', 'etc/hard', 'bin/true'].map((path) => owner(`${directory}/${path}`)), ['5000:5007', '5010:5018', '5020:5028', '5000:5007', '5003:5011']);
      assert.equal((fs.lstatSync(`${directory}/bin/true`).mode & 0o7777).toString(8), '6755');
      assert.equal(fs.lstatSync(`${directory}/etc/one`).ino, fs.lstatSync(`${directory}/etc/hard`).ino);
      fs.appendFileSync(`${directory}/etc/new`, ' more');
    });
    await layers.create('child', { kind: 'container', parent: 'work' });
    await shown('child', (directory) => assert.deepEqual([fs.readFileSync(`${directory}/etc/new`, 'utf8'), owner(`${directory}/etc/new`)], ['new more', '5020:5028']));
    await shown('base', (directory) => assert.equal(owner(`${directory}/bin/true`), '3:4', 'what it stands on is as it was'));
    await assert.rejects(layers.updateIdMap('work', { toContainer: none, toHost: range(1) }), { code: 'UFS_LAYER_IN_USE' }, 'another layer stands on it');
    await layers.remove('child');
    await layers.remove('work');
    assert.equal(store.layers().length, 1);
  });

  test('the content of an image of other owners is filled in on top of it', async () => {
    bench.sh('mkdir top; echo top >top/top; chown 30:30 top/top; tar -cf top.tar -C top top');
    await layers.create('upper', { kind: 'image', parent: 'base' });
    await layers.updateIdMap('upper', { toContainer: none, toHost: range(100_000) });
    await layers.apply('upper', fs.createReadStream(bench.path('top.tar')) as AsyncIterable<Buffer>);
    await shown('upper', (directory) => assert.deepEqual([owner(`${directory}/top`), owner(`${directory}/etc/one`)], ['30:30', '100000:100007']));
    assert.ok((await buffer(await layers.diff('upper', 'base'))).equals(fs.readFileSync(bench.path('top.tar'))));
    await layers.remove('upper');
  });

  test('an owner who isn\'t mapped is an error that names the file, and nothing is changed', async () => {
    const before = await tree('base');
    const layersBefore = store.layers();
    await assert.rejects(layers.updateIdMap('base', { toContainer: none, toHost: range(100_000, 10) }), { code: 'UFS_ID_NOT_MAPPED', message: /of "\/etc", the user 10 inside isn't mapped/ });
    await assert.rejects(layers.updateIdMap('base', { toContainer: range(100_000), toHost: none }), { code: 'UFS_ID_NOT_MAPPED', message: /the user 0 outside isn't mapped/ });
    await layers.get('base');
    await assert.rejects(layers.updateIdMap('base', { toContainer: none, toHost: range(5) }), { code: 'UFS_LAYER_IN_USE' });
    await layers.put('base');
    assert.deepEqual(treeDifferences(before, await tree('base')), []);
    assert.deepEqual(store.layers(), layersBefore);
  });

  test('owners are shifted by the mount alone', async () => {
    assert.equal(layers.supportsShifting(), true);
    layers.idMaps = range(200_000);
    try {
      await shown('base', (directory) => assert.equal(owner(`${directory}/bin/true`), '200003:200011'));
    } finally {
      layers.idMaps = undefined;
    }
    await shown('base', (directory) => assert.equal(owner(`${directory}/bin/true`), '3:4'));
  });

  test('what a layer takes is told in bytes and inodes', async () => {
    await layers.create('use', { kind: 'container', parent: 'base' });
    assert.deepEqual(layers.readWriteDiskUsage('use'), { size: 0, inodeCount: 1 });
    const directory = await layers.get('use');
    fs.mkdirSync(`${directory}/d`);
    fs.writeFileSync(`${directory}/d/a`, Buffer.alloc(100_000, 1));
    fs.linkSync(`${directory}/d/a`, `${directory}/d/b`);
    assert.deepEqual(layers.readWriteDiskUsage('use'), { size: 100_000, inodeCount: 3 }, 'also while it is mounted');
    fs.chownSync(`${directory}/big`, 1, 1);
    const { size, inodeCount } = layers.readWriteDiskUsage('use');
    assert.deepEqual([size < 110_000, inodeCount], [true, 4], 'a file whose owner was changed has no data of its own');
    await layers.put('use');
    await layers.create('above', { kind: 'container', parent: 'use' });
    await layers.seal('use');
    assert.deepEqual(layers.readWriteDiskUsage('use'), { size: 400_000, inodeCount: 4 }, 'as a layer it has all of what it changes');
    await layers.remove('above');
    await layers.remove('use');
  });

  test('files of a diff are got by path, those of layers below are not', async () => {
    await layers.create('get', { kind: 'container', parent: 'base' });
    await shown('get', (directory) => {
      fs.appendFileSync(`${directory}/etc/one`, 'more\n');
      fs.mkdirSync(`${directory}/d`);
      fs.writeFileSync(`${directory}/d/ü`, 'u');
      fs.rmSync(`${directory}/null`);
    });
    const check = async (): Promise<void> => {
      const getter = layers.diffGetter('get');
      const all = await Promise.all(['etc/one', '/etc/hard', './d/ü'].map(async (path) => (await buffer(getter.get(path))).toString()));
      assert.deepEqual(all, ['one\nmore\n', 'one\nmore\n', 'u']);
      for (const path of ['big', 'null', 'missing', 'etc/one/x', '../etc/one']) assert.throws(() => getter.get(path), { code: 'UFS_NOT_FOUND' }, path);
      for (const path of ['d', '/etc/']) assert.throws(() => getter.get(path), { code: 'UFS_NOT_A_FILE' }, path);
      const open = getter.get('d/ü');
      getter.close();
      assert.equal((await buffer(open)).toString(), 'u', 'a stream goes on after');
    };
    await check();
    await layers.seal('get');
    await check();
    const base = layers.diffGetter('base');
    assert.ok((await buffer(base.get('big'))).equals(fs.readFileSync(bench.path('base/big'))));
    base.close();
    await layers.remove('get');
  });

  test('layers are listed children first, told about, and removed at once with their files later', async () => {
    for (const [id, parent] of [['a', 'base'], ['b', 'a'], ['c', 'b']] as const) await layers.create(id, { kind: 'container', parent });
    assert.deepEqual(layers.list(), ['c', 'b', 'a', 'base']);
    const directory = await layers.get('c');
    const { UpperDir, ...told } = await layers.metadata('c');
    assert.deepEqual([told['LowerDir'], told['MergedDir']], ['b:a:base', directory]);
    await assert.rejects(layers.metadata('missing'), { code: 'UFS_LAYER_NOT_FOUND' });
    fs.writeFileSync(`${directory}/file`, 'x');
    const deleteFiles = await layers.deferredRemove('c');
    assert.deepEqual([layers.has('c'), fs.existsSync(UpperDir as string), fs.existsSync(`${directory}/file`)], [false, false, false]);
    assert.ok((await store.status()).removed > 0);
    await deleteFiles();
    assert.equal((await store.status()).removed, 0);
    for (const id of ['b', 'a']) await layers.remove(id);
  });

  test('layers of an additional store are mounted, and stood on, with their data where it is', async () => {
    bench.sh('mkdir -p more/etc; echo more >more/etc/more; tar -cf more.tar -C more .');
    const archive = (name: string): AsyncIterable<Buffer> => fs.createReadStream(bench.path(name)) as AsyncIterable<Buffer>;
    const other = await Store.open(bench.path('other-store'), { create: true });
    const others = new GraphLayers({ store: other, mounts, engine: 'test' });
    await others.create('shared', { kind: 'image' });
    await others.apply('shared', archive('base.tar'));
    await others.create('shared-top', { kind: 'image', parent: 'shared' });
    await others.apply('shared-top', archive('more.tar'));
    await others.create('writable', { kind: 'container', parent: 'shared' });
    await other.close();
    const before = own();
    await assert.rejects(layers.get('shared-top'), { code: 'UFS_LAYER_NOT_FOUND' });
    await store.addAdditionalStore(bench.path('other-store'));
    assert.deepEqual(layers.additionalImageStores(), [bench.path('other-store')]);
    await shown('shared-top', (directory) => assert.equal(fs.readFileSync(`${directory}/etc/more`, 'utf8'), 'more\n'));
    await layers.create('mine', { kind: 'container', parent: 'shared-top' });
    await shown('mine', (directory) => fs.appendFileSync(`${directory}/etc/more`, 'mine\n'));
    assert.deepEqual([layers.ancestors('mine'), layers.changes('mine', 'shared-top').map(({ path }) => path)], [['shared-top', 'shared'], ['etc', 'etc/more']]);
    assert.ok((await buffer(await layers.diff('shared-top', 'shared'))).equals(fs.readFileSync(bench.path('more.tar'))));
    await assert.rejects(layers.create('x', { kind: 'container', parent: 'writable' }), { code: 'UFS_LAYER_NOT_FOUND' }, 'one that is written to there');
    assert.equal(own(), before);
    for (const id of ['mine', 'shared-top', 'shared']) await layers.remove(id);
    await store.removeAdditionalStore(bench.path('other-store'));
    assert.equal(store.layers().length, 1);
  });
});
