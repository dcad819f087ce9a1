import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ServedDriver } from '../e2e/served-driver.ts';
import { PluginClient } from '../docker/client.ts';
import { Bench, MAIN, mountsBelow, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences, type TreeListing } from '../helpers/tree.ts';

const MIB = 1 << 20;

interface Told {
  name: string;
  created: string;
  options: { from?: string; size?: number; labels?: Record<string, string> };
  layer?: string;
  mountpoint?: string;
  holders: { holder: string; count: number }[];
  used: { bytes: number; inodes: number };
  upper: string;
}

/** `ufs volume …`, with and without `ufs serve`, and what its options do to what Docker is given. */
describe('volumes', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh('mkdir -p tree/etc tree/sub mnt; echo one >tree/etc/one; head -c 2M /dev/urandom >tree/big; chown 5:6 tree/etc/one; chmod 1750 tree; chown 7:8 tree; tar -cf tree.tar -C tree .');
    bench.ufs('import', 'tree.tar', '--name', 'base');
  });
  after(async () => {
    client?.close();
    await served?.stop();
    bench.close();
  });
  let served: ServedDriver | undefined;
  let client: PluginClient | undefined;
  const fails = (code: number, ...argv: string[]): string => {
    const result = bench.try(...argv);
    assert.equal(result.code, code, `${argv.join(' ')}: ${result.out}${result.err}`);
    return result.err;
  };
  const told = (name: string): Told => (JSON.parse(bench.ufs('volume', 'inspect', name)) as [Told])[0];
  const names = (...argv: string[]): string[] => (JSON.parse(bench.ufs('volume', 'ls', '--json', ...argv)) as Told[]).map(({ name }) => name);
  const stored = (): number => (JSON.parse(bench.ufs('status', '--json')) as { contentBytes: number }).contentBytes;

  /** Has `ufs serve`, which goes on from then on, mount volumes as Docker would ask it to, while `use` works in them. */
  async function mounted<T>(volumes: string[], use: (...paths: string[]) => T | Promise<T>): Promise<T> {
    served ??= await ServedDriver.start(bench);
    const docker = (client ??= new PluginClient(served.socket));
    const call = async (method: string, Name: string): Promise<string> => {
      const { Err, Mountpoint } = JSON.parse((await docker.post(`/VolumeDriver.${method}`, Buffer.from(JSON.stringify({ Name, ID: 'test' })))).body.toString()) as { Err: string; Mountpoint: string };
      if (Err !== '') throw new Error(Err);
      return Mountpoint;
    };
    const had: string[] = [];
    try {
      const paths: string[] = [];
      for (const volume of volumes) {
        paths.push(await call('Mount', volume));
        had.push(volume);
      }
      return await use(...paths);
    } finally {
      for (const volume of had) await call('Unmount', volume);
    }
  }

  test('are made, listed, told of and removed, and made once more only with the same options', () => {
    assert.equal(bench.ufs('volume', 'create', 'data', '-o', 'label.app=db', '-o', 'size=64m'), 'data\n');
    assert.equal(bench.ufs('volume', 'create', 'data', '--opt', 'size=64m', '--opt', 'label.app=db'), 'data\n');
    assert.match(fails(1, 'volume', 'create', 'data'), /Cannot create volume "data": there is one of that name with other options: size is "67108864", label\.app is "db"/);
    const made = JSON.parse(bench.ufs('volume', 'create', 'other', '--json')) as Told;
    assert.deepEqual([made.name, made.options], ['other', {}]);
    assert.deepEqual(names(), ['data', 'other']);
    assert.deepEqual([names('--filter', 'label=app'), names('--filter', 'label=app=web'), names('--filter', 'label=app=db')], [['data'], [], ['data']]);
    assert.match(bench.ufs('volume', 'ls'), /^NAME +FROM +LIMIT +HOLDERS +CREATED +MOUNTED\ndata +- +67\.1 MB +0 +.* ago +-\nother +- +- +0 +/);
    const { options, created, used } = told('data');
    assert.deepEqual([options, used], [{ size: 64 * MIB, labels: { app: 'db' } }, { bytes: 4096, inodes: 0 }]);
    assert.ok(Date.now() - Date.parse(created) < 600_000);
    assert.match(fails(1, 'rm', 'volume:data'), /it belongs to the engine that made it/);
    assert.equal(bench.ufs('volume', 'rm', 'data', 'other'), 'data\nother\n');
    assert.match(fails(1, 'volume', 'rm', 'data'), /Cannot find volume "data"/);
    assert.deepEqual(names(), []);
  });

  test('with names or options that are none are refused, saying what there is', () => {
    for (const name of ['x', '../x']) assert.match(fails(2, 'volume', 'create', name), /Cannot call a volume/);
    assert.match(fails(2, 'volume', 'create', 'vol', '-o', 'sise=1m'), /unknown option "sise"; there are from, size, inodes, ro, uid, gid, mode, uidmap, gidmap and label\.KEY/);
    assert.match(fails(2, 'volume', 'create', 'vol', '-o', 'size=big'), /Cannot make volume "vol": option size: Cannot use "big" as a size/);
    for (const missing of ['container:none', 'none']) assert.match(fails(1, 'volume', 'create', 'vol', '-o', `from=${missing}`), /Cannot find.*"none"/, missing);
    assert.match(fails(1, 'volume', 'create', 'vol', '-o', `from=${bench.path('tree/etc/one')}`), /Cannot make a volume of the tar/);
    assert.deepEqual(names(), []);
    for (const { name, options } of [{ name: 'create', options: /from: what it begins with: image:NAME.*\n.*size: / }, { name: 'rm', options: /--force/ }]) assert.match(bench.ufs('volume', name, '--help'), options);
  });

  test('from an image, a layer, a container, a volume and a tar have their content, and store only what is changed', async () => {
    const [{ id: layer }] = JSON.parse(bench.ufs('layers', '--json')) as [{ id: string }];
    bench.ufs('mount', 'base', 'mnt', '--name', 'work', '--detach');
    bench.sh('echo changed >mnt/etc/one; rm mnt/big; head -c 1M /dev/urandom >mnt/more');
    bench.ufs('volume', 'create', 'container', '-o', 'from=container:work');
    bench.ufs('umount', 'work');
    const before = stored();
    for (const [name, from] of [['image', 'base'], ['layer', `layer:${layer.slice(0, 20)}`], ['tar', bench.path('tree.tar')]] as const) bench.ufs('volume', 'create', name, '-o', `from=${from}`);
    assert.equal(stored(), before, 'what there is already is shared');
    assert.deepEqual(['image', 'layer', 'tar'].map((name) => told(name).layer), [layer, layer, layer]);
    assert.deepEqual([told('image').options.from, told('tar').options.from], ['image:base', `tar:${bench.path('tree.tar')}`]);
    bench.ufs('volume', 'create', 'image', '-o', 'from=image:base');
    assert.match(fails(1, 'volume', 'create', 'image', '-o', 'from=layer:base'), /from is "image:base"/);
    await mounted(['image', 'layer', 'tar', 'container'], (image, ofLayer, tar, container) => {
      for (const path of [image, ofLayer, tar]) {
        const { mode, uid, gid } = fs.statSync(path);
        assert.deepEqual([fs.readFileSync(`${path}/etc/one`, 'utf8'), mode & 0o7777, uid, gid], ['one\n', 0o1750, 7, 8]);
      }
      assert.deepEqual([fs.readdirSync(container).sort(), fs.readFileSync(`${container}/etc/one`, 'utf8')], [['etc', 'more', 'sub'], 'changed\n']);
      fs.appendFileSync(`${image}/etc/one`, 'more\n');
      fs.rmSync(`${image}/big`);
    });
    assert.equal(bench.ufs('cat', 'base', 'etc/one'), 'one\n');
    assert.ok(told('image').used.bytes < 100_000, JSON.stringify(told('image').used));
    assert.equal(bench.ufs('volume', 'snapshot', 'image', 'snap'), 'snap\n');
    bench.ufs('volume', 'create', 'bare', '-o', 'from=snap');
    assert.deepEqual([told('bare').options.from, told('snap').options.from], ['volume:snap', 'volume:image']);
    assert.match(fails(1, 'volume', 'snapshot', 'image', 'snap'), /there is one of that name/);
    bench.ufs('import', 'tree.tar', '--name', 'snap');
    assert.match(fails(1, 'volume', 'create', 'unclear', '-o', 'from=snap'), /there is an image and a volume of that name; write image:snap or volume:snap/);
    await mounted(['bare', 'image'], (snap, image) => {
      fs.writeFileSync(`${image}/etc/one`, 'later');
      assert.deepEqual([fs.readdirSync(snap).sort(), fs.readFileSync(`${snap}/etc/one`, 'utf8'), fs.statSync(`${snap}/etc/one`).uid], [['etc', 'sub'], 'one\nmore\n', 5]);
    });
    bench.ufs('volume', 'rm', ...names());
    assert.deepEqual((JSON.parse(bench.ufs('layers', '--json')) as { id: string }[]).map(({ id }) => id), [layer], 'what was made for them goes with them');
    bench.ufs('rm', 'work', 'snap');
  });

  /** A tree but for the root's time, which is that of its last change. */
  const withoutRoot = (path: string): TreeListing => new Map([...listTree(path)].filter(([at]) => at !== '.'));

  test('that aren\'t mounted are copied without a layer, with all attributes, and go their own ways', async () => {
    const layers = bench.ufs('layers', '--json');
    bench.ufs('volume', 'create', 'first', '-o', 'from=image:base');
    await mounted(['first'], (first) => bench.sh(`cd ${first}; mv sub moved; echo x >moved/x; ln moved/x hard; ln -s x soft; rm big; chown 3:4 etc; setfacl -m u:9:rwx,d:u:9:rx .; setfattr -n user.note -v value .; chmod g+s .; mkfifo fifo`));
    for (const name of ['second', 'third']) bench.ufs('volume', 'snapshot', 'first', name);
    assert.match(bench.ufs('check'), /is sound/);
    assert.equal(bench.ufs('layers', '--json'), layers);
    await mounted(['first', 'second'], (first, second) => {
      const tree = listTree(first);
      assert.deepEqual(treeDifferences(tree, listTree(second)), []);
      bench.sh(`cd ${first}; echo more >>hard; mv moved again; echo y >again/y; rm -r etc; mkdir etc; setfattr -x user.note .`);
      assert.deepEqual(treeDifferences(tree, listTree(second)), []);
      assert.deepEqual([fs.readdirSync(`${first}/again`).sort(), fs.readdirSync(`${first}/etc`), fs.readFileSync(`${first}/again/x`, 'utf8')], [['x', 'y'], [], 'x\nmore\n']);
      bench.ufs('volume', 'snapshot', 'first', 'fourth');
      fs.writeFileSync(`${first}/late`, '');
    });
    bench.ufs('volume', 'snapshot', 'fourth', 'fifth');
    await mounted(['first', 'third', 'fifth'], (first, third, fifth) => {
      assert.equal(fs.readFileSync(`${third}/hard`, 'utf8'), 'x\n');
      fs.rmSync(`${first}/late`);
      assert.deepEqual(treeDifferences(withoutRoot(first), withoutRoot(fifth)), []);
    });
    bench.ufs('volume', 'rm', 'second', 'first', 'fourth', 'fifth', 'third');
    assert.deepEqual([bench.ufs('layers', '--json'), (JSON.parse(bench.ufs('containers', '--json')) as { id: string }[]).filter(({ id }) => id.startsWith('volume'))], [layers, []]);
  });

  test('are snapshots of what was written so far while they are used', async () => {
    bench.ufs('volume', 'create', 'live', '-o', 'from=image:base');
    await mounted(['live'], (live) => {
      fs.writeFileSync(`${live}/written`, 'before');
      bench.ufs('volume', 'snapshot', 'live', 'then', '-o', 'label.of=live');
      fs.writeFileSync(`${live}/written`, 'after');
    });
    bench.ufs('volume', 'export', 'then', '-o', 'then.tar');
    assert.equal(bench.sh('tar -xOf then.tar written'), 'before');
    bench.ufs('volume', 'rm', 'live');
    assert.equal(bench.sh(`tar -tf then.tar | sort | tr '\\n' ' '`), './ big etc/ etc/one sub/ written ');
    bench.ufs('volume', 'rm', 'then');
  });

  test('go out and come in as tars', () => {
    bench.ufs('volume', 'import', 'in', 'tree.tar', '-o', 'size=1m');
    bench.sh('cat tree.tar | gzip >tree.tar.gz');
    const piped = bench.run(process.execPath, [MAIN, '--root', bench.store, 'volume', 'import', 'piped'], fs.readFileSync(bench.path('tree.tar.gz')));
    assert.deepEqual([piped.code, piped.out], [0, 'piped\n'], piped.err);
    for (const name of ['in', 'piped']) {
      bench.ufs('volume', 'export', name, '-o', `${name}.tar`);
      bench.sh(`mkdir ${name}; tar -xpf ${name}.tar --numeric-owner -C ${name}; diff -r tree ${name}; test "$(stat -c %a.%u.%g ${name})" = 1750.7.8; test "$(stat -c %u.%g ${name}/etc/one)" = 5.6`);
    }
    assert.match(fails(1, 'volume', 'import', 'in', 'tree.tar'), /there is one of that name/);
    assert.match(fails(1, 'volume', 'export', 'missing', '-o', 'missing.tar'), /Cannot find volume "missing"/);
    assert.equal(fs.existsSync(bench.path('missing.tar')), false);
    bench.ufs('volume', 'rm', 'in', 'piped');
  });

  test('are as their options say: owner and mode, read-only, owners shown as others', async () => {
    bench.ufs('volume', 'create', 'owned', '-o', 'uid=1000', '-o', 'gid=1001', '-o', 'mode=2770');
    bench.ufs('volume', 'create', 'fixed', '-o', 'from=image:base', '-o', 'ro', '-o', 'uid=9');
    bench.ufs('volume', 'create', 'mapped', '-o', 'from=image:base', '-o', 'uidmap=0:100000:65536', '-o', 'gidmap=0:200000:65536');
    await mounted(['owned', 'fixed', 'mapped'], (owned, fixed, mapped) => {
      const of = (path: string): [string, number, number] => {
        const { mode, uid, gid } = fs.statSync(path);
        return [(mode & 0o7777).toString(8), uid, gid];
      };
      assert.deepEqual([of(owned), of(fixed), of(mapped), of(`${mapped}/etc/one`)], [['2770', 1000, 1001], ['1750', 9, 8], ['1750', 100007, 200008], ['644', 100005, 200006]]);
      assert.throws(() => fs.writeFileSync(`${fixed}/new`, ''), { code: 'EROFS' });
      assert.equal(fs.readFileSync(`${fixed}/etc/one`, 'utf8'), 'one\n');
      fs.chownSync(`${mapped}/etc/one`, 100001, 200002);
    });
    bench.ufs('volume', 'create', 'kept', '-o', 'from=volume:mapped');
    await mounted(['kept'], (kept) => assert.deepEqual([fs.statSync(`${kept}/etc/one`).uid, fs.statSync(`${kept}/etc/one`).gid], [1, 2]));
    bench.ufs('volume', 'rm', 'owned', 'fixed', 'mapped', 'kept');
  });

  test('take no more than their limits, which change while they are used', async () => {
    bench.ufs('volume', 'create', 'small', '-o', 'from=image:base', '-o', 'size=1m', '-o', 'inodes=5');
    bench.ufs('volume', 'create', 'unlimited');
    await mounted(['small', 'unlimited'], async (small) => {
      const write = (name: string, size: number): void => fs.writeFileSync(`${small}/${name}`, Buffer.alloc(size, 1));
      const { bsize, blocks, files } = fs.statfsSync(small);
      assert.deepEqual([bsize * blocks, files], [MIB, 5]);
      assert.throws(() => write('a', 2 * MIB), { code: 'ENOSPC' });
      assert.throws(() => fs.appendFileSync(`${small}/big`, 'x'), { code: 'ENOSPC' }, 'its data would have to be copied');
      fs.rmSync(`${small}/a`);
      assert.match(bench.ufs('volume', 'resize', 'small', '6m'), /^Volume small has 6\.291MB, 5 inodes\n$/);
      write('a', 2 * MIB);
      fs.appendFileSync(`${small}/big`, 'x');
      for (const name of ['b', 'c', 'd']) write(name, 1);
      for (const make of [() => write('e', 0), () => fs.mkdirSync(`${small}/e`), () => fs.symlinkSync('b', `${small}/e`), () => fs.appendFileSync(`${small}/etc/one`, 'x')]) assert.throws(make, { code: 'ENOSPC' });
      fs.linkSync(`${small}/b`, `${small}/another`);
      fs.rmSync(`${small}/c`);
      await until(() => fs.statfsSync(small).ffree === 1, 'the kernel has told that it was closed');
      write('e', 1);
      assert.match(fails(2, 'volume', 'resize', 'small', '2m'), /Cannot resize volume "small" to 2\.097MB: 4\.\d+MB are used/);
      assert.match(fails(2, 'volume', 'resize', 'small', '--inodes', '4'), /it has 5/);
      assert.match(bench.ufs('volume', 'resize', 'small', '--inodes', '6'), /6\.291MB, 6 inodes/);
      write('f', 1);
      assert.throws(() => write('g', 1), { code: 'ENOSPC' });
      assert.match(bench.ufs('volume', 'resize', 'small', '--unlimited'), /no limit/);
      write('g', 8 * MIB);
      bench.ufs('volume', 'resize', 'small', '13m');
      assert.throws(() => write('h', 2 * MIB), { code: 'ENOSPC' });
      assert.match(bench.try('volume', 'resize', 'unlimited', '1m').err, /was mounted before it had a limit/);
    });
    for (const argv of [['small'], ['small', '0'], ['small', '--inodes', '0']]) fails(2, 'volume', 'resize', ...argv);
    assert.equal(told('small').options.size, 13 * MIB);
    await mounted(['unlimited'], (path) => assert.throws(() => fs.writeFileSync(`${path}/big`, Buffer.alloc(2 * MIB)), { code: 'ENOSPC' }));
    bench.ufs('volume', 'rm', 'small', 'unlimited');
  });

  test('that are used stay, and prune takes those that nobody has', async () => {
    const anonymous = ['a', 'b'].map((digit) => digit.repeat(64)) as [string, string];
    for (const name of [...anonymous, 'named']) bench.ufs('volume', 'create', name, '-o', `label.of=${name.slice(0, 1)}`);
    await mounted([anonymous[0]], (path) => {
      assert.deepEqual(mountsBelow(bench.directory), [path]);
      assert.match(fails(1, 'volume', 'rm', anonymous[0]), /it is in use by test/);
      bench.sh(`mkdir bound; mount --bind ${path} bound`);
      assert.match(fails(1, 'volume', 'rm', '--force', anonymous[0]), /it is in use somewhere it is mounted/);
      bench.sh('umount bound');
      const open = fs.openSync(`${path}/open`, 'w');
      assert.match(fails(1, 'volume', 'rm', '--force', anonymous[0]), /it is in use by a program/);
      fs.closeSync(open);
      assert.equal(bench.ufs('volume', 'prune'), `${anonymous[1]}\n1 volume would be removed with --force\n`);
      assert.deepEqual(JSON.parse(bench.ufs('volume', 'prune', '--all', '--json', '--filter', 'label=of=n')), { unused: ['named'] });
      assert.equal(bench.ufs('volume', 'prune', '--force'), `${anonymous[1]}\nRemoved 1 volume\n`);
      assert.deepEqual(names(), [anonymous[0], 'named']);
    });
    bench.ufs('volume', 'prune', '--force', '--all');
    assert.deepEqual([names(), mountsBelow(bench.directory)], [[], []]);
    assert.match(bench.ufs('check'), /is sound/);
  });
});
