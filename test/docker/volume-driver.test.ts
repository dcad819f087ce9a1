import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { ServedDriver } from '../e2e/served-driver.ts';
import { PluginClient } from './client.ts';

const [ONE, OTHER] = ['1', '2'].map((digit) => digit.repeat(64)) as [string, string];

interface Status {
  Mounted: boolean;
  HeldBy: unknown[];
  LimitBytes?: number;
}

/** What Docker's daemon relies on, and what it does when it was killed, through the plugin's socket. */
describe('the volume driver', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  let served: ServedDriver;
  let client: PluginClient;
  before(async () => {
    bench = new Bench();
    bench.sh('mkdir -p tree/etc; echo one >tree/etc/one; tar -cf tree.tar -C tree .');
    bench.ufs('import', 'tree.tar', '--name', 'base');
    served = await ServedDriver.start(bench);
    client = new PluginClient(served.socket);
  });
  after(async () => {
    client?.close();
    await served?.stop();
    bench.close();
  });

  /** Calls VolumeDriver.<method>; throws what the driver says went wrong. */
  async function call<T = Record<string, unknown>>(method: string, message: object = {}): Promise<T> {
    const { body } = await client.post(`/VolumeDriver.${method}`, Buffer.from(JSON.stringify(message)));
    const answer = JSON.parse(body.toString()) as T & { Err: string };
    if (answer.Err !== '') throw new Error(answer.Err);
    return answer;
  }
  const create = async (Name: string, Opts: Record<string, string> | null = null): Promise<unknown> => await call('Create', { Name, Opts });
  const mount = async (Name: string, ID = ONE): Promise<string> => (await call<{ Mountpoint: string }>('Mount', { Name, ID })).Mountpoint;
  const unmount = async (Name: string, ID = ONE): Promise<unknown> => await call('Unmount', { Name, ID });
  const get = async (Name: string): Promise<Status> => (await call<{ Volume: { Status: Status } }>('Get', { Name })).Volume.Status;
  const remove = async (Name: string): Promise<unknown> => await call('Remove', { Name });
  const mounted = (): string[] => mountsBelow(served.runDirectory);

  test('is offered on the graph driver\'s socket', async () => {
    const { body } = await client.post('/Plugin.Activate', Buffer.from(''));
    assert.deepEqual(JSON.parse(body.toString()), { Implements: ['GraphDriver', 'VolumeDriver'] });
    assert.deepEqual(await call('Capabilities'), { Capabilities: { Scope: 'local' }, Err: '' });
  });

  test('an empty volume is mounted for as long as anybody has it, and keeps what is written to it', async () => {
    await create('data');
    assert.deepEqual(await call('Path', { Name: 'data' }), { Mountpoint: '', Err: '' });
    const path = await mount('data');
    assert.equal(await mount('data', OTHER), path);
    assert.deepEqual(await call('Path', { Name: 'data' }), { Mountpoint: path, Err: '' });
    assert.deepEqual([fs.readdirSync(path), fs.statSync(path).mode & 0o7777], [[], 0o755]);
    fs.writeFileSync(`${path}/kept`, 'kept');
    await unmount('data');
    assert.equal(fs.readFileSync(`${path}/kept`, 'utf8'), 'kept');
    await unmount('data', OTHER);
    assert.deepEqual(mounted(), []);
    assert.equal(fs.readFileSync(`${await mount('data')}/kept`, 'utf8'), 'kept');
    await unmount('data');
    const { Volume } = await call<{ Volume: { Name: string; CreatedAt: string } }>('Get', { Name: 'data' });
    assert.equal(Volume.Name, 'data');
    assert.match(Volume.CreatedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    await remove('data');
    assert.deepEqual(((await call<{ Volumes: unknown[] }>('List')).Volumes), []);
  });

  test('one from an image has its content, shares it, and leaves it as it is', async () => {
    await create('seeded', { from: 'image:base' });
    const path = await mount('seeded');
    fs.appendFileSync(`${path}/etc/one`, 'two\n');
    assert.equal(fs.readFileSync(`${path}/etc/one`, 'utf8'), 'one\ntwo\n');
    assert.equal(bench.ufs('cat', 'base', 'etc/one'), 'one\n');
    await unmount('seeded');
    await remove('seeded');
  });

  test('says what it doesn\'t have, know or may do', async () => {
    for (const name of ['x', '..', '../x', 'a/b', '.hidden', 'n'.repeat(300), '']) await assert.rejects(create(name), /[Nn]ame|Cannot call a volume/, name);
    await assert.rejects(create('bad', { sise: '1m' }), /unknown option "sise"; there are from, size, inodes, ro, uid, gid, mode, uidmap, gidmap and label\.KEY/);
    const wrong = { size: ['', '0', 'big'], inodes: ['0', 'many'], ro: ['perhaps'], uid: ['-1', 'root'], gid: ['4294967295'], mode: ['999', 'rwx', '17777'], uidmap: ['0:1', '0:0:0', '0:4294967295:2'], from: ['', 'tar:relative.tar', 'volume:'], constructor: ['1'] };
    for (const [option, values] of Object.entries(wrong)) for (const value of values) await assert.rejects(create('bad', { [option]: value }), /Cannot make volume "bad": /, `${option}=${value}`);
    for (const from of ['image:none', 'layer:abcdef', 'container:none', 'volume:none', 'none', 'tar:/none.tar', '/none.tar']) await assert.rejects(create('bad', { from }), /none|abcdef/, from);
    assert.deepEqual(((await call<{ Volumes: unknown[] }>('List')).Volumes), []);
    for (const method of ['Get', 'Remove', 'Path', 'Mount']) await assert.rejects(call(method, { Name: 'missing', ID: ONE }), /Cannot find volume "missing"/, method);
    await unmount('missing');
    await create('used', { size: '1m' });
    await create('used', { size: '1048576' });
    await assert.rejects(create('used', { size: '2m' }), /there is one of that name with other options: size is "1048576"/);
    await unmount('used');
    await mount('used');
    await unmount('used', OTHER);
    await assert.rejects(remove('used'), /Cannot remove volume "used": it is in use by 1111/);
    await unmount('used');
    await remove('used');
  });

  test('a holder has a volume as often as it asked for it: docker cp asks for a running container once more', async () => {
    await create('copied');
    const path = await mount('copied');
    await mount('copied');
    await unmount('copied');
    assert.deepEqual(mounted(), [path]);
    await unmount('copied');
    assert.deepEqual(mounted(), []);
    await remove('copied');
  });

  test('calls that come at once for one volume are done one after another, in whatever order they come', async () => {
    const sizes = ['1m', '1m', '2m', '1m', '2m'];
    const made = await Promise.allSettled(sizes.map((size) => create('raced', { size })));
    const first = (await get('raced')).LimitBytes === 1 << 20 ? '1m' : '2m';
    assert.deepEqual(made.map(({ status }) => status), sizes.map((size) => (size === first ? 'fulfilled' : 'rejected')));
    const holders = Array.from({ length: 20 }, (_, index) => String(index % 10).repeat(64));
    const paths = await Promise.all(holders.map((id) => mount('raced', id)));
    assert.equal(new Set(paths).size, 1);
    await assert.rejects(remove('raced'), /in use/);
    await Promise.all(holders.slice(1).map((id) => unmount('raced', id)));
    assert.deepEqual(mounted(), [paths[0]], 'one is left');
    for (let round = 0; round < 5; round += 1) {
      const [, , remounted] = await Promise.allSettled([unmount('raced', holders[0]), remove('raced'), mount('raced'), create('raced').catch(() => undefined)]);
      await create('raced').catch(() => undefined);
      const { Mounted, HeldBy } = await get('raced');
      assert.deepEqual([Mounted, HeldBy.length, mounted().length], remounted.status === 'fulfilled' ? [true, 1, 1] : [false, 0, 0]);
      if (remounted.status === 'fulfilled') await unmount('raced');
      await mount('raced', holders[0]);
    }
    await unmount('raced', holders[0]);
    await Promise.allSettled([create('copy', { from: 'volume:raced' }), remove('raced'), create('copy', { from: 'volume:raced' })]);
    for (const name of ['raced', 'copy']) await remove(name).catch(() => undefined);
    assert.deepEqual((await call<{ Volumes: unknown[] }>('List')).Volumes, []);
  });

  test('what a killed daemon forgot to give back is seen not to be in use; what it didn\'t forget is kept', async () => {
    await create('leaked');
    const path = await mount('leaked');
    bench.sh(`mkdir bound; mount --bind ${path} bound`);
    await call('Capabilities');
    await mount('leaked');
    await unmount('leaked');
    assert.deepEqual(mounted(), [path], 'live-restore: the container runs on, and docker cp has come and gone');
    await assert.rejects(remove('leaked'), /it is in use somewhere it is mounted/);
    await unmount('leaked');
    assert.deepEqual(mounted(), [path], 'given back once too often, but in use');
    await assert.rejects(remove('leaked'), /it is in use somewhere it is mounted/);
    bench.sh('umount bound');
    await mount('leaked');
    await unmount('leaked');
    assert.deepEqual(mounted(), [], 'started again with the same id, and stopped');
    await mount('leaked');
    assert.equal((await get('leaked')).Mounted, true);
    await call('Capabilities');
    assert.equal((await get('leaked')).Mounted, false, 'never given back, and not in use');
    assert.deepEqual(mounted(), []);
    await mount('leaked');
    await call('Capabilities');
    await remove('leaked');
    assert.deepEqual(mounted(), []);
  });

  test('is offered alone, or under another name than the graph driver, and for all machines', async () => {
    const alone = new Bench();
    const names = ['graph', 'volumes'].map((word) => `${served.name}-${word}`) as [string, string];
    const sockets = names.map((name) => new PluginClient(alone.path(`${name}.sock`)));
    const ask = async (method: string): Promise<unknown[]> => await Promise.all(sockets.map(async (socket) => JSON.parse((await socket.post(`/${method}`, Buffer.from('{}'))).body.toString())));
    const serve = async (flags: string[], says: string, check: () => Promise<void>): Promise<void> => {
      const server = alone.start('serve', ...flags, '--volume-scope', 'global', '--run-directory', alone.path('run'), '--plugin-directory', alone.directory);
      try {
        await until(() => server.result.err === says || server.result.code !== null, 'it says what it serves');
        assert.equal(server.result.err, says);
        await check();
      } finally {
        server.kill('SIGTERM');
        await server.ended;
      }
    };
    try {
      const volumes = `ufs: serving Docker's volume driver "${names[1]}"\n`;
      await serve(['--docker', names[0], '--volumes', names[1]], `ufs: serving Docker's graph driver "${names[0]}"\n${volumes}`, async () => {
        assert.deepEqual(await ask('Plugin.Activate'), [{ Implements: ['GraphDriver'] }, { Implements: ['VolumeDriver'] }]);
        assert.equal(alone.ufs('status', '--prometheus').match(/^# HELP ufs_plugin_calls_total /gm)?.length, 1);
      });
      await serve(['--volumes', names[1]], volumes, async () => {
        sockets.shift()?.close();
        assert.deepEqual(await ask('VolumeDriver.Capabilities'), [{ Capabilities: { Scope: 'global' }, Err: '' }]);
      });
    } finally {
      for (const socket of sockets) socket.close();
      alone.close();
    }
  });

  test('volumes stay mounted, and their holders theirs, when the driver is stopped or killed', async () => {
    await create('lasting');
    const path = await mount('lasting');
    const open = fs.openSync(`${path}/file`, 'w');
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await served.end(signal);
      fs.writeSync(open, signal);
      const [{ mountpoint, holders }] = JSON.parse(bench.ufs('volume', 'ls', '--json')) as [{ mountpoint: string; holders: { holder: string }[] }];
      assert.deepEqual([mountpoint, holders.map(({ holder }) => holder)], [path, [ONE]], 'the command line finds what is served on');
      assert.match(bench.try('volume', 'rm', 'lasting').err, /it is in use by 1111/);
      await served.start();
      await assert.rejects(remove('lasting'), /it is in use by 1111/);
      assert.equal(await mount('lasting', OTHER), path);
      await unmount('lasting', OTHER);
    }
    fs.closeSync(open);
    assert.equal(fs.readFileSync(`${path}/file`, 'utf8'), 'SIGKILLSIGTERM');
    await unmount('lasting');
    assert.deepEqual(mounted(), []);
    await remove('lasting');
  });

  test('when what serves the mounts is killed, the next one who asks gets a new mount with all that was written', async () => {
    await create('served');
    const path = await mount('served');
    fs.writeFileSync(`${path}/file`, 'kept');
    for (const pid of served.mountServers()) process.kill(pid, 'SIGKILL');
    await until(() => served.mountServers().length === 0, 'the mount server is gone');
    assert.equal(fs.readFileSync(`${await mount('served', OTHER)}/file`, 'utf8'), 'kept');
    await unmount('served');
    await unmount('served', OTHER);
    assert.deepEqual(mounted(), []);
    await remove('served');
    assert.match(bench.ufs('check'), /is sound/);
  });
});
