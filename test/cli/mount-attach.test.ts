import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { needsFuseNative, needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import { needsOtherUser, runAsUser, userMain } from '../helpers/ordinary-user.ts';
import { processesWith } from '../helpers/processes.ts';
import { listTree, treeDifferences } from '../helpers/tree.ts';

describe('ufs mount -v, --mount and --tmpfs', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh(`mkdir -p root/{etc/conf,data,real,sub/dir} host/sub outside mnt again; chmod 1770 root/data; chown 5:6 root/data; echo image >root/data/file; ln root/data/file root/data/linked; setfattr -n user.note -v x root/data/file
      touch -d 2001-02-03 root/data/file root/data; echo conf >root/etc/conf/file; echo plain >root/plain; echo in >host/file; echo deep >host/sub/file; echo host >outside/file
      ln -s ${bench.path('outside')} root/absolute; ln -s ../../../../../../../../../..${bench.path('outside')} root/relative; ln -s ${bench.path()} root/parent; ln -s /real root/inside; ln -s loop root/loop; ln -s ../sub root/sub/up
      tar --numeric-owner --xattrs -cf root.tar -C root .`);
    bench.ufs('import', 'root.tar', '--name', 'image');
  });
  after(() => bench.close());
  afterEach(() => {
    const left = mountsBelow(bench.directory);
    // What one test leaves isn't to fail the next.
    if (left.length > 0) bench.sh('umount -R -l mnt again host/sub 2>/dev/null || :');
    assert.deepEqual(left, []);
    assert.deepEqual(readdirSync(bench.path('store/run/mounts')), []);
  });

  const mount = (...flags: string[]): string => bench.ufs('mount', 'image', 'mnt', '--detach', '--rm', ...flags);
  const unmount = (): string => bench.ufs('umount', 'mnt');
  const attached = (): string[] => mountsBelow(bench.path('mnt')).map((path) => path.slice(bench.path('mnt').length)).sort();
  const inMount = (script: string): string => bench.sh(`cd mnt; ${script}`);
  const holders = (): string[] => (JSON.parse(bench.ufs('volume', 'ls', '--json')) as { name: string; holders: { holder: string }[] }[]).flatMap(({ name, holders }) => holders.map(() => name));
  /** The process that serves the store. */
  const server = (): number => processesWith((word) => word === bench.store).find((pid) => pid !== process.pid) as number;

  test('attach volumes, directories and files of the host, and tmpfs, the outer ones first, and go with the mount', () => {
    mount('--tmpfs', '/run/lock/deep:size=64k,mode=0700', '-v', 'first:/srv/first', '--mount', 'type=tmpfs,dst=/run,tmpfs-size=1m', '-v', './host:/in:ro', '-v', `${bench.path('host/file')}:/etc/conf/file`, '-v', `${bench.path('host/file')}:/new/file`);
    assert.deepEqual(attached(), ['/etc/conf/file', '/in', '/new/file', '/run', '/run/lock/deep', '/srv/first']);
    assert.equal(inMount('echo volume >srv/first/x; cat in/sub/file etc/conf/file new/file; stat -c %a run/lock/deep; ! echo x 2>/dev/null >in/file; echo more >>new/file; echo x >run/x'), 'deep\nin\nin\n700\n');
    assert.equal(readFileSync(bench.path('host/file'), 'utf8'), 'in\nmore\n');
    bench.sh('echo in >host/file');
    unmount();
    assert.deepEqual(readdirSync(bench.path('mnt')), []);
    assert.deepEqual(holders(), []);
    mount('-v', 'first:/srv/first');
    assert.equal(inMount('cat srv/first/x'), 'volume\n');
    unmount();
    bench.ufs('volume', 'rm', 'first');
  });

  test('make targets that are missing in the container, and nothing else', () => {
    bench.ufs('mount', 'image', 'mnt', '--detach', '--name', 'made', '-v', 'made:/new/dir', '-v', `${bench.path('host/file')}:/etc/conf/new`, '--tmpfs', '/data');
    inMount('echo x >new/dir/x; echo x >data/x');
    assert.deepEqual(bench.ufs('changes', 'made').trim().split('\n').filter((line) => !line.startsWith('C ')), ['A /etc/conf/new', 'A /new', 'A /new/dir']);
    bench.ufs('umount', 'made');
    bench.ufs('rm', 'made');
    bench.ufs('volume', 'rm', 'made');
  });

  test('never lead out of the mount, wherever symlinks in it point', () => {
    const outside = listTree(bench.path('outside'));
    // Each target, and where it is in the root file system.
    for (const [target, place] of [['/absolute', bench.path('outside')], ['/relative', bench.path('outside')], ['/parent/outside', bench.path('outside')], ['/parent/new', bench.path('new')], ['/inside', '/real'], ['/inside/../real/x', '/real/x'], ['/sub/up/dir', '/sub/dir'], ['/../../data', '/data']] as const) {
      mount('-v', `${bench.path('host')}:${target}`);
      assert.deepEqual(attached(), [place], target);
      assert.equal(readFileSync(bench.path('mnt', place, 'file'), 'utf8'), 'in\n', target);
      unmount();
      assert.deepEqual(treeDifferences(outside, listTree(bench.path('outside'))), []);
      assert.ok(!existsSync(bench.path('new')));
    }
    const { code, err } = bench.try('mount', 'image', 'mnt', '--rm', '--tmpfs', '/loop/x');
    assert.equal(code, 1);
    assert.match(err, /Cannot mount on "\/loop\/x" in ".*mnt": .*(ELOOP|too many symlinks)/);
  });

  test('are all refused where one of them can\'t be mounted, and leave nothing', () => {
    for (const [flags, why] of [
      [['-v', `${bench.path('host')}:/plain`], /Cannot mount on "\/plain".*ENOTDIR/], [['--tmpfs', '/plain'], /Cannot mount on "\/plain".*ENOTDIR/], [['-v', `${bench.path('host/file')}:/real`], /Cannot mount on "\/real".*(ENOTDIR|EISDIR)/],
      [['-v', 'named:/plain/below'], /Cannot mount on "\/plain\/below".*ENOTDIR/], [['--tmpfs', '/x:mode=nonsense'], /Cannot mount on "\/x".*EINVAL/], [['--mount', 'type=bind,src=/nowhere,dst=/x'], /bind source path does not exist: \/nowhere/],
      [['-v', '/a:b'], /mount path must be absolute/], [['-v', 'one:/data', '-v', 'two:/data'], /Duplicate mount point: \/data/], [['--mount', 'type=volume,src=x,dst=/x,volume-driver=none'], /volume driver not found: none/],
    ] as const) {
      const { err, code } = bench.try('mount', 'image', 'mnt', '--detach', '-v', 'kept:/srv/kept', '-v', '/anonymous', '--tmpfs', '/run', ...flags);
      assert.match(err, why);
      assert.notEqual(code, 0);
      assert.deepEqual(mountsBelow(bench.path('mnt')), []);
      assert.ok(!bench.ufs('containers').includes('image'), 'no container is left');
      assert.deepEqual(holders(), []);
    }
    assert.deepEqual(bench.ufs('volume', 'ls', '--json').match(/[0-9a-f]{64}/g), null);
    assert.match(bench.try('mount', '-o', `lowerdir=${bench.path('host')}`, '-v', 'x:/y', 'mnt').err, /for images and containers/);
    bench.ufs('volume', 'rm', 'kept');
    bench.try('volume', 'rm', 'named');
  });

  test('a volume gets what the image has, with all that belongs to it, once', () => {
    mount('-v', 'filled:/data', '-v', 'bare:/etc/conf:nocopy');
    assert.deepEqual(treeDifferences(listTree(bench.path('root/data')), listTree(bench.path('mnt/data'))), []);
    assert.deepEqual(readdirSync(bench.path('mnt/etc/conf')), []);
    inMount('rm data/linked; mkdir data/sub; echo part >data/sub/f');
    unmount();
    mount('--mount', 'type=volume,src=filled,dst=/part,volume-subpath=sub', '--mount', 'type=volume,src=filled,dst=/one,volume-subpath=sub/f');
    assert.equal(inMount('cat part/f one; rm -r part/f'), 'part\npart\n');
    unmount();
    mount('-v', 'filled:/data:ro');
    assert.deepEqual(readdirSync(bench.path('mnt/data')), ['file', 'sub']);
    assert.throws(() => mkdirSync(bench.path('mnt/data/x')), { code: 'EROFS' });
    unmount();
    bench.ufs('volume', 'rm', 'filled', 'bare');
  });

  test('one volume is in two mounts, and stays until both are gone', () => {
    mount('-v', 'both:/srv');
    bench.ufs('mount', 'image', 'again', '--detach', '--rm', '-v', 'both:/other');
    inMount('echo shared >srv/x');
    assert.equal(readFileSync(bench.path('again/other/x'), 'utf8'), 'shared\n');
    assert.match(bench.try('volume', 'rm', 'both').err, /in use by .*mnt/);
    unmount();
    assert.match(bench.try('volume', 'rm', 'both').err, /in use by .*again/);
    assert.equal(readFileSync(bench.path('again/other/x'), 'utf8'), 'shared\n');
    bench.ufs('umount', 'again');
    bench.ufs('volume', 'rm', 'both');
  });

  test('a mount that is in use stays with all that is in it, unless it goes lazily', () => {
    mount('-v', 'busy:/srv', '--tmpfs', '/run');
    inMount('echo kept >run/x; echo kept >srv/x');
    const { code, err } = bench.run('/bin/bash', ['-c', `cd mnt/real; ${process.execPath} ${process.argv[1]?.replace(/test\/cli\/.*/, 'src/cli/main.js')} --root ${bench.store} umount ${bench.path('mnt')}`]);
    assert.equal(code, 1);
    assert.match(err, /EBUSY/);
    assert.deepEqual(attached(), ['/run', '/srv']);
    assert.equal(inMount('cat run/x srv/x'), 'kept\nkept\n');
    const used = bench.sh('exec 3<mnt/srv/x; ufs() { ' + `${process.execPath} ${process.argv[1]?.replace(/test\/cli\/.*/, 'src/cli/main.js')} --root ${bench.store}` + ' "$@"; }; ufs umount mnt; cat <&3');
    assert.equal(used, 'kept\n', 'what is open goes on');
    bench.ufs('volume', 'rm', 'busy');
  });

  test('what others have mounted there isn\'t taken off', () => {
    mount('-v', 'ours:/srv', '--tmpfs', '/run');
    for (const place of ['mnt/run/theirs', 'mnt/data']) {
      bench.sh(`mkdir -p ${place}; mount -t tmpfs theirs ${place}; echo x >${place}/x`);
      const { code, err } = bench.try('umount', 'mnt');
      assert.equal(code, 1);
      assert.match(err, /EBUSY/);
      assert.equal(readFileSync(bench.path(place, 'x'), 'utf8'), 'x\n');
      assert.deepEqual(attached().filter((path) => !place.endsWith(path)), ['/run', '/srv']);
      bench.sh(`umount ${place}`);
    }
    unmount();
    bench.ufs('volume', 'rm', 'ours');
  });

  test('a directory that is renamed, and a symlink in its place, lead no unmount astray', () => {
    bench.sh('mkdir -p victim/place; mount -t tmpfs victim victim/place');
    mount('--tmpfs', '/sub/dir/place');
    bench.sh(`mv mnt/sub/dir mnt/moved; ln -s ${bench.path('victim')} mnt/sub/dir`);
    assert.deepEqual(attached(), ['/moved/place']);
    unmount();
    assert.deepEqual(mountsBelow(bench.directory), [bench.path('victim/place')]);
    bench.sh('umount victim/place');
  });

  test('a bind that is read-only is so for what is mounted below it, and takes that along, unless told otherwise', () => {
    bench.sh('mount -t tmpfs below host/sub; echo below >host/sub/file');
    const host = bench.path('host');
    mount('-v', `${host}:/ro:ro`, '--mount', `type=bind,src=${host},dst=/top,readonly,bind-recursive=writable`, '--mount', `type=bind,src=${host},dst=/one,bind-recursive=disabled`, '-v', `${host}:/rw`);
    for (const [path, writable] of [['ro/file', false], ['ro/sub/file', false], ['top/file', false], ['top/sub/file', true], ['rw/file', true], ['rw/sub/file', true], ['one/sub/file', true]] as const) {
      assert.equal(bench.run('touch', [bench.path('mnt', path)]).code, writable ? 0 : 1, path);
    }
    assert.equal(inMount('cat rw/sub/file one/sub/file'), 'below\ndeep\n');
    unmount();
    bench.sh('umount host/sub');
  });

  test('mounts made later below a source show where that was asked for', () => {
    bench.sh('mkdir -p shared; mount -t tmpfs shared shared; mount --make-shared shared; mkdir shared/in');
    mount('-v', './shared:/slave:rslave', '-v', './shared:/private', '-v', './shared:/both:rshared');
    bench.sh('mount -t tmpfs later shared/in; echo later >shared/in/x');
    assert.equal(inMount('cat slave/in/x both/in/x; ls private/in; umount both/in'), 'later\nlater\n');
    assert.deepEqual(readdirSync(bench.path('shared/in')), []);
    unmount();
    bench.sh('mount --make-private shared');
    for (const [mode, why] of [['rslave', /is not a shared or slave mount/], ['shared', /is not a shared mount/]] as const) {
      assert.match(bench.try('mount', 'image', 'mnt', '--detach', '-v', `./shared:/x:${mode}`).err, why);
    }
    bench.sh('umount shared');
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`${signal} ends a mount with all that is attached, in the foreground and in the background`, async () => {
      const foreground = bench.start('mount', 'image', 'mnt', '--rm', '-v', 'ended:/srv', '--tmpfs', '/run');
      await until(() => attached().length === 2, 'all to be attached');
      foreground.kill(signal);
      assert.equal((await foreground.ended).code, 0);
      assert.deepEqual(mountsBelow(bench.directory), []);
      mount('-v', 'ended:/srv', '--tmpfs', '/run', '-v', '/anonymous');
      const pid = server();
      process.kill(pid, signal);
      await until(() => !existsSync(`/proc/${pid}`), 'the server to end');
      assert.deepEqual(mountsBelow(bench.directory), []);
      assert.deepEqual((JSON.parse(bench.ufs('volume', 'ls', '--json')) as { name: string }[]).map(({ name }) => name), ['ended']);
      bench.ufs('volume', 'rm', 'ended');
    });
  }

  test('what a killed server leaves is unmounted by ufs umount, or by the next mount; what others mounted there isn\'t', async () => {
    const killed = async (): Promise<void> => {
      mount('-v', 'left:/srv', '--tmpfs', '/run', '--tmpfs', '/run/deep', '-v', '/anonymous');
      inMount('echo x >srv/x; sync -f srv');
      const pid = server();
      process.kill(pid, 'SIGKILL');
      await until(() => !existsSync(`/proc/${pid}`), 'the server to end');
      assert.deepEqual(attached(), ['/anonymous', '/run', '/run/deep', '/srv']);
    };
    await killed();
    unmount();
    assert.deepEqual(mountsBelow(bench.path('mnt')), []);
    await killed();
    mount('-v', 'left:/srv');
    assert.deepEqual(attached(), ['/srv']);
    assert.equal(inMount('cat srv/x'), 'x\n');
    unmount();
    await killed();
    bench.sh('mkdir mnt/run/deep/theirs; mount -t tmpfs theirs mnt/run/deep/theirs');
    assert.match(bench.try('umount', 'mnt').err, /EBUSY.*|somebody else/);
    assert.ok(attached().includes('/run/deep/theirs'));
    bench.sh('umount mnt/run/deep/theirs');
    unmount();
    assert.deepEqual((JSON.parse(bench.ufs('volume', 'ls', '--json')) as { name: string }[]).map(({ name }) => name), ['left']);
    bench.ufs('volume', 'rm', 'left');
    // Containers of mounts stay where their server dies.
    for (const { id } of JSON.parse(bench.ufs('containers', '--json')) as { id: string }[]) bench.ufs('rm', id);
  });

  test('a read-only mount takes what has a place, and refuses what has none', () => {
    bench.ufs('mount', 'image', 'mnt', '--detach', '--read-only', '-v', 'some:/real', '--tmpfs', '/data');
    inMount('echo x >real/x; echo x >data/x; ! touch etc/x 2>/dev/null');
    unmount();
    assert.match(bench.try('mount', 'image', 'mnt', '--detach', '--read-only', '--tmpfs', '/new').err, /Cannot mount on "\/new".*EROFS/);
    bench.ufs('volume', 'rm', 'some');
  });

  test('work through fuse-native, too', { skip: needsFuseNative() }, () => {
    mount('--transport', 'fuse-native', '-v', 'native:/srv/new', '--tmpfs', '/run/deep', '--tmpfs', '/data');
    inMount('echo x >srv/new/x; echo x >run/deep/x');
    assert.deepEqual(attached(), ['/data', '/run/deep', '/srv/new']);
    unmount();
    bench.ufs('volume', 'rm', 'native');
  });

  test('root of a user namespace has them; who has none is told', { skip: needsOtherUser || needsProgram('unshare') }, () => {
    const own = new Bench();
    try {
      own.sh('mkdir -p root/data mnt host; echo image >root/data/file; echo host >host/file; tar --owner=0 --group=0 -cf root.tar -C root .');
      const main = userMain(own);
      const script = `ufs import root.tar --name image >/dev/null; ufs mount image mnt --detach --name c -v vol:/data -v ./host:/new/host:ro --tmpfs /run:size=64k
        cat mnt/data/file mnt/new/host/file; echo x >mnt/run/x; echo x >mnt/data/x; ! echo x 2>/dev/null >mnt/new/host/file; ufs umount mnt; ls mnt; ufs volume ls | grep -c vol`;
      const inside = runAsUser(own, main, script, ['unshare', '-Urm', '--propagation', 'slave']);
      assert.equal(inside.code, 0, inside.err + inside.out);
      assert.equal(inside.out.replace(/^[0-9a-f]{64}\n/, ''), 'image\nhost\n1\n');
      const outside = runAsUser(own, main, 'ufs mount image mnt --detach --tmpfs /run');
      assert.notEqual(outside.code, 0);
      assert.match(outside.err, /only root may, and who is root of a user namespace/);
    } finally {
      own.close();
    }
  });

  test('the targets that the image has stay as they were', () => {
    assert.equal(readlinkSync(bench.path('root/absolute')), bench.path('outside'));
    assert.ok(lstatSync(bench.path('outside/file')).isFile());
  });
});
