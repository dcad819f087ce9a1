import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { ServedDriver } from '../e2e/served-driver.ts';
import { PluginClient } from './client.ts';

const EMPTY_TAR = Buffer.alloc(1024);

/** What moby asserts of every graph driver (daemon/graphdriver/graphtest), and what its daemon relies on, through the plugin's socket. */
describe('the graph driver', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  let served: ServedDriver;
  let driver: PluginClient;
  before(async () => {
    bench = new Bench();
    served = await ServedDriver.start(bench);
    driver = new PluginClient(served.socket);
    await driver.call('Init', { Home: '/home', Opts: null, UIDMaps: null, GIDMaps: null });
  });
  after(async () => {
    driver?.close();
    await served?.stop();
    bench.close();
  });

  const readWrite = async (id: string, parent = ''): Promise<void> => void (await driver.call('CreateReadWrite', { ID: id, ...(parent === '' ? {} : { Parent: parent }) }));
  const create = async (id: string, parent = ''): Promise<void> => void (await driver.call('Create', { ID: id, ...(parent === '' ? {} : { Parent: parent }) }));
  const remove = async (...ids: string[]): Promise<void> => {
    for (const id of ids) await driver.call('Remove', { ID: id });
  };
  const mode = (path: string): [string, number, number] => {
    const stat = fs.lstatSync(path);
    return [stat.mode.toString(8), stat.uid, stat.gid];
  };

  async function base(id: string): Promise<void> {
    await readWrite(id);
    await driver.in(id, (dir) => {
      fs.mkdirSync(`${dir}/a subdir`);
      fs.chownSync(`${dir}/a subdir`, 1, 2);
      fs.chmodSync(`${dir}/a subdir`, 0o1705);
      fs.writeFileSync(`${dir}/a file`, '');
      fs.chmodSync(`${dir}/a file`, 0o4222);
    });
  }

  function isBase(dir: string): void {
    assert.deepEqual(fs.readdirSync(dir).sort(), ['a file', 'a subdir']);
    assert.deepEqual([mode(`${dir}/a subdir`), mode(`${dir}/a file`)], [['41705', 1, 2], ['104222', 0, 0]]);
  }

  function manyFiles(dir: string, count: number, seed: number): void {
    for (let i = 0; i < count; i += 100) {
      fs.mkdirSync(`${dir}/directory-${i}`, { recursive: true });
      for (let j = 0; j < 100 && i + j < count; j += 1) fs.writeFileSync(`${dir}/directory-${i}/file-${i + j}`, content(64, seed + i + j));
    }
  }
  const content = (size: number, seed: number): Buffer => Buffer.from(Array.from({ length: size }, (_, index) => (seed * 31 + index * 7) & 0xff));
  function checkManyFiles(dir: string, count: number, seed: number): void {
    for (let i = 0; i < count; i += 100) for (let j = 0; j < 100 && i + j < count; j += 1) assert.ok(fs.readFileSync(`${dir}/directory-${i}/file-${i + j}`).equals(content(64, seed + i + j)), `file ${i + j}`);
  }

  test('an empty layer is an empty directory of root, mode 0755', async () => {
    await readWrite('empty');
    assert.deepEqual(await driver.call('Exists', { ID: 'empty' }), { Exists: true });
    await driver.in('empty', (dir) => {
      assert.deepEqual([mode(dir), fs.readdirSync(dir)], [['40755', 0, 0], []]);
    });
    assert.ok((await driver.diff('empty', '')).equals(EMPTY_TAR), 'an empty diff is 1024 zero bytes');
    await remove('empty');
    assert.deepEqual(await driver.call('Exists', { ID: 'empty' }), { Exists: false });
  });

  test('what is written to a layer is there when it is mounted again, and in layers on top of it', async () => {
    await base('base');
    await driver.in('base', isBase);
    await readWrite('snap', 'base');
    await driver.in('snap', isBase);
    assert.deepEqual(await driver.changes('snap', 'base'), []);
    assert.ok((await driver.diff('snap', 'base')).equals(EMPTY_TAR));
    await driver.in('base', (dir) => assert.throws(() => fs.writeFileSync(`${dir}/late`, ''), { code: 'EROFS' }, 'what another layer stands on is written to no more'));
    await assert.rejects(driver.call('Remove', { ID: 'base' }), /"snap" stands on it/);
    await remove('snap', 'base');
  });

  test('a stack of 80 layers shows all of them', async () => {
    await create('deep-0');
    for (let level = 1; level <= 80; level += 1) {
      await create(`deep-${level}`, `deep-${level - 1}`);
      await driver.in(`deep-${level}`, (dir) => {
        fs.writeFileSync(`${dir}/of-${level}`, `${level}`);
        fs.writeFileSync(`${dir}/top`, `${level}`);
        fs.rmSync(`${dir}/of-${level - 5}`, { force: true });
      });
    }
    await readWrite('deep-top', 'deep-80');
    await driver.in('deep-top', (dir) => {
      assert.deepEqual(fs.readdirSync(dir).sort(), ['of-76', 'of-77', 'of-78', 'of-79', 'of-80', 'top']);
      assert.equal(fs.readFileSync(`${dir}/top`, 'utf8'), '80');
    });
    await remove('deep-top', ...Array.from({ length: 81 }, (_, index) => `deep-${80 - index}`));
  });

  test('a diff of thousands of files applies to another layer', async () => {
    await readWrite('apply-base');
    await driver.in('apply-base', (dir) => {
      manyFiles(dir, 3000, 3);
      fs.writeFileSync(`${dir}/file-remove.txt`, 'x');
      fs.mkdirSync(`${dir}/dir-remove/below`, { recursive: true });
    });
    await readWrite('apply-upper', 'apply-base');
    await driver.in('apply-upper', (dir) => {
      manyFiles(dir, 3000, 6);
      fs.rmSync(`${dir}/file-remove.txt`);
      fs.rmSync(`${dir}/dir-remove`, { recursive: true });
    });
    const { Size } = await driver.call<{ Size: number }>('DiffSize', { ID: 'apply-upper' });
    await readWrite('apply-diff', 'apply-base');
    const archive = await driver.diff('apply-upper', 'apply-base');
    assert.equal(await driver.apply('apply-diff', 'apply-base', archive), Size);
    assert.ok((await driver.diff('apply-diff', 'apply-base')).equals(archive), 'what was applied comes back byte for byte');
    await driver.in('apply-diff', (dir) => {
      checkManyFiles(dir, 3000, 6);
      assert.deepEqual(fs.readdirSync(dir).filter((name) => !name.startsWith('directory-')), []);
    });
    await remove('apply-diff', 'apply-upper', 'apply-base');
  });

  test('changes are told by path', async () => {
    await readWrite('changes-base');
    await driver.in('changes-base', (dir) => manyFiles(dir, 200, 3));
    await readWrite('changes-upper', 'changes-base');
    await driver.in('changes-upper', (dir) => {
      fs.writeFileSync(`${dir}/directory-0/file-3`, 'changed');
      fs.rmSync(`${dir}/directory-0/file-4`);
      fs.writeFileSync(`${dir}/directory-0/new`, '');
      fs.rmSync(`${dir}/directory-100`, { recursive: true });
    });
    const expected = ['C /directory-0', 'C /directory-0/file-3', 'D /directory-0/file-4', 'A /directory-0/new', 'D /directory-100'];
    assert.deepEqual(await driver.changes('changes-upper', 'changes-base'), expected);
    await remove('changes-upper', 'changes-base');
  });

  test('a mount is there until it was put as often as it was got', async () => {
    await readWrite('counted');
    const [first, second] = [await driver.call<{ Dir: string }>('Get', { ID: 'counted' }), await driver.call<{ Dir: string }>('Get', { ID: 'counted' })];
    assert.equal(first.Dir, second.Dir);
    await driver.call('Put', { ID: 'counted' });
    fs.writeFileSync(`${first.Dir}/x`, '');
    await driver.call('Put', { ID: 'counted' });
    assert.deepEqual(mountsBelow(served.runDirectory), []);
    for (const id of ['counted', 'counted', 'no-such-layer']) await driver.call('Put', { ID: id });
    await driver.in('counted', (dir) => assert.deepEqual(fs.readdirSync(dir), ['x']));
    await remove('counted', 'counted');
  });

  test('Remove unmounts what is in use', async () => {
    await readWrite('used');
    const { Dir } = await driver.call<{ Dir: string }>('Get', { ID: 'used' });
    const fd = fs.openSync(`${Dir}/f`, 'w');
    await remove('used');
    fs.closeSync(fd);
    assert.deepEqual(mountsBelow(served.runDirectory), []);
  });

  test('a layer takes no more than its limit, and what is removed makes room', async () => {
    await readWrite('limited-base');
    await driver.in('limited-base', (dir) => fs.writeFileSync(`${dir}/lower`, Buffer.alloc(3 << 20, 1)));
    await driver.call('CreateReadWrite', { ID: 'limited', Parent: 'limited-base', StorageOpt: { size: '8m' } });
    const MIB = 1 << 20;
    const free = (dir: string): number => {
      const { bsize, blocks, bavail } = fs.statfsSync(dir);
      assert.equal(blocks * bsize, 8 * MIB);
      return bavail * bsize;
    };
    const fill = (path: string): number => {
      const fd = fs.openSync(path, 'w');
      let written = 0;
      try {
        for (;;) written += fs.writeSync(fd, Buffer.alloc(100_000, 2));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
        return written;
      } finally {
        fs.closeSync(fd);
      }
    };
    for (const round of ['new', 'mounted again']) {
      await driver.in('limited', (dir) => {
        const before = free(dir);
        assert.ok(before > 7.9 * MIB, round);
        const written = fill(`${dir}/big`);
        assert.ok(written > before - 64_000 && written <= before, `${written} of ${before} bytes were written`);
        assert.ok(free(dir) < 64_000);
        fs.writeFileSync(`${dir}/big`, Buffer.alloc(MIB), { flag: 'r+' });
        assert.throws(() => fs.appendFileSync(`${dir}/lower`, 'x'), { code: 'ENOSPC' }, 'there is no room for a copy');
        assert.ok(fs.readFileSync(`${dir}/lower`).equals(Buffer.alloc(3 << 20, 1)));
      });
      await driver.in('limited', (dir) => {
        assert.ok(free(dir) < 64_000, 'counted again');
        const fd = fs.openSync(`${dir}/big`, 'r');
        fs.rmSync(`${dir}/big`);
        assert.ok(free(dir) < 64_000, 'what is open is there');
        fs.closeSync(fd);
        for (let tries = 0; free(dir) < 7.9 * MIB && tries < 1000; tries += 1) fs.readdirSync(dir);
        assert.ok(free(dir) > 7.9 * MIB, 'what is removed makes room');
        if (round === 'new') return;
        fs.appendFileSync(`${dir}/lower`, 'x');
        assert.ok(free(dir) < 5 * MIB);
        fs.truncateSync(`${dir}/lower`, 10);
        assert.ok(free(dir) > 7.9 * MIB);
      });
    }
    assert.deepEqual(((await driver.call('GetMetadata', { ID: 'limited' })) as { Metadata: { QuotaBytes: string } }).Metadata.QuotaBytes, String(8 * MIB));
    for (const size of ['0', 'x', '-1', '1e3', '']) await assert.rejects(driver.call('CreateReadWrite', { ID: 'x', StorageOpt: { size } }), /as a size/);
    await remove('limited', 'limited-base');
  });

  test('what is wrong is said', async () => {
    await create('wrong');
    await driver.apply('wrong', '', EMPTY_TAR);
    await assert.rejects(driver.apply('wrong', '', EMPTY_TAR), /Cannot apply an archive to layer "wrong": it was filled before/);
    await assert.rejects(create('wrong'), /Cannot create layer "wrong": there is one of that id/);
    await assert.rejects(create('child', 'nobody'), /Cannot find layer "nobody"/);
    await assert.rejects(driver.call('Get', { ID: 'nobody' }), /Cannot find layer "nobody"/);
    await assert.rejects(driver.diff('nobody', ''), /Cannot find layer "nobody"/);
    await assert.rejects(driver.call('Create', { ID: 'x', StorageOpt: { size: '1G' } }), /--storage-opt size is only supported for ReadWrite Layers/);
    await assert.rejects(driver.call('CreateReadWrite', { ID: 'x', StorageOpt: { colour: 'red' } }), /Unknown option colour/);
    await assert.rejects(driver.call('Init', { Home: '/home', Opts: ['colour=red'] }), /Unknown option colour/);
    const label = 'system_u:object_r:container_file_t:s0:c1,c2';
    await assert.rejects(driver.call('CreateReadWrite', { ID: 'x-init', Parent: 'wrong', MountLabel: label }), /Cannot give the files of layer "x-init" the SELinux label "system_u.*--selinux-enabled/);
    assert.deepEqual(await driver.call('Exists', { ID: 'x-init' }), { Exists: false });
    await assert.rejects(driver.call('Get', { ID: 'wrong', MountLabel: label }), /Cannot give the files of layer "wrong" the SELinux label/);
    await create('short', 'wrong');
    await assert.rejects(driver.apply('short', 'wrong', Buffer.alloc(700, 'x')), /ApplyDiff: invalid tar header/);
    await assert.rejects(driver.apply('short', '', EMPTY_TAR), /doesn't stand on ""/);
    await assert.rejects(driver.apply('short', 'wrong', EMPTY_TAR), /that was begun before/, 'dockerd sends what is left of an archive when it tries again');
    await remove('short');
    await create('short', 'wrong');
    await driver.apply('short', 'wrong', EMPTY_TAR);
    await remove('short', 'wrong');
    assert.deepEqual(await driver.call('Exists', { ID: 'wrong' }), { Exists: false });
  });

  test('mounts and their users outlive the driver, and it goes on without Init', async () => {
    await create('kept');
    await driver.in('kept', (dir) => fs.writeFileSync(`${dir}/f`, 'kept'));
    await readWrite('kept-top', 'kept');
    const { Dir: dir } = await driver.call<{ Dir: string }>('Get', { ID: 'kept-top' });
    await driver.call('Get', { ID: 'kept-top' });
    const fd = fs.openSync(`${dir}/open`, 'w');
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await served.end(signal);
      fs.writeSync(fd, `${signal} `);
      fs.appendFileSync(`${dir}/f`, `, ${signal}`);
      await served.start();
    }
    fs.closeSync(fd);
    assert.equal((await driver.call<{ Dir: string }>('Get', { ID: 'kept-top' })).Dir, dir);
    for (const left of [2, 1, 0]) {
      await driver.call('Put', { ID: 'kept-top' });
      assert.equal(mountsBelow(served.runDirectory).length, left > 0 ? 1 : 0, `it has ${left} users`);
    }
    await driver.in('kept-top', () => {
      assert.equal(fs.readFileSync(`${dir}/f`, 'utf8'), 'kept, SIGTERM, SIGKILL');
      assert.equal(fs.readFileSync(`${dir}/open`, 'utf8'), 'SIGTERM SIGKILL ');
    });
    assert.deepEqual(await driver.changes('kept-top', 'kept'), ['C /f', 'A /open']);
    await remove('kept-top', 'kept');
  });

  test('where what serves the mounts was killed, the next Get mounts again', async () => {
    await create('kept');
    await driver.in('kept', (dir) => fs.writeFileSync(`${dir}/f`, 'kept'));
    await readWrite('kept-top', 'kept');
    const { Dir: dir } = await driver.call<{ Dir: string }>('Get', { ID: 'kept-top' });
    fs.writeFileSync(`${dir}/g`, 'kept, too');
    for (const pid of served.mountServers()) process.kill(pid, 'SIGKILL');
    await until(() => served.mountServers().length === 0, 'the mount server is gone');
    await until(() => fs.readFileSync(bench.path('store/ufs.log'), 'utf8').includes('and 1 mounts with it'), 'the driver has heard of it');
    await driver.in('kept-top', () => assert.equal(fs.readFileSync(`${dir}/g`, 'utf8'), 'kept, too'));
    assert.equal(mountsBelow(served.runDirectory).length, 1, 'who got it before has it still');
    await driver.call('Put', { ID: 'kept-top' });
    assert.deepEqual(mountsBelow(served.runDirectory), []);
    await remove('kept-top', 'kept');
  });

  test('of an archive that breaks off, or whose driver is killed, nothing is kept', async () => {
    bench.sh('mkdir tree; dd if=/dev/urandom of=tree/f bs=1M count=3 status=none; tar -C tree -cf tree.tar .');
    const archive = fs.readFileSync(bench.path('tree.tar'));
    const half = archive.length / 2;
    await create('half');
    await assert.rejects(driver.apply('half', '', (async function* () {
      yield archive.subarray(0, half);
      throw new Error('broken off');
    })()));
    await create('killed');
    await assert.rejects(driver.apply('killed', '', (async function* () {
      yield archive.subarray(0, half);
      await until(() => bench.sh('ls store/layers/*/filling | wc -l') === '2\n', 'the second layer is being filled');
      await served.end('SIGKILL');
      yield archive.subarray(half);
    })()));
    await served.start();
    for (const id of ['half', 'killed']) {
      await assert.rejects(driver.apply(id, '', archive), /that was begun before/);
      await remove(id);
      await create(id);
      assert.equal(await driver.apply(id, '', archive), 3 << 20);
      assert.ok((await driver.diff(id, '')).equals(archive));
    }
    await remove('half', 'killed');
  });

  test('no layer is made where less than the minimum would stay free; those there are go on', async () => {
    await readWrite('before');
    for (const option of ['min_free_space=7p', 'min_free_space=99.9%']) {
      await driver.call('Init', { Home: '/home', Opts: [option] });
      await assert.rejects(readWrite('refused'), /Cannot create layer "refused": [\d.]+[kMGTP]?B are free in .*, and [\d.]+[kMGTP]?B are to stay free/);
      await driver.in('before', (dir) => fs.writeFileSync(`${dir}/f`, option));
    }
    await driver.call('Init', { Home: '/home', Opts: ['min_free_space=1%', 'size=10m'] });
    await readWrite('limited-by-default', 'before');
    await driver.in('limited-by-default', (dir) => assert.equal(fs.statfsSync(dir).blocks * fs.statfsSync(dir).bsize, 10 << 20));
    const rows = new Map((await driver.call<{ Status: [string, string][] }>('Status')).Status);
    assert.match(rows.get('Minimum Free Space') as string, /B$/);
    await driver.call('Init', { Home: '/home', Opts: [] });
    await remove('limited-by-default', 'before');
  });

  test('the command line shows layers, and leaves them to Docker', async () => {
    await readWrite('shown-below');
    await driver.in('shown-below', (dir) => fs.writeFileSync(`${dir}/below`, 'x'));
    await readWrite('shown', 'shown-below');
    await driver.in('shown', (dir) => fs.writeFileSync(`${dir}/own`, 'x'));
    fs.mkdirSync(bench.path('shown'));
    bench.ufs('mount', '--read-only', '--detach', 'docker:shown', 'shown');
    assert.deepEqual(fs.readdirSync(bench.path('shown')).sort(), ['below', 'own']);
    bench.ufs('umount', 'shown');
    assert.equal(bench.ufs('changes', 'docker:shown'), 'C /\nA /own\n');
    await create('sealed');
    await driver.apply('sealed', '', await driver.diff('shown-below', ''));
    assert.match(bench.ufs('changes', 'docker:sealed'), /^A \/below\n/m);
    for (const command of [['rm', 'docker:shown'], ['mount', '--detach', 'docker:shown', 'shown']]) {
      const { code, err } = bench.try(...command);
      assert.equal(code, 1);
      assert.match(err, /belongs to the engine that made it/);
    }
    bench.ufs('gc');
    await remove('sealed', 'shown', 'shown-below');
  });

  test('ufs status tells what was done, as metrics too', async () => {
    await driver.call('Status');
    await assert.rejects(driver.call('Get', { ID: 'nobody' }));
    const metrics = bench.ufs('status', '--prometheus');
    for (const line of [/^ufs_layers 0$/m, /^ufs_mounts 0$/m, /^ufs_plugin_calls_total\{method="GraphDriver\.Status"\} [1-9]/m, /^ufs_plugin_errors_total\{method="GraphDriver\.Get"\} [1-9]/m, /^ufs_plugin_active_calls 0$/m]) assert.match(metrics, line);
    assert.equal((JSON.parse(bench.ufs('status', '--json')) as { containers: number }).containers, 0);
  });

  test('nothing is left of what was removed', async () => {
    assert.equal(bench.ufs('layers', '--json').trim(), '[]');
    assert.equal(bench.ufs('containers', '--json').trim(), '[]');
  });
});
