import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { InitOptions } from '../../src/plugin/graph-driver.ts';
import { graphMethods } from '../../src/plugin/graph-methods.ts';
import { PluginHandler } from '../../src/plugin/handler.ts';
import { DirectoryDriver } from './directory-driver.ts';
import { Served } from './served.ts';

/** A directory as a tar. */
function tarOf(directory: string, ...names: string[]): Buffer {
  return execFileSync('tar', ['-C', directory, '-c', ...names], { maxBuffer: 1 << 28 });
}

test('Activate tells what the plugin implements, as a JSON object', async (t) => {
  const served = await Served.start(t);
  assert.deepEqual(await served.post('/Plugin.Activate'), { status: 200, type: 'application/vnd.docker.plugins.v1.2+json', text: '{"Implements":["GraphDriver"]}\n' });
});

test('a socket serves several kinds of drivers', async (t) => {
  const served = new Served();
  const volumes = { implements: 'VolumeDriver', methods: { 'VolumeDriver.List': async () => ({ Volumes: [], Err: '' }) } };
  const handler = new PluginHandler([graphMethods(served.driver), volumes], { pluginDirectory: served.directory });
  t.after(async () => {
    await handler.close();
    await served.close();
  });
  served.socket = await handler.serveUnix('both');
  assert.equal((await served.post('/Plugin.Activate')).text, '{"Implements":["GraphDriver","VolumeDriver"]}\n');
  assert.equal((await served.post('/VolumeDriver.List', '{}')).text, '{"Volumes":[],"Err":""}\n');
  assert.equal((await served.post('/GraphDriver.Exists', '{"ID":"x"}')).text, '{"Exists":false}\n');
});

test('a layer of an image and a container on it, as Docker makes, changes and removes them', async (t) => {
  const served = await Served.start(t);
  const { client, root } = served;
  const from = join(served.directory, 'from');
  fs.mkdirSync(join(from, 'etc'), { recursive: true });
  fs.writeFileSync(join(from, 'etc/passwd'), 'root:x:0:0');
  fs.writeFileSync(join(from, 'old'), 'old');

  assert.deepEqual(await client.call('Init', { Home: '/var/lib/docker/test', Opts: null, UIDMaps: null, GIDMaps: null }), {});
  assert.deepEqual(await client.call('Capabilities'), { Capabilities: { ReproducesExactDiffs: false } });
  assert.deepEqual(await client.call('Status'), { Status: [['Root Dir', root]] });
  assert.deepEqual(await client.call('Create', { ID: 'image' }), {});
  assert.equal(await client.apply('image', '', tarOf(from, '.')), 13);
  assert.deepEqual(await client.call('CreateReadWrite', { ID: 'c-init', Parent: 'image', MountLabel: '', StorageOpt: {} }), {});
  await client.in('c-init', (dir) => {
    assert.equal(dir, join(root, 'c-init'));
    fs.writeFileSync(join(dir, 'etc/hosts'), 'me');
    fs.rmSync(join(dir, 'old'));
    fs.chmodSync(join(dir, 'etc/passwd'), 0o600);
  });
  const { Changes } = await client.call<{ Changes: object[] }>('Changes', { ID: 'c-init', Parent: 'image' });
  assert.deepEqual(Changes, [{ Path: '/etc', Kind: 0 }, { Path: '/etc/hosts', Kind: 1 }, { Path: '/etc/passwd', Kind: 0 }, { Path: '/old', Kind: 2 }]);
  assert.deepEqual(await client.call('DiffSize', { ID: 'c-init', Parent: 'image' }), { Size: 12 });
  assert.deepEqual(await client.call('GetMetadata', { ID: 'c-init' }), { Metadata: { Directory: join(root, 'c-init') } });
  assert.deepEqual(await client.call('Exists', { ID: 'c-init' }), { Exists: true });

  const archive = await client.diff('c-init', 'image');
  assert.equal(execFileSync('tar', ['-t'], { input: archive, encoding: 'utf8' }), './etc/\n./etc/hosts\n./etc/passwd\n./.wh.old\n');
  await client.call('Create', { ID: 'committed', Parent: 'image' });
  assert.equal(await client.apply('committed', 'image', archive), 12);
  assert.deepEqual(await client.changes('committed', 'c-init'), []);
  assert.ok((await client.diff('committed', 'c-init')).equals(Buffer.alloc(1024)), 'an empty diff is 1024 zero bytes');

  assert.deepEqual(await client.call('Cleanup'), {});
  for (const id of ['committed', 'c-init', 'image', 'image']) assert.deepEqual(await client.call('Remove', { ID: id }), {});
  assert.deepEqual(await client.call('Exists', { ID: 'image' }), { Exists: false });
  assert.deepEqual(fs.readdirSync(root), []);
});

