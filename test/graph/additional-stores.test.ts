import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, MAIN, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences } from '../helpers/tree.ts';

interface Listed {
  names: string[];
  size: number;
  store?: string;
}

/** A store another host fills, here through a mount that can't be written to, and two stores of one's own that have it as additional store. */
describe('an additional store', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  let untouched: ReturnType<typeof listTree>;
  const on = (store: string, ...argv: string[]): string => bench.ufs('--root', bench.path(store), ...argv);
  const fails = (store: string, ...argv: string[]): string => {
    const { code, out, err } = bench.try('--root', bench.path(store), ...argv);
    assert.equal(code, 1, argv.join(' '));
    return out + err;
  };
  const bytesOf = (store: string): number => (JSON.parse(on(store, 'status', '--json')) as { contentBytes: number }).contentBytes;

  before(() => {
    bench = new Bench();
    bench.sh(`
      mkdir -p base/etc base/bin base/deep/er top/etc top/bin mnt1 mnt2 ro elsewhere
      head -c 2000000 /dev/urandom >base/big; cp /bin/true base/bin/true; chmod 4755 base/bin/true; chown 1:2 base/bin; setfattr -n user.note -v x base/big
      echo one >base/etc/one; ln base/etc/one base/deep/er/link; ln -s one base/etc/symbolic; mkfifo base/deep/fifo; mknod base/deep/null c 1 3
      echo two >top/etc/two; ln top/etc/two top/bin/two; touch top/etc/.wh.symbolic; touch -d @1700000000 top/etc
      tar --xattrs -cf base.tar -C base .; tar -cf top.tar -C top .`);
    on('shared', 'import', 'base.tar', '--name', 'base');
    on('shared', 'import', 'top.tar', '--parent', 'base', '--name', 'app');
    // What the image shows, as tar and rm make it.
    bench.sh('mkdir tree; tar --xattrs -xpf base.tar -C tree; rm tree/etc/symbolic; tar -xpf top.tar -C tree --exclude .wh.symbolic; touch -r top/etc tree/etc');
    untouched = listTree(bench.path('shared'));
    bench.sh('mount --bind shared ro; mount -o remount,bind,ro ro');
    assert.throws(() => writeFileSync(bench.path('ro/x'), ''), { code: 'EROFS' });
    for (const store of ['one', 'two']) on(store, 'stores', 'add', 'ro');
  });
  after(() => bench.close());

  test('shows its images after the own ones, with all that can be asked of an image', () => {
    bench.sh('mkdir own; echo own >own/own; tar -cf own.tar -C own .');
    on('one', 'import', 'own.tar', '--name', 'base');
    const images = JSON.parse(on('one', 'images', '--json')) as Listed[];
    assert.deepEqual(images.map(({ names, store }) => [names, store]), [[['docker.io/library/base:latest'], undefined], [[], bench.path('ro')], [['docker.io/library/app:latest'], bench.path('ro')]]);
    assert.equal(on('one', 'export', 'base'), on('one', 'export', JSON.parse(on('one', 'layers', 'base', '--json'))[0].id), 'an own name wins');
    for (const argv of [['changes', 'app'], ['size', 'app'], ['diff', 'app'], ['export', 'app'], ['save', 'app']]) assert.equal(on('one', ...argv), on('shared', ...argv), argv.join(' '));
    const described = JSON.parse(on('two', 'inspect', 'app')) as { layers: string[]; store: string };
    assert.equal(described.store, bench.path('ro'));
    assert.match(on('two', 'inspect', described.layers[1] as string), /"kind": "layer"/);
    assert.equal(bytesOf('two'), 0);
  });

  test('two stores mount an image of it at once, work in it and make images on it, without its data being copied', () => {
    for (const [store, mount] of [['one', 'mnt1'], ['two', 'mnt2']] as const) on(store, 'mount', 'app', mount, '--name', 'work', '--detach');
    for (const mount of ['mnt1', 'mnt2']) assert.deepEqual(treeDifferences(listTree(bench.path('tree')), listTree(bench.path(mount))), []);
    const layers = JSON.parse(on('two', 'inspect', 'app')) as { layers: [string, string] };
    assert.equal(on('two', 'which', 'mnt2/big').trim(), layers.layers[0].slice(7, 19));
    bench.sh('echo 1 >mnt1/of-one; echo changed >mnt2/etc/one; chown -R 5:5 mnt2/deep; ln mnt2/etc/two mnt2/etc/third');
    assert.equal(bench.sh('cat mnt2/deep/er/link mnt1/deep/er/link'), 'changed\none\n');
    for (const store of ['one', 'two']) on(store, 'commit', 'work', 'derived');
    assert.ok(bytesOf('two') < 1000, 'what was written, and nothing else');
    bench.sh('umount mnt1 mnt2');
    on('two', 'mount', 'derived', 'mnt2', '--read-only', '--detach');
    assert.equal(bench.sh('cat mnt2/deep/er/link; stat -c %u mnt2/deep/er/link; stat -c "%a %h" mnt2/bin/true mnt2/etc/third'), 'changed\n5\n4755 1\n644 3\n');
    bench.sh('umount mnt2');
    for (const store of ['one', 'two']) assert.match(on(store, 'check'), /is sound/);
  });

  test('an image on it is saved whole, and its index is made anew', async () => {
    on('two', 'save', 'derived', '-o', 'derived.tar');
    await until(() => !('servedBy' in (JSON.parse(on('two', 'status', '--json')) as object)), 'the end of the serving process');
    assert.match(on('two', 'check', '--rebuild'), /is sound/);
    on('third', 'load', 'derived.tar');
    assert.equal(on('third', 'export', 'derived'), on('two', 'export', 'derived'));
  });

  test('its images can\'t be removed, and what was borrowed goes with gc', () => {
    assert.match(fails('two', 'rm', 'app'), /Cannot remove the image .*: it is in the additional store .*, which is only read/);
    const layers = (): string[] => (JSON.parse(on('two', 'layers', '--json')) as { id: string }[]).map(({ id }) => id);
    assert.equal(layers().length, 3);
    const own = bytesOf('two');
    on('two', 'rm', 'derived', 'work');
    assert.equal((JSON.parse(on('two', 'gc', '--json')) as { bytes: number }).bytes, own, 'what was freed is what was this store\'s');
    assert.deepEqual(layers(), []);
    assert.equal(on('two', 'changes', 'app'), on('shared', 'changes', 'app'), 'and is borrowed again where it is needed');
  });

  test('isn\'t changed by any of that, nor where it could be written to, and may be in use by its owner', async () => {
    // A hard link to a file of the lower layer: within a store its data would be linked to.
    bench.sh('mkdir -p linking/etc; echo x >linking/etc/one; ln linking/etc/one linking/etc/hard; tar -cf linking.tar -C linking etc/one etc/hard; tar --delete -f linking.tar etc/one');
    on('direct', 'stores', 'add', 'shared');
    on('direct', 'import', 'linking.tar', '--parent', 'base', '--name', 'linking');
    assert.match(on('direct', 'export', 'linking'), /etc\/hard/);
    assert.deepEqual(treeDifferences(untouched, listTree(bench.path('shared'))).filter((line) => !/^(\.|index|lock|control|ufs\.log)/.test(line)), []);
    const owner = bench.start('--root', bench.path('shared'), 'mount', 'base', 'mnt1');
    await until(() => existsSync(bench.path('mnt1/big')), 'the owner\'s mount');
    on('two', 'mount', 'app', 'mnt2', '--rm', '--detach');
    on('shared', 'import', 'own.tar', '--name', 'late');
    assert.equal(on('two', 'export', 'late'), on('shared', 'export', 'late'), 'what its owner adds is there at once');
    bench.sh('cmp mnt1/big mnt2/big; umount mnt2');
    owner.kill('SIGINT');
    await owner.ended;
  });

  test('is used where the own store has a part of an image, and where another store has borrowed it', () => {
    on('partly', 'import', 'base.tar');
    on('partly', 'stores', 'add', 'ro');
    on('partly', 'create', 'app', '--name', 'work');
    assert.deepEqual((JSON.parse(on('partly', 'stores', '--json')) as { borrowed: number }[]).map(({ borrowed }) => borrowed), [1]);
    assert.equal(on('partly', 'export', 'work'), on('shared', 'export', 'app'));
    on('partly', 'gc');
    assert.match(on('partly', 'check'), /is sound: 2 layers/);

    on('last', 'stores', 'add', 'one');
    assert.equal(on('last', 'export', 'derived'), on('one', 'export', 'derived'));
    on('last', 'create', 'derived');
    assert.match(on('last', 'check'), /is sound: 3 layers/);
    const homes = bench.sh('readlink last/layers/*/content').trim().split('\n').map((path) => path.slice(bench.directory.length + 1).split('/')[0]);
    assert.deepEqual(homes, ['ro', 'ro', 'one'], 'data is looked for where it is');
  });

  test('that one may not read is told to be so', () => {
    bench.sh('mkdir -m 700 theirs; chown 1234 theirs');
    const { code, err } = bench.run('setpriv', ['--bounding-set=-dac_override,-dac_read_search', process.execPath, MAIN, '--root', bench.store, 'stores', 'add', 'theirs/store']);
    assert.equal(code, 1);
    assert.match(err, /Cannot read the store .*theirs\/store: EACCES/);
  });

  test('is followed to where it is mounted now', () => {
    bench.sh('mount --move ro elsewhere 2>/dev/null || { umount ro; mount --bind shared elsewhere; }');
    assert.match(fails('one', 'export', 'derived'), /content/);
    assert.match(on('one', 'stores'), /ro .*there is none/);
    on('one', 'stores', 'remove', 'ro');
    on('one', 'stores', 'add', 'elsewhere');
    assert.match(on('one', 'export', 'derived'), /of-one/);
    assert.match(on('one', 'check'), /is sound/);
  });

  test('that is missing, unsafe or no store is refused, or told where it is needed', () => {
    assert.match(fails('one', 'stores', 'add', 'nowhere'), /Cannot read the store .*nowhere: no such directory/);
    assert.match(fails('one', 'stores', 'add', 'own'), /own: there is none/);
    assert.equal(bench.try('--root', bench.path('one'), 'stores', 'add', 'one').code, 2);
    assert.match(fails('one', 'stores', 'remove', 'nowhere'), /there is none of that path/);
    assert.match(fails('two', 'mount', 'app', 'mnt2'), /Cannot find "app".*could not be consulted: .*ro: there is none/);
    assert.match(bench.try('--root', bench.path('two'), 'images').err, /could not be consulted: .*ro: there is none/);
    assert.match(fails('two', 'check'), /its data is missing, which was in the additional store/);
    bench.sh('umount elsewhere');
    chmodSync(bench.path('shared'), 0o777);
    assert.match(fails('two', 'stores', 'add', 'shared'), /others may write to it/);
    chmodSync(bench.path('shared'), 0o700);
    const file = bench.path('shared/store.json');
    const text = readFileSync(file);
    writeFileSync(file, '{"format":99}');
    assert.match(fails('two', 'stores', 'add', 'shared'), /its format is 99/);
    writeFileSync(file, text);
  });

  test('whose content was damaged gives errors that say where', () => {
    on('two', 'stores', 'add', 'shared');
    const content = bench.sh('find shared/layers -size +1000k -path "*/content/*"').trim();
    renameSync(bench.path(content), bench.path('aside'));
    assert.match(fails('two', 'export', 'base'), new RegExp(`content.*${content.split('/').at(-1)}`));
    assert.match(fails('two', 'check'), new RegExp(`${content.split('/').at(-1)} is missing`));
    renameSync(bench.path('aside'), bench.path(content));
    const manifests = bench.sh('ls shared/layers/*/manifest.json').trim().split('\n');
    writeFileSync(bench.path(manifests[0] as string), '{}');
    on('fourth', 'stores', 'add', 'shared');
    assert.match(fails('fourth', 'export', 'app'), /Cannot find layer [0-9a-f]+, which is below|manifest/);
  });
});
