import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { needsOverlayfs, needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences } from '../helpers/tree.ts';

const skip = needsRootAndFuse;
const ignored = { ignoreXattrs: /^(security\.selinux|trusted\.overlay\.)/ };

/** Three layers with everything a layer can say; their tars, and `expected`: what GNU tar unpacks, whiteouts applied. */
function makeLayers(bench: Bench): void {
  bench.sh(`
    mkdir -p l1/dir/deep l1/gone l1/opaque l2/dir l2/opaque l3/new
    cd l1
    echo one >dir/one; echo two >dir/two; echo deep >dir/deep/file; chmod 4711 dir/two; chown 1000:1001 dir/two
    echo a >gone/a; echo hidden >opaque/hidden; ln dir/one hard; ln dir/one dir/harder; ln -s dir/one link; ln -s /nowhere dangling
    mkfifo fifo; mknod null c 1 3; truncate -s 5M sparse; echo end >>sparse; cp /bin/true program; setfattr -n user.note -v value dir/one
    touch -d '2001-02-03 04:05:06.123456789' dir/two; touch -d '1999-01-01 00:00:00.000000001' dir/deep
    chmod 1777 dir/deep; chmod 0700 opaque; printf 'latin \\351' >"$(printf 'caf\\351')"; touch "$(printf 'n%.0s' $(seq 255))"
    cd ../l2
    echo changed >dir/one2; echo replaced >dir/two; : >.wh.gone; : >opaque/.wh..wh..opq; echo shown >opaque/shown
    cd ../l3
    echo three >new/three; ln new/three new/linked; : >.wh.dangling
    cd ..
    for n in 1 2 3; do tar --numeric-owner --xattrs --xattrs-include='*' --format=posix --sort=name -cf $n.tar -C l$n .; done
    mkdir expected
    for n in 1 2 3; do
      [ $n != 2 ] || { rm -rf expected/gone; find expected/opaque -mindepth 1 -delete; }
      [ $n != 3 ] || rm expected/dangling
      tar --numeric-owner --xattrs --xattrs-include='*' --exclude='.wh.*' -pxf $n.tar -C expected
    done`);
}

function importLayers(bench: Bench, name: string): void {
  const first = bench.ufs('import', '1.tar').trim();
  const second = bench.ufs('import', '2.tar', '--parent', first).trim();
  bench.ufs('import', '3.tar', '--parent', second, '--name', name);
}

for (const passthrough of ['auto', 'never', 'always']) {
  describe(`an image of three layers, passthrough ${passthrough}`, { skip }, () => {
    let bench: Bench;
    before(() => {
      bench = new Bench();
      makeLayers(bench);
      importLayers(bench, 'three');
      mkdirSync(bench.path('mnt'));
    });
    after(() => bench.close());

    test('shows, mounted, the tree that GNU tar makes of its layers', () => {
      bench.ufs('mount', 'three', bench.path('mnt'), '--name', 'c', '--detach', '--passthrough', passthrough);
      const tree = listTree(bench.path('expected'), ignored);
      assert.ok(tree.size > 20);
      assert.deepEqual(treeDifferences(tree, listTree(bench.path('mnt'), ignored)), []);
    });

    test('says from which layer a file is', () => {
      const layers = JSON.parse(bench.ufs('layers', 'three', '--json')) as { id: string }[];
      assert.ok(layers.length === 3);
      const [first, second, third] = ['program', 'dir/one2', 'new/three'].map((path) => bench.ufs('which', bench.path('mnt', path)).trim());
      assert.ok(layers[0]?.id.includes(first as string), first);
      assert.ok(layers[1]?.id.includes(second as string), second);
      assert.ok(layers[2]?.id.includes(third as string), third);
    });

    test('takes changes, tells them, and leaves its layers as they were', () => {
      bench.sh(`cd mnt
        echo more >>dir/two; rm program; rm -r opaque; mkdir opaque; echo fresh >opaque/fresh; mv dir moved; mkdir made; echo x >made/x; ln made/x made/y
        chown 5:6 link -h; setfattr -n user.new -v 1 moved/one2; cp /bin/true made/true; ./made/true; rm hard; chmod 600 new/three; mknod made/fifo p; sync -f .`);
      assert.equal(readFileSync(bench.path('mnt/moved/two'), 'utf8'), 'replaced\nmore\n');
      const changes = bench.ufs('changes', 'c').split('\n');
      for (const line of ['D /program', 'D /dir', 'A /moved', 'A /moved/two', 'C /opaque', 'D /opaque/shown', 'A /opaque/fresh', 'A /made/x', 'D /hard', 'C /new/three', 'C /link']) assert.ok(changes.includes(line), `${line} in ${changes.join('\n')}`);
      assert.ok(!changes.some((line) => line.endsWith('/sparse')), 'an untouched file is no change');
      mkdirSync(bench.path('second'));
      bench.ufs('mount', 'three', bench.path('second'), '--read-only', '--detach');
      assert.deepEqual(treeDifferences(listTree(bench.path('expected'), ignored), listTree(bench.path('second'), ignored)), []);
      assert.throws(() => writeFileSync(bench.path('second/no'), ''), { code: 'EROFS' });
      bench.ufs('umount', bench.path('second'));
    });

    test('becomes, committed, an image with the tree that was mounted', () => {
      bench.ufs('commit', 'c', 'four');
      mkdirSync(bench.path('four'));
      bench.ufs('mount', 'four', bench.path('four'), '--read-only', '--detach');
      const tree = listTree(bench.path('mnt'), ignored);
      assert.deepEqual(treeDifferences(tree, listTree(bench.path('four'), ignored)), []);
      bench.ufs('umount', bench.path('four'));
    });

    test('has the same tree after it was unmounted and mounted again', () => {
      const tree = listTree(bench.path('mnt'), ignored);
      bench.ufs('umount', bench.path('mnt'));
      assert.deepEqual(readdirSync(bench.path('mnt')), []);
      bench.ufs('mount', 'c', bench.path('mnt'), '--detach', '--passthrough', passthrough);
      assert.deepEqual(treeDifferences(tree, listTree(bench.path('mnt'), ignored)), []);
    });

    test('its diff, imported on the same layers, gives an equal tree', () => {
      bench.ufs('diff', 'c', '-o', 'diff.tar');
      const parent = (JSON.parse(bench.ufs('layers', 'three', '--json')) as { id: string }[]).at(-1)?.id as string;
      bench.ufs('import', 'diff.tar', '--parent', parent, '--name', 'again');
      mkdirSync(bench.path('again'));
      bench.ufs('mount', 'again', bench.path('again'), '--read-only', '--detach');
      assert.deepEqual(treeDifferences(listTree(bench.path('mnt'), ignored), listTree(bench.path('again'), ignored)), []);
      bench.ufs('umount', bench.path('again'));
    });

    test('is removed without a trace', () => {
      assert.match(bench.try('rm', 'c').err, /Cannot remove the container "c": it is mounted on/);
      bench.ufs('umount', 'c');
      bench.ufs('rm', 'c', 'three', 'four', 'again');
      bench.ufs('gc');
      assert.match(bench.ufs('check'), /sound: 0 layers/);
      assert.deepEqual(mountsBelow(bench.directory), []);
    });
  });
}

