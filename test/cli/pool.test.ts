import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';

const MIB = 1 << 20;

interface Figures {
  limit: number | null;
  used: number;
  available: number;
  keepFree: number;
  uncounted: string[];
}

describe('the pool of a store', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh('mkdir tree a b c; head -c 4M /dev/urandom >tree/lower; tar -cf tree.tar -C tree .; head -c 4M /dev/urandom >tree/more; tar -cf more.tar -C tree .');
    bench.ufs('import', 'tree.tar', '--name', 'base');
  });
  after(() => bench.close());

  const figures = (): Figures => JSON.parse(bench.ufs('pool', '--json')) as Figures;
  /** What the files of the store's layers, and all that containers have, take on disk. */
  const onDisk = (): number => Number(bench.sh('{ find store/layers/*/content -type f -print0; printf "%s\\0" store/layers/*/diff; } | du -sc --block-size=1 --files0-from=- | tail -n1').split('\t')[0]);

  test('has no limit at first, takes none below what is used, and no nonsense', () => {
    assert.equal(figures().limit, null);
    assert.match(bench.ufs('pool'), /^Limit: +none: all of its file system\n/);
    assert.match(bench.try('pool', 'resize', '1m').err, /^ufs: Cannot resize the pool to 1\.049MB: 4\.\d+MB are used\n$/);
    for (const argv of [[], ['1g', '--unlimited'], ['large'], ['0'], ['-1']]) assert.equal(bench.try('pool', 'resize', ...argv).code, 2, argv.join(' '));
    assert.match(bench.ufs('pool', 'resize', '20m'), /^The pool has 20\.97MB: 4\.\d+MB are used, 16\.\d+MB are free\n$/);
  });

  test('is shared by mounts that write at the same time, and no byte beyond it is taken', () => {
    for (const name of ['a', 'b']) bench.ufs('mount', 'base', name, '--name', name, '--detach');
    const { bsize, blocks } = fs.statfsSync(bench.path('a'));
    assert.equal(bsize * blocks, 20 * MIB, 'df shows it');
    const errors = bench.run('/bin/bash', ['-c', 'for m in a b; do dd if=/dev/zero of=$m/big bs=40k count=10000 & done; wait']).err;
    assert.equal(errors.match(/No space left on device/g)?.length, 2, errors);
    assert.ok(onDisk() <= 20 * MIB && onDisk() > 18 * MIB, `${onDisk()} bytes are on disk`);
    assert.ok(figures().used <= 20 * MIB && figures().available < 2 * MIB);
    for (const name of ['a', 'b']) {
      assert.ok(fs.statSync(bench.path(name, 'big')).size > MIB, 'each got some');
      assert.throws(() => { for (let i = 0; i < 1000; i += 1) fs.mkdirSync(bench.path(name, `directory-${i}`)); }, { code: 'ENOSPC' });
      assert.throws(() => fs.appendFileSync(bench.path(name, 'lower'), 'x'), { code: 'ENOSPC' });
    }
    assert.ok(onDisk() <= 20 * MIB);
  });

  test('refuses new layers, images and containers when it is full, with figures; and those that are there go on', () => {
    for (const argv of [['import', 'more.tar'], ['commit', 'a', 'new'], ['create', 'base']]) {
      assert.match(bench.try(...argv).err, /2[01](\.\d+)?MB of the pool's 20\.97MB are used, [\d.]+[kM]?B are free; remove images or containers, or enlarge the pool \(ufs pool resize\)/, argv.join(' '));
    }
    bench.ufs('save', 'base', '-o', 'base.tar');
    bench.ufs('--root', 'other', 'pool', 'resize', '3m');
    assert.match(bench.try('--root', 'other', 'load', 'base.tar').err, /of the pool's 3\.146MB are used/);
    fs.writeFileSync(bench.path('a/big'), Buffer.alloc(MIB, 3), { flag: 'r+' });
    assert.equal(bench.ufs('check').trim(), 'The store is sound: 1 layer');
    assert.match(bench.try('pool', 'resize', '10m').err, /Cannot resize the pool to 10\.49MB: 20\.\d+MB are used/);
  });

  test('grows while it is in use, and what is removed makes room for others', async () => {
    bench.ufs('pool', 'resize', '21m');
    fs.appendFileSync(bench.path('b/big'), Buffer.alloc(MIB / 2, 1));
    bench.ufs('pool', 'resize', '30m');
    // It may have had little of what two containers had at once.
    fs.appendFileSync(bench.path('b/big'), Buffer.alloc(Math.max(0, 4 * MIB - fs.statSync(bench.path('b/big')).size), 1));
    fs.appendFileSync(bench.path('a/lower'), 'x');
    const { available } = figures();
    const freed = fs.statSync(bench.path('b/big')).size;
    fs.rmSync(bench.path('b/big'));
    // The kernel tells of a close some time after it.
    await until(() => figures().available > available + freed - MIB, 'what is removed is free');
    fs.writeFileSync(bench.path('a/more'), Buffer.alloc(available + freed - 2 * MIB, 1));
    bench.ufs('commit', 'b', 'smaller');
    assert.ok(onDisk() <= 30 * MIB && figures().used >= onDisk() - MIB);
  });

  test('holds when what served the mounts was killed, and counts anew what is mounted again', async () => {
    const { servedBy } = JSON.parse(bench.ufs('status', '--json')) as { servedBy: number };
    process.kill(servedBy, 'SIGKILL');
    await until(() => !fs.existsSync(`/proc/${servedBy}`), 'the server is gone');
    bench.sh('umount -l a b; head -c 2M /dev/zero >"$(dirname store/layers/*/diff/big)/aside"');
    assert.equal(figures().limit, 30 * MIB);
    for (const name of ['a', 'b']) bench.ufs('mount', name, name, '--detach');
    const { used } = figures();
    assert.ok(used >= onDisk() && used < onDisk() + 2 * MIB, `${used} for ${onDisk()}`);
    bench.ufs('umount', 'a', 'b');
    await until(() => figures().used === onDisk(), 'nothing is kept for what is not mounted');
  });

  test('names what was mounted before there was a limit, and counts it when it is unmounted', async () => {
    bench.ufs('pool', 'resize', '--unlimited');
    const id = bench.ufs('mount', 'base', 'c', '--name', 'c', '--detach').trim();
    const { err } = bench.try('pool', 'resize', '40m');
    assert.match(err, new RegExp(`mounted before there was a limit, and not held to it before they are mounted again: ${id}\n`));
    fs.writeFileSync(bench.path('c/file'), Buffer.alloc(5 * MIB, 1));
    const before = figures();
    assert.deepEqual(before.uncounted, [id]);
    bench.ufs('umount', 'c');
    await until(() => figures().used === onDisk(), 'it is counted');
    assert.ok(figures().used >= before.used + 5 * MIB && figures().uncounted.length === 0);
  });

  test('layers and containers tell what they are on disk, each by itself', () => {
    const list = JSON.parse(bench.ufs('layer', 'list', '--json')) as { id: string; kind: string; transactionId: number; parent?: string }[];
    const numbers = list.map(({ transactionId }) => transactionId);
    assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b));
    assert.deepEqual(list.map(({ kind }) => kind), ['layer', 'container', 'container', 'layer', 'container']);
    assert.equal(list[1]?.parent, list[0]?.id);
    const stat = (subject: string): unknown => (JSON.parse(bench.ufs('layer', 'stat', subject, '--json')) as unknown[])[0];
    const base = list[0] as { id: string };
    assert.deepEqual(stat(base.id), { ...base, logical: 4 * MIB, mapped: 4 * MIB, inodes: 2, highest: 4 * MIB });
    bench.ufs('mount', 'c', 'c', '--detach');
    const fd = fs.openSync(bench.path('c/holes'), 'w');
    fs.writeSync(fd, 'x', 16 * MIB - 1);
    fs.closeSync(fd);
    bench.sh('mkdir c/d; mknod c/null c 1 3; chown 1 c/lower');
    assert.deepEqual(stat('c'), { ...list[4], logical: 25 * MIB, mapped: 5 * MIB + 3 * 4096, inodes: 6, highest: 16 * MIB });
    bench.ufs('umount', 'c');
    assert.match(bench.ufs('layer', 'stat', 'c', base.id), /^ID +TRANSACTION +QUOTA +LOGICAL +MAPPED +INODES +HIGHEST\n\S+ +\d+ +- +26\.2 MB +5\.3 MB +6 +16\.8 MB\n\S+ +1 +- +4\.2 MB +4\.2 MB +2 +4\.2 MB\n$/);
    assert.match(bench.ufs('layer', 'list'), /^ID +KIND +TRANSACTION +QUOTA +PARENT\n/);
    assert.match(bench.try('layer', 'stat', 'nobody').err, /Cannot find "nobody"/);
  });
});
