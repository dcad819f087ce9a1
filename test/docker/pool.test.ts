import assert from 'node:assert/strict';
import fs from 'node:fs';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { ServedDriver } from '../e2e/served-driver.ts';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { PluginClient } from './client.ts';

const MIB = 1 << 20;

/** The store's space as Docker meets it: a limit of all of it, what is to stay free, and what is deleted later. */
describe('the graph driver, short of space', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  let served: ServedDriver;
  let driver: PluginClient;
  before(async () => {
    bench = new Bench();
    bench.sh('mkdir tree; head -c 6M /dev/urandom >tree/f; tar -C tree -cf tree.tar .');
    served = await ServedDriver.start(bench);
    driver = new PluginClient(served.socket);
    await init();
  });
  after(async () => {
    driver?.close();
    await served?.stop();
    bench.close();
  });

  const init = async (...options: string[]): Promise<void> => void (await driver.call('Init', { Home: '/home', Opts: options }));
  const readWrite = async (id: string, parent = ''): Promise<void> => void (await driver.call('CreateReadWrite', { ID: id, ...(parent === '' ? {} : { Parent: parent }) }));
  const remove = async (...ids: string[]): Promise<void> => {
    for (const id of ids) await driver.call('Remove', { ID: id });
  };
  const rows = async (): Promise<Map<string, string>> => new Map((await driver.call<{ Status: [string, string][] }>('Status')).Status);
  const used = (): number => (JSON.parse(bench.ufs('pool', '--json')) as { used: number }).used;
  const archive = (): Buffer => fs.readFileSync(bench.path('tree.tar'));
  /** What is answered to an archive that is refused. Node's own client doesn't read an answer that comes while it is sending, as Docker's does. */
  async function refusal(id: string, parent: string, data: Buffer): Promise<string> {
    const socket = connect(served.socket);
    socket.write(`POST /GraphDriver.ApplyDiff?id=${id}&parent=${parent} HTTP/1.1\r\nHost: \r\nConnection: close\r\nContent-Length: ${data.length}\r\n\r\n`);
    socket.write(data);
    const answer = (await buffer(socket)).toString();
    assert.match(answer, /^HTTP\/1\.1 500 /);
    return answer;
  }
  /** Writes to a file until there is no room; the bytes it has then. */
  function fill(path: string): number {
    const fd = fs.openSync(path, 'a');
    try {
      for (let count = 0; count < 1000; count += 1) fs.writeSync(fd, Buffer.alloc(100_000, 2));
      throw new Error('there is room without an end');
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC', String(error));
      return fs.fstatSync(fd).size;
    } finally {
      fs.closeSync(fd);
    }
  }

  test('an archive that would pass the limit of the pool is refused while it comes in; its layer is incomplete, and nothing stays of it', async () => {
    bench.ufs('pool', 'resize', '4m');
    await driver.call('Create', { ID: 'large' });
    assert.match(await refusal('large', '', archive()), /Cannot store \\"\.\/f\\": Cannot store the layer: 4\.\d+MB of the pool's 4\.194MB are used/);
    assert.ok(used() < MIB, `${used()} bytes are used`);
    await assert.rejects(driver.call('Get', { ID: 'large' }), /Cannot mount layer "large": its archive broke off, and it has to be made anew/);
    assert.equal((await rows()).get('Incomplete Layers'), '1');
    bench.ufs('pool', 'resize', '20m');
    await remove('large');
    await driver.call('Create', { ID: 'large' });
    assert.equal(await driver.apply('large', '', archive()), 6 * MIB);
    assert.equal((await rows()).get('Incomplete Layers'), '0');
  });

  test('a container takes what is left of the pool and no more, also while ufs serve is down; then nothing new is made, and a larger pool is there at once', async () => {
    await readWrite('full', 'large');
    const { Dir: dir } = await driver.call<{ Dir: string }>('Get', { ID: 'full' });
    await served.end('SIGKILL');
    const size = fill(`${dir}/big`);
    assert.ok(size > 13 * MIB && size < 14 * MIB, `${size} bytes were written`);
    await served.start();
    assert.deepEqual([(await rows()).get('Pool Space Total'), (await rows()).get('Pool Space Used')], ['20.97MB', '20.97MB']);
    await assert.rejects(readWrite('new', 'large'), /Cannot create layer "new": 20\.97MB of the pool's 20\.97MB are used, 0B are free/);
    assert.match(bench.try('pool', 'resize', '18m').err, /Cannot resize the pool to 18\.87MB: 20\.97MB are used/);
    assert.match(bench.ufs('pool', 'resize', '25m'), /5\.243MB are free/);
    assert.ok(fill(`${dir}/big`) >= size + 4.9 * MIB);
    assert.equal(fs.statfsSync(dir).bavail, 0);
    await driver.call('Put', { ID: 'full' });
    await remove('full');
    assert.ok(used() < 7 * MIB);
  });

  test('what is to stay free is a part of the pool: it is left by new layers, and by a smaller pool', async () => {
    bench.ufs('pool', 'resize', '20m');
    await init('min_free_space=50%');
    await readWrite('room', 'large');
    await driver.in('room', (dir) => fs.writeFileSync(`${dir}/f`, Buffer.alloc(2 * MIB, 1)));
    assert.deepEqual([(await rows()).get('Minimum Free Space'), (await rows()).get('Pool Space Total')], ['10.49MB', '20.97MB']);
    assert.match(bench.try('pool', 'resize', '16m').err, /Cannot resize the pool to 16\.78MB: 8\.\d+MB are used, and 8\.389MB are to stay free/);
    await driver.call('Create', { ID: 'below', Parent: 'large' });
    bench.sh('head -c 4M /dev/urandom >tree/f; tar -C tree -cf other.tar .');
    assert.match(await refusal('below', 'large', fs.readFileSync(bench.path('other.tar'))), /10\.\d+MB of the pool's 20\.97MB are used, 10\.\d+MB are free, and 10\.49MB are to stay free/);
    await driver.in('room', (dir) => fs.writeFileSync(`${dir}/g`, Buffer.alloc(4 * MIB, 1)));
    await assert.rejects(readWrite('more', 'large'), /Cannot create layer "more": 12\.\d+MB of the pool's 20\.97MB are used, 8\.\d+MB are free, and 10\.49MB are to stay free/);
    await remove('below', 'room');
    await init();
    bench.ufs('pool', 'resize', '--unlimited');
    assert.equal(bench.ufs('check').trim(), 'The store is sound: 1 layer');
  });

  test('what is told of a layer: where it is, what it stands on, what it takes and may take', async () => {
    await driver.call('CreateReadWrite', { ID: 'told', Parent: 'large', StorageOpt: { size: '8m' } });
    const metadata = async (id: string): Promise<Record<string, string>> => (await driver.call<{ Metadata: Record<string, string> }>('GetMetadata', { ID: id })).Metadata;
    await driver.in('told', async (dir) => {
      fs.writeFileSync(`${dir}/g`, Buffer.alloc(MIB, 1));
      const { UpperDir, WorkDir, TransactionId, ...told } = await metadata('told');
      assert.ok(fs.existsSync(`${UpperDir}/g`) && fs.existsSync(WorkDir as string));
      assert.deepEqual(told, { LowerDir: 'large', MergedDir: dir, LayerSize: String(MIB), QuotaBytes: String(8 * MIB), QuotaUsed: String(MIB + 4096) });
      assert.equal((await rows()).get('Transaction Id'), TransactionId);
    });
    const { LayerSize, ...large } = await metadata('large');
    assert.equal(LayerSize, String(6 * MIB));
    assert.deepEqual(Object.keys(large), ['UpperDir', 'WorkDir', 'TransactionId']);
    await remove('told');
    await assert.rejects(metadata('told'), /Cannot find layer "told"/);
  });

  test('Status tells what layers that share content save', async () => {
    await driver.call('Create', { ID: 'again', Parent: 'large' });
    await driver.apply('again', 'large', archive());
    const status = await rows();
    assert.deepEqual([status.get('Content'), status.get('Shared Content Saved'), status.get('Layers')], ['6.291MB', '6.291MB', '2']);
    await remove('again');
  });

  test('what can not be deleted yet is removed all the same, counted, and deleted after a kill and a restart', { skip: fs.existsSync('/usr/bin/chattr') ? false : 'needs chattr' }, async () => {
    const pending = async (): Promise<string | undefined> => (await rows()).get('Deferred Deleted Layer Count');
    await readWrite('stuck', 'large');
    const upper = ((await driver.call<{ Metadata: Record<string, string> }>('GetMetadata', { ID: 'stuck' })).Metadata)['UpperDir'] as string;
    fs.writeFileSync(`${upper}/f`, '');
    bench.sh(`chattr +i ${upper}/f`);
    const left = (): string[] => fs.readdirSync(bench.path('store/trash'));
    try {
      // The order they are found in is the file system's.
      const others = Array.from({ length: 10 }, (_, index) => `other-${index}`);
      for (const id of others) await readWrite(id, 'large');
      await remove('stuck', ...others);
      assert.deepEqual([await driver.call('Exists', { ID: 'stuck' }), mountsBelow(served.runDirectory)], [{ Exists: false }, []]);
      await until(() => left().length === 1, 'all else is deleted');
      assert.equal(await pending(), '1');
      await served.end('SIGKILL');
      await served.start();
      assert.equal(await pending(), '1');
      const { code, err } = bench.try('gc');
      assert.equal(code, 1);
      assert.match(err, /EPERM/);
      await readWrite('stuck', 'large');
      await served.end('SIGKILL');
    } finally {
      bench.sh('chattr -i $(find store -name f -not -path "*/content/*")');
    }
    await served.start();
    await until(() => left().length === 0, 'the next ufs serve deletes it');
    assert.equal(await pending(), '0');
    await remove('stuck', 'large');
    bench.ufs('gc');
    assert.deepEqual(left(), [], 'gc waits for it');
  });
});
