import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Bench } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';

/** The command line of what engines do with layers: clone, remap, cat, usage. */
describe('containers', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh('mkdir -p tree/etc mnt; echo one >tree/etc/one; chown 5:6 tree/etc/one; head -c 70000 /dev/zero >tree/zeros; ln -s one tree/etc/link; tar -cf tree.tar -C tree .');
    bench.ufs('import', 'tree.tar', '--name', 'base');
    bench.ufs('mount', 'base', 'mnt', '--name', 'work', '--detach');
    bench.sh('echo written >mnt/etc/new; echo more >>mnt/etc/one; rm mnt/zeros');
  });
  after(() => bench.close());
  const fails = (code: number, ...argv: string[]): string => {
    const result = bench.try(...argv);
    assert.equal(result.code, code, argv.join(' '));
    return result.err;
  };

  test('are looked into without a mount of them', () => {
    assert.equal(bench.ufs('cat', 'work', 'etc/one', '/etc/new'), 'one\nmore\nwritten\n', 'also of one that is mounted');
    assert.equal(bench.ufs('cat', 'base', '/etc/one'), 'one\n');
    assert.equal(bench.ufs('cat', '--changed', 'work', '/etc/one'), 'one\nmore\n');
    assert.match(fails(1, 'cat', '--changed', 'base', '/etc/missing'), /Cannot get "\/etc\/missing": there is no such file/);
    assert.match(fails(1, 'cat', 'work', '/zeros'), /there is no such file/);
    assert.match(fails(1, 'cat', 'work', '/etc/link'), /it is not a regular file/);
    bench.ufs('create', 'base', '--name', 'fresh');
    assert.match(fails(1, 'cat', '--changed', 'fresh', '/etc/one'), /it isn't changed here/);
    assert.equal(bench.ufs('usage', 'fresh'), '0 bytes (0 B) in 1 inode\n');
    assert.deepEqual(JSON.parse(bench.ufs('usage', 'work', '--json')), { size: 17, inodeCount: 5 });
    assert.deepEqual(JSON.parse(bench.ufs('usage', 'base', '--json')), { size: 70007, inodeCount: 5 });
  });

  test('are cloned while they are mounted, and go their own ways', () => {
    const id = bench.ufs('clone', 'work', '--name', 'copy').trim();
    bench.sh('echo later >mnt/etc/new');
    assert.equal(bench.ufs('cat', id, 'etc/new', 'etc/one'), 'written\none\nmore\n');
    assert.equal(bench.ufs('export', 'copy').includes('zeros'), false);
    assert.equal(bench.ufs('changes', 'copy'), '');
    assert.equal(JSON.parse(bench.ufs('inspect', 'copy')).image, JSON.parse(bench.ufs('inspect', 'work')).image);
    assert.match(fails(1, 'clone', 'work', '--name', 'copy'), /there is one of that name/);
    assert.equal(typeof JSON.parse(bench.ufs('clone', 'copy', '--json')).id, 'string');
  });

  test('get other owners at once, or stay as they are', () => {
    assert.match(fails(1, 'remap', 'work', '--to', '0:100000:65536'), /it is mounted on/);
    bench.ufs('umount', 'work');
    const owners = (): string => {
      bench.ufs('mount', 'work', 'mnt', '--detach');
      const told = bench.sh('stat -c "%u:%g %n" mnt mnt/etc/* | sort');
      bench.ufs('umount', 'mnt');
      return told;
    };
    const before = owners();
    assert.match(fails(1, 'remap', 'work', '--to', '0:100000:5'), /of "\/etc\/one", the user 5 inside isn't mapped/);
    assert.match(fails(1, 'remap', 'work', '--from', '0:100000:65536'), /isn't mapped/);
    for (const bad of ['0:1', '0:1:0', 'a:b:c', '0:4294967295:2']) assert.match(fails(2, 'remap', 'work', '--to', bad), /as a range of ids/);
    assert.equal(bench.try('remap', 'work').code, 2);
    assert.equal(owners(), before);
    bench.ufs('remap', 'work', '--to', '0:100000:65536', '--to-gid', '0:200000:3', '--to-gid', '6:300006:1');
    assert.equal(owners(), '100000:200000 mnt\n100000:200000 mnt/etc/link\n100000:200000 mnt/etc/new\n100005:300006 mnt/etc/one\n');
    bench.ufs('remap', 'work', '--from', '0:100000:65536', '--from-gid', '0:200000:3', '--from-gid', '6:300006:1');
    assert.equal(owners(), before);
    assert.equal(bench.ufs('cat', 'work', 'etc/new'), 'later\n');
    bench.ufs('commit', 'work', 'derived');
    assert.match(bench.ufs('check'), /is sound/);
    bench.ufs('gc');
    assert.equal(bench.ufs('export', 'derived').includes('later'), true);
  });

  test('get other owners where there is no room for their data once more', () => {
    bench.sh('mkdir tiny; mount -t tmpfs -o size=24m tmpfs tiny; head -c 14000000 /dev/urandom >tree/big; tar -cf big.tar -C tree big');
    const tiny = (...argv: string[]): string => bench.ufs('--root', bench.path('tiny/store'), ...argv);
    tiny('import', 'big.tar', '--name', 'big');
    tiny('create', 'big', '--name', 'work');
    tiny('remap', 'work', '--to', '0:100000:65536');
    assert.match(tiny('check'), /is sound/);
    bench.sh('umount tiny');
  });
});
