import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { SEEK_DATA, SEEK_HOLE } from '../../fs/host/constants.ts';
import { lseek } from '../../fs/host/file.ts';
import { Bench, until } from '../helpers/cli.ts';
import { needsOverlayfs, needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences } from '../helpers/tree.ts';

const ignored = { ignoreXattrs: /^(security\.selinux|trusted\.overlay\.)/ };
const ROOTFS = `
  mkdir -p rootfs/d/sub; printf 'data\\n%.0s' $(seq 400000) >rootfs/d/big; printf 'text\\n%.0s' $(seq 1000) >rootfs/d/sub/f; ln rootfs/d/big rootfs/hard
  cp /bin/true rootfs/program; head -c 100000 /dev/zero >rootfs/sparse; truncate -s 3000000 rootfs/sparse; echo end >>rootfs/sparse
  touch -d '2001-02-03 04:05:06.123456789' rootfs/d/big rootfs/program`;
/** Changes that need no data, through a mount on "mnt". */
const CHANGE = `cd mnt; chown -R 5:6 d program; chmod 4711 program; touch -cd 2020-01-01 sparse; mv d/sub/f moved; ln sparse d/linked; mv d e; setfattr -n user.a -v b e/big`;
const blocksBelow = (directory: string): string => `find ${directory} -type f -printf '%b\\n' | awk '{ sum += $1 } END { print sum + 0 }'`;

for (const passthrough of ['always', 'never']) {
  describe(`a container in which owners, modes, times and names were changed, passthrough ${passthrough}`, { skip: needsRootAndFuse }, () => {
    let bench: Bench;
    before(() => {
      bench = new Bench();
      bench.sh(`${ROOTFS}; mkdir mnt expected; tar --xattrs -Scf rootfs.tar -C rootfs .; tar -xpf rootfs.tar -C expected; (${CHANGE.replace('cd mnt', 'cd expected')})`);
      bench.ufs('import', 'rootfs.tar', '--name', 'image');
      bench.ufs('mount', 'image', bench.path('mnt'), '--name', 'c', '--detach', '--passthrough', passthrough);
      bench.sh(CHANGE);
    });
    after(() => bench.close());

    test('shows what a plain directory does, and has no data of its own', () => {
      const times = { ...ignored, mtime: false };
      assert.deepEqual(treeDifferences(listTree(bench.path('expected'), times), listTree(bench.path('mnt'), times)), []);
      assert.equal(bench.sh('stat -c %y mnt/e/big'), bench.sh('stat -c %y rootfs/d/big'));
      assert.ok(Number(bench.sh(blocksBelow('store/layers/*/diff'))) <= 64, 'of 5 MB nothing is copied');
      assert.ok(statSync(bench.path('mnt/e/big')).blocks >= 3900);
    });

    test('runs, reads and finds holes in what has no data of its own', () => {
      bench.sh('mnt/program; cmp mnt/moved rootfs/d/sub/f; cmp mnt/sparse rootfs/sparse');
      const fd = openSync(bench.path('mnt/sparse'), 'r');
      const hole = lseek(fd, 0, SEEK_HOLE);
      assert.ok(hole >= 100_000 && hole < 2_900_000, `the hole begins at ${hole}`);
      assert.ok(lseek(fd, hole, SEEK_DATA) > hole);
      closeSync(fd);
    });

    test('gives layers with all the data, of which the store writes none a second time', () => {
      bench.ufs('diff', 'c', '-o', 'diff.tar');
      bench.sh('mkdir out; tar --xattrs -xpf diff.tar -C out; cmp out/e/big rootfs/d/big; cmp out/moved rootfs/d/sub/f; cmp out/program rootfs/program; cmp out/sparse rootfs/sparse');
      const used = (): string => bench.sh(`find store/layers -path '*/content/*' -type f -printf '%D:%i %s\\n' | sort -u`);
      const before = used();
      bench.ufs('commit', 'c', 'committed');
      assert.equal(used(), before);
      mkdirSync(bench.path('again'));
      bench.ufs('mount', 'committed', bench.path('again'), '--read-only', '--detach');
      assert.deepEqual(treeDifferences(listTree(bench.path('mnt'), ignored), listTree(bench.path('again'), ignored)), []);
      bench.ufs('umount', bench.path('again'));
    });

    test('shows to readers what is written, by any name, and after a remount', async () => {
      const script = 'exec 3<mnt/hard; dd bs=5 count=1 status=none <&3; printf NEWS | dd of=mnt/e/big conv=notrunc seek=5 oflag=seek_bytes status=none; dd bs=5 count=1 status=none <&3; exec 3<&-';
      // The one deviation of passthrough=always: who has a lower file open goes on to see the old data.
      assert.equal(bench.sh(script), passthrough === 'always' ? 'data\ndata\n' : 'data\nNEWS\n');
      // Passed through, the name leads to the old file until the kernel was told.
      await until(() => bench.sh('head -c 9 mnt/hard') === 'data\nNEWS', 'another name of the file to show what was written');
      bench.sh('echo more >>mnt/program; printf x >mnt/moved; truncate -s 10 mnt/sparse');
      const tree = listTree(bench.path('mnt'), ignored);
      bench.ufs('umount', 'c');
      bench.ufs('mount', 'c', bench.path('mnt'), '--detach', '--passthrough', passthrough);
      assert.deepEqual(treeDifferences(tree, listTree(bench.path('mnt'), ignored)), []);
      assert.equal(bench.sh('cat mnt/moved; stat -c %s mnt/sparse mnt/e/linked; tail -c +10 mnt/e/big | cmp - <(tail -c +10 rootfs/d/big) && echo same'), 'x10\n10\nsame\n');
    });
  });
}