describe('a mount of plain directories', { skip }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh('mkdir a b upper work mnt; echo a >a/a; echo b >b/b; echo both >a/both; echo lower >b/both');
  });
  after(() => bench.close());

  test('ends by SIGTERM, unmounted, with exit code 0', async () => {
    const mount = bench.start('mount', '-o', 'lowerdir=a:b,upperdir=upper,workdir=work', 'mnt');
    await until(() => existsSync(bench.path('mnt/a')), 'the mount');
    assert.equal(readFileSync(bench.path('mnt/both'), 'utf8'), 'both\n');
    writeFileSync(bench.path('mnt/b'), 'changed');
    mount.kill('SIGTERM');
    assert.equal((await mount.ended).code, 0);
    assert.deepEqual(mountsBelow(bench.directory), []);
    assert.equal(readFileSync(bench.path('upper/b'), 'utf8'), 'changed');
    assert.equal(readFileSync(bench.path('b/b'), 'utf8'), 'b\n');
  });

  test('replaces a mount whose server was killed', async () => {
    const mount = bench.start('mount', '-o', 'lowerdir=a:b,upperdir=upper,workdir=work', 'mnt');
    await until(() => existsSync(bench.path('mnt/a')), 'the mount');
    mount.kill('SIGKILL');
    await mount.ended;
    assert.throws(() => statSync(bench.path('mnt/a')), { code: 'ENOTCONN' });
    bench.ufs('mount', '--detach', '-o', 'lowerdir=a:b,upperdir=upper,workdir=work', 'mnt');
    assert.equal(readFileSync(bench.path('mnt/b'), 'utf8'), 'changed');
    bench.ufs('umount', 'mnt');
    assert.deepEqual(mountsBelow(bench.directory), []);
  });

  test('writes an upper directory that kernel overlayfs shows as the same tree', { skip: needsOverlayfs }, () => {
    bench.ufs('mount', '--detach', '-o', 'lowerdir=a:b,upperdir=upper,workdir=work', 'mnt');
    bench.sh('cd mnt; rm a; mkdir -p d/e; echo f >d/e/f; chmod 640 both; rm b; mkdir b; ln both linked');
    const tree = listTree(bench.path('mnt'), ignored);
    bench.ufs('umount', 'mnt');
    bench.sh('mkdir kwork; mount -t overlay overlay -o lowerdir=a:b,upperdir=upper,workdir=kwork mnt');
    try {
      assert.deepEqual(treeDifferences(tree, listTree(bench.path('mnt'), ignored)), []);
    } finally {
      bench.sh('umount mnt');
    }
  });

  test('is refused with a clear error where a lower directory is missing', () => {
    const result = bench.try('mount', '-o', 'lowerdir=nothing', 'mnt');
    assert.equal(result.code, 1);
    assert.match(result.err, /Cannot .*nothing/);
    assert.deepEqual(mountsBelow(bench.directory), []);
    assert.ok(lstatSync(bench.path('mnt')).isDirectory());
  });
});
