import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';

import { after, before, beforeEach, describe, test } from 'node:test';
import { Bench, mountsBelow, type Result, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { OverlayProgram } from './overlay-program.ts';

describe('the mount program', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  let program: OverlayProgram;
  before(() => {
    bench = new Bench();
    program = new OverlayProgram(bench);
  });
  beforeEach(() => void bench.sh('umount -l m 2>/dev/null || true; rm -rf l u w m; mkdir l u w m; echo low >l/f; mkdir l/d; echo low >l/d/g'));
  after(async () => {
    await program.ended();
    bench.close();
  });
  const UPPER = 'lowerdir=l,upperdir=u,workdir=w';
  const mounted = (options: string, use: () => void): void => {
    program.mount(options, 'm');
    use();
    bench.sh('umount m');
  };
  const sh = (script: string): string => bench.sh(`cd m; ${script}`);
  const owner = (path: string): string => bench.sh(`stat -c %u:%g ${path}`).trim();

  test('returns when it is mounted, with nothing on standard output or error', () => {
    const { code, out, err } = program.run('-o', UPPER, 'm');
    assert.deepEqual({ code, out, err }, { code: 0, out: '', err: '' });
    assert.match(bench.sh(`grep ${bench.directory}/m /proc/mounts`), /^ufs-overlay \S+\/m fuse\.ufs-overlay rw,noatime,/);
    assert.equal(sh('cat f; echo new >n; rm d/g; cat ../u/n; stat -c %F ../u/d/g'), 'low\nnew\ncharacter special file\n');
    bench.sh('umount m');
  });

  test('mount(8) can call it: a source first, options last', () => {
    assert.equal(program.run('overlay', 'm', '-o', 'lowerdir=l,ro').code, 0);
    assert.throws(() => sh('echo >n 2>&1'));
    bench.ufs('umount', 'm');
    assert.deepEqual(mountsBelow(bench.directory), []);
  });

  test('owners are shown by the maps, and kept back through them', () => {
    bench.sh('chown 5:6 l/f');
    mounted(`${UPPER},uidmapping=:0:1000:10,gidmapping=:0:2000:10`, () => {
      assert.deepEqual([owner('m/f'), owner('m/d')], ['1005:2006', '1000:2000']);
      sh('echo >n; chown 1007:2008 n; chown 1009 f');
      assert.deepEqual([owner('m/n'), owner('u/n'), owner('u/f')], ['1007:2008', '7:8', '9:6']);
    });
  });

  test('squashed, all files are one user\'s, whatever is asked for', () => {
    bench.sh('chown 5:6 l/f');
    mounted(`${UPPER},squash_to_uid=7,squash_to_gid=8`, () => {
      sh('chmod 777 .; echo >n; chown 1000:1001 n; setpriv --reuid=1000 --regid=1001 --clear-groups mkdir e');
      assert.deepEqual([owner('m/f'), owner('m/n'), owner('m/e')], ['7:8', '7:8', '7:8']);
      // As fuse-overlayfs keeps them.
      assert.deepEqual([owner('u/n'), owner('u/e')], ['1000:1001', '1000:1001']);
    });
  });

  test('xattr_permissions=2 keeps owners and modes in xattrs', () => {
    mounted(`${UPPER},xattr_permissions=2`, () => {
      sh('echo >n; chown 5:6 n; chmod 4751 n');
      assert.equal(sh('stat -c %u:%g:%a n'), '5:6:4751\n');
      assert.equal(bench.sh('getfattr --only-values -n user.containers.override_stat u/n; stat -c " %u" u/n'), '5:6:4751 0\n');
    });
  });

  test('without xattrs there are none, and files are copied up all the same', () => {
    bench.sh('setfattr -n user.x -v 1 l/f');
    mounted(`${UPPER},noxattrs=1`, () => {
      assert.match(program.bench.run('/bin/bash', ['-c', 'cd m; getfattr -n user.x f; setfattr -n user.y -v 1 f']).err, /Operation not supported[\s\S]*Operation not supported/);
      sh('echo more >>f');
      assert.equal(bench.sh('getfattr --only-values -n user.x u/f; cat u/f'), '1low\nmore\n');
    });
  });

  test('noacl: what an ACL forbids is allowed where the mode allows it', () => {
    const reads = (): number | null => bench.run('setpriv', ['--reuid=1234', '--regid=1234', '--clear-groups', 'cat', bench.path('m/f')]).code;
    bench.sh(`chmod 711 ${bench.directory}; setfacl -m u:1234:--- l/f; chmod o+r l/f`);
    mounted(UPPER, () => assert.equal(reads(), 1));
    mounted(`${UPPER},noacl`, () => assert.equal(reads(), 0));
  });

  test('volatile and fsync=0 sync nothing', async () => {
    // The kernel, once told that there is no such thing, doesn't ask again.
    for (const option of ['volatile', 'fsync=0', 'fsync=1']) {
      const asked = await program.traced(`${UPPER},${option}`, 'm', () => sh('echo 1 >n; sync n; sync n'));
      assert.equal(asked.filter((line) => line.includes(' FSYNC #')).length, option === 'fsync=1' ? 2 : 1, `${option}: ${asked.join('\n')}`);
    }
  });

  test('timeout=0 lets changes of a lower directory show', () => {
    mounted('lowerdir=l,timeout=0', () => {
      assert.equal(sh('cat f; ls'), 'low\nd\nf\n');
      bench.sh('echo other >l/f; echo >l/later; rm l/d/g');
      assert.equal(sh('cat f; ls; ls d'), 'other\nd\nf\nlater\n');
    });
  });

  test('names of lower directories may vanish once it is mounted', () => {
    bench.sh('ln -s l link');
    program.mount('lowerdir=link', 'm');
    bench.sh('rm link; mv l moved');
    assert.equal(sh('cat f d/g'), 'low\nlow\n');
    bench.sh('umount m; rm -rf moved');
  });

  test('500 lower directories are mounted', () => {
    bench.sh('mkdir many; for i in $(seq 500); do mkdir -p many/$(printf %026d $i); echo $i >many/$(printf %026d $i)/$i; done');
    program.mount(`lowerdir=${bench.sh('ls -d many/*').trim().split('\n').join(':')}`, 'm');
    assert.equal(sh('ls | wc -l; cat 1 500'), '500\n1\n500\n');
    bench.sh('umount m; rm -rf many');
  });

  test('one process serves all mounts, and ends after the last; many that start at once find the same one', async () => {
    bench.sh('for i in $(seq 8); do mkdir -p several/$i; done');
    await Promise.all(Array.from({ length: 8 }, async (_, index) => {
      const { code, err } = await program.start('-o', 'lowerdir=l', `several/${index + 1}`).ended;
      assert.equal(code, 0, err);
    }));
    assert.equal(bench.sh('cat several/*/f | wc -l'), '8\n');
    assert.equal(program.servers().length, 1);
    bench.sh('umount several/*; rm -rf several');
    await program.ended();
  });

  test('the server stays with the namespaces of its client: another mount namespace has its own', async () => {
    const { code, out, err } = bench.run('unshare', ['-m', '--propagation', 'slave', '/bin/bash', '-euc', `${program.command} -o lowerdir=l m; cat m/f; umount m`]);
    assert.deepEqual([code, out], [0, 'low\n'], err);
    assert.deepEqual(mountsBelow(bench.directory), []);
    await program.ended();
  });

  test('a server that was killed is replaced by the next mount', async () => {
    program.mount('lowerdir=l', 'm');
    process.kill(program.servers()[0] as number, 'SIGKILL');
    await until(() => program.servers().length === 0, 'it is gone');
    bench.sh('umount -l m');
    mounted('lowerdir=l', () => assert.equal(sh('cat f'), 'low\n'));
  });

  test('a server keeps nothing open that it was started with', async () => {
    await program.ended();
    const child = spawn(program.command, ['-o', 'lowerdir=l', 'm'], { cwd: bench.directory, stdio: ['ignore', 'pipe', 'pipe', 'pipe'], env: program.environment });
    const closed = child.stdio.slice(1).map((pipe) => new Promise((done) => (pipe as NodeJS.ReadableStream).resume().once('end', done)));
    await Promise.all(closed);
    assert.equal(sh('cat f'), 'low\n');
    bench.sh('umount m');
  });

  test('a server that can not be started is told, with where it says why', async () => {
    await program.ended();
    bench.sh('mkdir bin; for tool in readlink mkdir mkfifo setsid rm; do ln -s /usr/bin/$tool bin; done');
    const { status, stderr } = spawnSync(program.command, ['-o', 'lowerdir=l', 'm'], { cwd: bench.directory, env: { ...program.environment, PATH: bench.path('bin') } });
    assert.equal(status, 1);
    assert.match(stderr.toString(), /^ufs-overlay: Cannot start a server of mounts: \S+\/run\/ufs-overlay\/log says why\n$/);
    assert.match(bench.sh('cat run/ufs-overlay/log'), /node/);
    assert.deepEqual(fs.readdirSync(bench.path('run/ufs-overlay')).flatMap((name) => (name === 'log' ? [] : fs.readdirSync(bench.path('run/ufs-overlay', name)))), []);
  });

  test('a server ends with its user namespace, though something is left mounted in it', async () => {
    const { code, out, err } = bench.run('unshare', ['-Urm', '--propagation', 'slave', '/bin/bash', '-euc', `XDG_RUNTIME_DIR=${bench.path('run')} ${program.command} -o lowerdir=l m; cat m/f`]);
    assert.deepEqual([code, out], [0, 'low\n'], err);
    assert.equal(program.servers().length, 1);
    await program.ended();
  });

  test('-f stays until it is unmounted, -d tells each request', async () => {
    for (const flags of [['-f'], ['-d']]) {
      const running = program.start(...flags, '-o', 'lowerdir=l', 'm');
      await until(() => mountsBelow(bench.directory).length === 1, 'it is mounted');
      sh('cat f');
      bench.sh('umount m');
      const { code, err }: Result = await running.ended;
      assert.equal(code, 0);
      assert.equal(/LOOKUP/.test(err), flags[0] === '-d');
    }
    const running = program.start('-f', '-o', 'lowerdir=l', 'm');
    await until(() => mountsBelow(bench.directory).length === 1, 'it is mounted');
    running.kill('SIGTERM');
    assert.equal((await running.ended).code, 0);
    assert.deepEqual(mountsBelow(bench.directory), []);
  });

  test('--serve is the server that others find, and stays without mounts', async () => {
    const server = program.start('--serve');
    await until(() => bench.run('/bin/bash', ['-c', 'ls run/ufs-overlay/*/pid']).code === 0, 'it takes requests');
    program.mount('lowerdir=l', 'm');
    assert.equal(sh('cat f'), 'low\n');
    bench.sh('umount m');
    assert.deepEqual(program.servers().length, 1);
    server.kill('SIGTERM');
    assert.equal((await server.ended).code, 0);
  });

  test('what is wrong is one line, and nothing is left mounted', () => {
    const cases: [string[], RegExp][] = [
      [[], /^ufs-overlay: Cannot mount: no directory to mount on; --help tells how\n$/], [['m'], /no lowerdir=/], [['-o', 'lowerdir=missing', 'm'], /Cannot mount on ".*\/m": .*missing.*ENOENT/],
      [['-o', 'lowerdir=l', 'missing'], /Cannot mount on ".*\/missing"/], [['-o', 'lowerdir=l,upperdir=u', 'm'], /needs a workdir=/], [['-o', 'lowerdir=l,uidmapping=1:2', 'm'], /uidmapping=1:2 isn't a list/],
      [['-o', 'lowerdir=l,upperdir=l/f,workdir=w', 'm'], /Cannot mount on ".*\/m"/], [['-f', '-o', 'lowerdir=missing', 'm'], /missing.*ENOENT/],
    ];
    for (const [argv, says] of cases) {
      const { code, err } = program.run(...argv);
      assert.equal(code, 1, argv.join(' '));
      assert.match(err, says);
      assert.equal(err.split('\n').length, 2, err);
    }
    assert.deepEqual(mountsBelow(bench.directory), []);
    const { code, err } = program.run('-x', '-o', 'lowerdir=l,bogus', 'm');
    assert.deepEqual([code, err], [0, 'ufs-overlay: unknown argument ignored: -x\nufs-overlay: unknown argument ignored: bogus\n']);
    bench.sh('umount m');
  });

  test('standard error that nobody reads, or that is closed, is no trouble; who reads it gets its end', async () => {
    const child = spawn(program.command, ['-o', `lowerdir=${bench.path('l')}`, bench.path('m')], { cwd: bench.directory, stdio: ['ignore', 'ignore', 'pipe'], env: program.environment });
    child.stderr.destroy();
    assert.equal(await new Promise((done) => child.once('close', done)), 0);
    assert.equal(sh('cat f'), 'low\n');
    bench.sh('umount m');
  });

  test('it tells its version and how it is used, and starts no server for that', async () => {
    await program.ended();
    assert.match(program.run('--version').out, /^ufs-overlay: version \d+\.\d+\.\d+\n/);
    assert.match(program.run('-V').out, /^ufs-overlay: version /);
    const help = program.run('--help').out;
    for (const word of ['lowerdir=', 'uidmapping=', 'squash_to_root', 'xattr_permissions', '--serve']) assert.ok(help.includes(word), word);
    assert.deepEqual(program.servers(), []);
  });
});
