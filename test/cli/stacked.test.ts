import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { OverlayProgram } from '../overlay/overlay-program.ts';

// What is wrong here waits for itself, for ever: commands end after two minutes, as failures.
describe('directories that are mounted where they are', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  before(() => (bench = new Bench()));
  after(() => bench.close());

  const WORK = 'cat x/low; x/true; echo new >x/new; echo more >>x/low; sync -f x/new; rm x/gone; cat x/low';
  const SHOWN = 'low\nlow\nmore\n';
  const mount = (option: string, at: string): void => void bench.ufs('mount', '--detach', '-o', option, at);
  const remake = (): string => bench.sh('rm -rf x other; mkdir -p x/lower x/u x/w other; echo low | tee x/low >x/lower/low; echo other >other/other; cp /bin/true x; cp /bin/true x/lower; touch x/gone x/lower/gone');

  test('on the topmost of its lower directories', () => {
    remake();
    mount('lowerdir=x:other', 'x');
    assert.equal(bench.sh('cat x/low x/other; x/true; ls -R x | wc -l'), `low\nother\n${bench.sh('ls -R x | wc -l')}`);
    bench.ufs('umount', 'x');
    assert.equal(bench.sh('ls x'), 'gone\nlow\nlower\ntrue\nu\nw\n');
  });

  test('on a directory that all of them are in', () => {
    remake();
    mount('lowerdir=x/lower,upperdir=x/u,workdir=x/w', 'x');
    assert.equal(bench.sh(WORK), SHOWN);
    bench.ufs('umount', 'x');
    assert.equal(bench.sh('cd x/u; ls; cat new; stat -c "%F %t:%T" gone'), 'gone\nlow\nnew\nnew\ncharacter special file 0:0\n');
  });

  test('on its upper directory, and again where its server was killed', async () => {
    remake();
    bench.sh('mv x/lower lower; mkdir w');
    const serving = bench.start('mount', '-o', 'lowerdir=lower,upperdir=x,workdir=w', 'x');
    await until(() => mountsBelow(bench.directory).length === 1, 'it is mounted');
    assert.equal(bench.sh(WORK), SHOWN);
    serving.kill('SIGKILL');
    await serving.ended;
    mount('lowerdir=lower,upperdir=x,workdir=w', 'x');
    assert.equal(bench.sh('cat x/new x/low'), 'new\nlow\nmore\n');
    bench.ufs('umount', 'x');
  });

  test('by the mount program', async () => {
    remake();
    const program = new OverlayProgram(bench);
    program.mount('lowerdir=x:other', 'x');
    assert.equal(bench.sh('cat x/low x/other; umount x'), 'low\nother\n');
    program.mount('lowerdir=x/lower,upperdir=x/u,workdir=x/w', 'x');
    assert.equal(bench.sh(`${WORK}; umount x; cat x/u/new`), `${SHOWN}new\n`);
    await program.ended();
  });
});

describe('mounts of a store in one another, which one process serves', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh('mkdir -p rootfs/inner rootfs/tmp mnt; echo file >rootfs/file; cp /bin/true rootfs/true; tar -cf rootfs.tar -C rootfs .');
    bench.ufs('import', 'rootfs.tar', '--name', 'image');
  });
  after(() => bench.close());
  const mounts = (): string[] => mountsBelow(bench.directory).map((path) => path.slice(bench.directory.length + 1));

  test('a signal ends all of them, with no word of trouble', async () => {
    const serving = bench.start('serve');
    await until(() => existsSync(bench.path('store/control.sock')), 'it serves');
    bench.ufs('mount', 'image', 'mnt', '--name', 'outer', '--detach');
    bench.ufs('mount', 'image', 'mnt/inner', '--name', 'inner', '--detach');
    serving.kill('SIGTERM');
    const { code, err, out } = await serving.ended;
    assert.deepEqual({ code, err, mounts: mounts() }, { code: 0, err: '', mounts: [] }, out);
    assert.doesNotMatch(readFileSync(bench.path('store/ufs.log'), 'utf8'), /Cannot/);
  });

  test('each is read, run and written; archives are read and written there; the outer one is busy', () => {
    bench.ufs('mount', 'outer', 'mnt', '--detach');
    bench.ufs('mount', 'inner', 'mnt/inner', '--detach');
    bench.ufs('mount', 'image', 'mnt/inner/inner', '--name', 'innermost', '--detach');
    assert.equal(bench.sh('cd mnt/inner/inner; ./true; echo new >new; mv new ../new; ../true; cat ../new file'), 'new\nfile\n');
    bench.ufs('diff', 'inner', '-o', 'mnt/diff.tar');
    bench.ufs('import', 'mnt/diff.tar', '--parent', JSON.parse(bench.ufs('layers', 'image', '--json'))[0].id as string, '--name', 'changed');
    bench.ufs('save', 'changed', '-o', 'mnt/inner/saved.tar');
    bench.ufs('load', 'mnt/inner/saved.tar');
    assert.equal(bench.sh('tar -tf mnt/diff.tar | grep -c new'), '1\n');
    assert.match(bench.try('umount', 'inner').err, /EBUSY/);
    for (const each of ['innermost', 'inner', 'outer']) bench.ufs('umount', each);
    assert.deepEqual(mounts(), []);
  });

  test('an image whose data is in an additional store in a mount of the same process is refused; what hides a store is', () => {
    const refused = (what: string, at: string, why: RegExp): void => {
      const before = bench.ufs('containers', '--json');
      const { code, err } = bench.try('mount', what, at, '--detach');
      assert.equal(code, 1);
      assert.match(err, why);
      assert.equal(bench.ufs('containers', '--json'), before);
    };
    bench.sh('mkdir -p more elsewhere; echo other >more/other; tar -cf more.tar -C more .');
    bench.ufs('mount', 'outer', 'mnt', '--detach');
    bench.ufs('--root', bench.path('mnt/store'), 'import', 'more.tar', '--name', 'more');
    bench.ufs('stores', 'add', 'mnt/store');
    refused('more', 'elsewhere', /its data is in the store \S+\/mnt\/store, in the mount on \S+\/mnt that the same process serves/);
    // Its own store's data can be shown meanwhile.
    bench.ufs('mount', 'image', 'elsewhere', '--detach', '--rm');
    bench.ufs('umount', 'elsewhere');
    bench.ufs('umount', 'mnt');

    bench.ufs('stores', 'remove', 'mnt/store');
    bench.ufs('gc');
    bench.ufs('--root', bench.path('lent'), 'import', 'more.tar', '--name', 'more');
    bench.ufs('stores', 'add', 'lent');
    bench.ufs('mount', 'more', 'elsewhere', '--name', 'borrowing', '--detach');
    assert.equal(bench.sh('cat elsewhere/other'), 'other\n');
    refused('image', 'lent', /Cannot mount on "\S+\/lent": that would hide the store \S+\/lent,/);
    refused('image', 'store', /Cannot mount on "\S+\/store": that would hide the store \S+\/store,/);
    refused('image', '.', /Cannot mount on "\S+": that would hide the store \S+\/store,/);
    bench.ufs('umount', 'borrowing');
  });
});
