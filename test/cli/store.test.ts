import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, MAIN, mountsBelow, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';

interface Status {
  contentBytes: number;
  mounts: string[];
}

describe('a store', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh('mkdir a b mnt; head -c 3000000 /dev/urandom >a/big; echo small >a/small; cp -r a b/copy; echo other >b/other; tar -cf a.tar -C a .; tar -cf b.tar -C b .');
    bench.ufs('import', 'a.tar', '--name', 'first');
  });
  after(() => bench.close());
  const status = (): Status => JSON.parse(bench.ufs('status', '--json')) as Status;

  test('keeps equal files of different images once on disk', () => {
    const before = status().contentBytes;
    bench.ufs('import', 'b.tar', '--name', 'second');
    assert.equal(status().contentBytes, before + 'other\n'.length);
    const [inode, links] = bench.sh('find store/layers -type f -size +2000k -printf "%i %n\\n" | sort -u').trim().split(' ');
    assert.ok(inode !== undefined && Number(links) >= 2, 'one inode in both content directories');
  });

  test('is open to its owner only, whatever the umask', () => {
    bench.sh(`umask 0; ${process.execPath} ${MAIN} --root open import a.tar`);
    for (const path of ['open', 'open/layers', 'open/index', 'open/staging']) assert.equal(statSync(bench.path(path)).mode & 0o777, 0o700, path);
  });

  test('is used by commands while it serves a mount, and what they print is the same', async () => {
    const images = bench.ufs('images', '--json');
    const mount = bench.start('mount', 'first', 'mnt', '--name', 'served');
    await until(() => existsSync(bench.path('mnt/small')), 'the mount');
    assert.equal(bench.ufs('images', '--json'), images);
    assert.deepEqual(status().mounts, [bench.path('mnt')]);
    const layer = bench.ufs('import', 'b.tar');
    assert.equal(bench.sh(`${process.execPath} ${MAIN} --root store import - <b.tar`), layer, 'standard input goes to the serving process');
    mount.kill('SIGINT');
    const { code } = await mount.ended;
    assert.equal(code, 0);
    assert.deepEqual(mountsBelow(bench.directory), []);
  });

  test('is sound after kill -9 of the process that served it, and the container has what was synced', async () => {
    const mount = bench.start('mount', 'served', 'mnt');
    await until(() => existsSync(bench.path('mnt/small')), 'the mount');
    writeFileSync(bench.path('mnt/kept'), 'synced');
    bench.sh('sync mnt/kept');
    mount.kill('SIGKILL');
    await mount.ended;
    assert.throws(() => statSync(bench.path('mnt/small')), { code: 'ENOTCONN' });
    assert.match(bench.ufs('check'), /is sound/);
    bench.ufs('mount', 'served', 'mnt', '--detach');
    assert.equal(readFileSync(bench.path('mnt/kept'), 'utf8'), 'synced');
    bench.ufs('umount', 'mnt');
  });

  test('removes with --rm the container when it is unmounted', () => {
    bench.ufs('mount', 'first', 'mnt', '--name', 'brief', '--rm', '--detach');
    bench.sh('echo x >mnt/x');
    bench.ufs('umount', 'mnt');
    assert.ok(!bench.ufs('containers').includes('brief'));
  });

  test('on a full disk refuses an import with a clear error, and stays sound', () => {
    mkdirSync(bench.path('tiny'));
    bench.sh('mount -t tmpfs -o size=2m tmpfs tiny');
    const full = bench.try('--root', bench.path('tiny/store'), 'import', 'a.tar');
    assert.equal(full.code, 1);
    assert.match(full.err, /Cannot import "a.tar": .*(ENOSPC|no space)/);
    assert.match(bench.ufs('--root', bench.path('tiny/store'), 'check'), /is sound: 0 layers/);
    bench.sh('umount tiny');
  });
});