test('what a driver throws is the error Docker shows, with status 500', async (t) => {
  const served = await Served.start(t);
  for (const [method, body] of [['Create', '{"ID":"x","Parent":"none"}'], ['Get', '{"ID":"none"}'], ['GetMetadata', '{"ID":"none"}'], ['Changes', '{"ID":"none"}'], ['DiffSize', '{"ID":"none"}'], ['Diff', '{"ID":"none"}']] as const) {
    assert.deepEqual(await served.post(`/GraphDriver.${method}`, body), { status: 500, type: 'application/vnd.docker.plugins.v1.2+json', text: '{"Err":"Cannot find layer \\"none\\""}\n' }, method);
  }
  assert.deepEqual((await served.post('/GraphDriver.ApplyDiff?id=none', Buffer.alloc(1024))).text, '{"Err":"Cannot find layer \\"none\\""}\n');
});

test('keys are taken in any case, maps of ids in the spelling of the daemon and of the documentation', async (t) => {
  class Told extends DirectoryDriver {
    told: InitOptions[] = [];

    override async init(options: InitOptions): Promise<void> {
      this.told.push(options);
    }
  }
  const served = await Served.start(t, (root) => new Told(root));
  const { told } = served.driver as Told;
  const map = { containerId: 0, hostId: 200000, size: 65536 };
  assert.equal((await served.post('/GraphDriver.Init', '{"Home":"/h","Opts":["a=b","size=10G"],"UIDMaps":[{"container_id":0,"host_id":200000,"size":65536}],"GIDMaps":null}')).text, '{}\n');
  assert.equal((await served.post('/GraphDriver.Init', '{"home":"/h","OPTS":null,"GidMaps":[{"ContainerID":0,"HostID":200000,"Size":65536}]}')).text, '{}\n');
  assert.deepEqual(told, [{ home: '/h', options: ['a=b', 'size=10G'], uidMaps: [map], gidMaps: [] }, { home: '/h', options: [], uidMaps: [], gidMaps: [map] }]);
  for (const body of ['{}', '{"Home":7}', '{"Home":"/h","Opts":{"a":"b"}}', '{"Home":"/h","Opts":[1]}', '{"Home":"/h","UIDMaps":[{"container_id":0,"size":1}]}', '{"Home":"/h","UIDMaps":[{"container_id":0,"host_id":-1,"size":1}]}', '{"Home":"/h","UIDMaps":7}']) {
    const { status, text } = await served.post('/GraphDriver.Init', body);
    assert.deepEqual([status, /^\{"Err":"Cannot (start|read)/.test(text)], [400, true], body);
  }
  assert.equal(told.length, 2);
});

test('what follows an archive\'s end is taken, and doesn\'t spoil the layer', async (t) => {
  const served = await Served.start(t);
  const from = join(served.directory, 'from');
  fs.mkdirSync(from);
  fs.writeFileSync(join(from, 'f'), 'content');
  await served.client.call('Create', { ID: 'padded' });
  assert.equal(await served.client.apply('padded', '', (async function* () {
    yield tarOf(from, '.');
    for (let i = 0; i < 512; i += 1) yield Buffer.alloc(64 << 10);
  })()), 7);
  assert.equal(fs.readFileSync(join(served.root, 'padded/f'), 'utf8'), 'content');
});

test('a path that is no UTF-8 doesn\'t spoil the list of changes', async (t) => {
  const served = await Served.start(t);
  await served.client.call('Create', { ID: 'bytes' });
  fs.writeFileSync(Buffer.concat([Buffer.from(join(served.root, 'bytes/')), Buffer.from('caf\xe9', 'latin1')]), '');
  fs.writeFileSync(join(served.root, 'bytes/café'), '');
  assert.deepEqual(await served.client.changes('bytes', ''), ['A /café', 'A /caf\ufffd']);
});

test('a diff goes on while the layer it fills is created: calls overlap', async (t) => {
  const served = await Served.start(t);
  const { client } = served;
  await client.call('CreateReadWrite', { ID: 'container' });
  fs.writeFileSync(join(served.root, 'container/big'), Buffer.alloc(48 << 20, 'ufs'));
  const diff = served.open('/GraphDriver.Diff').end('{"ID":"container"}');
  const pieces = await new Promise<AsyncIterable<Buffer>>((resolve, reject) => diff.once('response', resolve).once('error', reject));
  await client.call('Create', { ID: 'committed' });
  assert.equal(await client.apply('committed', '', pieces), 48 << 20);
  assert.deepEqual(await client.changes('committed', 'container'), []);
});