describe('metacopy=on for plain directories', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh(`${ROOTFS}; rm rootfs/hard; mkdir upper work kwork mnt plain plainwork`);
  });
  after(() => bench.close());

  test('writes an upper directory that kernel overlayfs with metacopy=on shows as the same tree', { skip: needsOverlayfs }, () => {
    bench.ufs('mount', '--detach', '-o', 'lowerdir=rootfs,upperdir=upper,workdir=work,metacopy=on', 'mnt');
    bench.sh(CHANGE);
    const tree = listTree(bench.path('mnt'), ignored);
    bench.ufs('umount', 'mnt');
    assert.ok(Number(bench.sh(blocksBelow('upper'))) <= 64);
    bench.sh('mount -t overlay overlay -o lowerdir=rootfs,upperdir=upper,workdir=kwork,metacopy=on,redirect_dir=on,index=on mnt');
    try {
      assert.deepEqual(treeDifferences(tree, listTree(bench.path('mnt'), ignored)), []);
      bench.sh('echo more >>mnt/e/big; chmod 600 mnt/moved');
    } finally {
      bench.sh('umount mnt');
    }
  });

  test('reads what kernel overlayfs went on to write in it', { skip: needsOverlayfs }, () => {
    bench.ufs('mount', '--detach', '-o', 'lowerdir=rootfs,upperdir=upper,workdir=work', 'mnt');
    assert.equal(bench.sh('tail -c 5 mnt/e/big; stat -c %a mnt/moved; cmp mnt/moved rootfs/d/sub/f && echo same'), 'more\n600\nsame\n');
    bench.ufs('umount', 'mnt');
  });

  test('is off unless asked for: other tools would see empty files', () => {
    bench.ufs('mount', '--detach', '-o', 'lowerdir=rootfs,upperdir=plain,workdir=plainwork', 'mnt');
    bench.sh('chown 5:6 mnt/d/big');
    bench.ufs('umount', 'mnt');
    bench.sh('cmp plain/d/big rootfs/d/big');
  });
});
