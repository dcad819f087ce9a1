import assert from 'node:assert/strict';
import { closeSync, existsSync, lstatSync, openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, MAIN, mountsBelow, until } from '../helpers/cli.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';

/** `ufs` in a shell, for redirections. */
const shell = (bench: Bench, script: string): ReturnType<Bench['run']> => bench.run('/bin/bash', ['--norc', '-uo', 'pipefail', '-c', `ufs() { ${process.execPath} ${MAIN} --root store "$@"; }; ${script}`]);

describe('the command line', () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh('mkdir tree; echo one >tree/one; ln -s one tree/link; mkfifo tree/fifo; head -c 500000 /dev/zero >tree/zeros; tar -cf tree.tar -C tree .');
    bench.ufs('import', 'tree.tar', '--name', 'base');
  });
  after(() => bench.close());

  test('a name that is no image name is refused before anything is imported or committed', () => {
    const layers = bench.ufs('layers', '--json');
    bench.sh('mkdir other; echo x >other/x; tar -cf other.tar -C other .');
    assert.match(bench.try('import', 'other.tar', '--name', 'Bad Name').err, /^ufs: Cannot use "Bad Name" as an image name/);
    bench.ufs('create', 'base', '--name', 'refused');
    assert.equal(bench.try('commit', 'refused', 'Bad Name').code, 1);
    assert.equal(bench.ufs('layers', '--json'), layers);
  });

  test('what makes no sense on the command line has exit code 2', () => {
    for (const argv of [['mount', 'base'], ['mount', 'a', 'b', 'c'], ['save', 'base', '--format', 'zip'], ['save', 'base', '--format', 'oci-dir'], ['mount', '-o', 'ro', '.'], ['mount', '-o', 'lowerdir=tree,upperdir=tree', '.']]) {
      assert.equal(bench.try(...argv).code, 2, argv.join(' '));
    }
  });

  test('--json names images in full everywhere, and tells of an import', () => {
    const made = JSON.parse(bench.ufs('import', 'tree.tar', '--name', 'base', '--json')) as { image: string; names: string[]; layer: string };
    assert.deepEqual(made.names, ['docker.io/library/base:latest']);
    const images = JSON.parse(bench.ufs('images', '--json')) as { id: string; names: string[] }[];
    assert.deepEqual(images.find(({ id }) => id === made.image)?.names, made.names);
    assert.equal((JSON.parse(bench.ufs('layers', 'base', '--json')) as { id: string }[])[0]?.id, made.layer);
  });

  test('--output replaces a file, goes through a symlink, and writes to a device as it is', () => {
    writeFileSync(bench.path('old.tar'), 'old');
    bench.sh('ln -s old.tar link.tar; mkfifo pipe');
    bench.ufs('save', 'base', '-o', 'link.tar');
    assert.equal(readlinkSync(bench.path('link.tar')), 'old.tar');
    const saved = readFileSync(bench.path('old.tar'));
    assert.ok(saved.length > 500_000);
    shell(bench, 'cat pipe >from-pipe & ufs save base -o pipe; wait');
    assert.ok(lstatSync(bench.path('pipe')).isFIFO());
    assert.deepEqual(readFileSync(bench.path('from-pipe')), saved);
    assert.equal(shell(bench, 'ufs save base -o - | cmp - old.tar').code, 0);
  });

  test('--output that can not be written says so, and leaves nothing', () => {
    for (const [output, why] of [['no/such.tar', 'there is no such directory'], ['tree', 'it is a directory']] as const) {
      const { code, err } = bench.try('save', 'base', '-o', output);
      assert.equal(code, 1);
      assert.equal(err, `ufs: Cannot write "${bench.path(output)}": ${why}\n`);
    }
    assert.match(bench.try('save', 'base', '--format', 'oci-dir', '-o', 'tree').err, /Cannot save to ".*tree": it is there already, and no empty directory/);
    assert.equal(bench.sh('ls | grep partial || true'), '');
  });

  test('a full standard output is said and has exit code 1; a reader that stops early has 0', () => {
    const full = shell(bench, 'ufs images >/dev/full');
    assert.equal(full.code, 1);
    assert.match(full.err, /^ufs: Cannot write to standard output: ENOSPC/);
    assert.equal(shell(bench, 'ufs export base | head -c 10 >/dev/null').code, 0);
  });

  test('an archive is not written onto a terminal, which says what to do instead', { skip: needsProgram('script') }, () => {
    const { out } = bench.run('script', ['-qec', `${process.execPath} ${MAIN} --root store export base`, '/dev/null']);
    assert.match(out, /Cannot write an archive onto a terminal: give --output, or a pipe/);
  });

  test('rm does what it can: what fails is said, the others go all the same', () => {
    bench.ufs('create', 'base', '--name', 'first');
    bench.ufs('create', 'base', '--name', 'second');
    const { code, out, err } = bench.try('rm', 'first', 'nobody', 'second');
    assert.equal(code, 1);
    assert.equal(out.trim().split('\n').length, 2);
    assert.equal(err, 'ufs: Cannot find "nobody": no container, image or layer of the store has that name or id\n');
  });

  test('a command waits for another that has the store, says so, and can be stopped', async () => {
    bench.sh('mkfifo slow');
    const holder = bench.start('import', 'slow');
    // Opening the pipe waits for its reader, who has the store by then.
    const pipe = openSync(bench.path('slow'), 'w');
    const waiting = bench.start('images');
    await until(() => waiting.result.err !== '', 'the notice');
    assert.match(waiting.result.err, /^ufs: Cannot open the store .*: process \d+ has it open; waiting for it\n$/);
    const stopped = bench.start('images');
    await until(() => stopped.result.err !== '', 'the notice');
    stopped.kill('SIGINT');
    assert.equal((await stopped.ended).code, 1);
    closeSync(pipe);
    assert.equal((await holder.ended).code, 0);
    assert.equal((await waiting.ended).code, 0);
    assert.match(waiting.result.out, /^base:latest /m);
  });

  test('a store can not be made where nothing can be made, and that is said at once', () => {
    const { code, err } = bench.try('--root', '/proc/nothing', 'images');
    assert.equal(code, 1);
    assert.match(err, /^ufs: Cannot make a store in \/proc\/nothing: ENOENT/);
  });
});

describe('the command line, mounting', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh('mkdir tree mnt other; echo one >tree/one; ln -s one tree/link; mkfifo tree/fifo; mknod tree/null c 1 3; tar -cf tree.tar -C tree .; touch file; ln -s mnt link');
    bench.ufs('import', 'tree.tar', '--name', 'base');
  });
  after(() => bench.close());

  test('which tells the layer of every type of file, before and after it changes', () => {
    bench.ufs('mount', 'base', 'mnt', '--name', 'c', '--detach');
    const [layer] = JSON.parse(bench.ufs('layers', 'base', '--json')) as { id: string }[];
    for (const name of ['one', 'link', 'fifo', 'null']) assert.ok(layer?.id.includes(bench.ufs('which', `mnt/${name}`).trim()), name);
    bench.sh('cd mnt; chown -h 1 one link fifo null; ln -s x made; mkfifo new');
    for (const name of ['one', 'link', 'fifo', 'null', 'made', 'new', '.']) assert.equal(bench.ufs('which', `mnt/${name}`), 'upper\n', name);
    assert.match(bench.try('which', 'mnt/nothing').err, /Cannot tell the layer of ".*nothing": there is no such file/);
    bench.ufs('umount', 'mnt');
  });

  test('a container mounted --read-only shows what was changed in it', () => {
    bench.ufs('mount', 'c', 'mnt', '--read-only', '--detach');
    assert.equal(bench.sh('readlink mnt/made'), 'x\n');
    assert.throws(() => writeFileSync(bench.path('mnt/one'), 'two'), { code: 'EROFS' });
    bench.ufs('umount', 'c');
  });

  test('umount takes a symlink to the mount, and goes on where one of several fails', () => {
    bench.ufs('mount', 'c', 'link', '--detach');
    bench.ufs('mount', 'base', 'other', '--read-only', '--detach');
    const { code, err } = bench.try('umount', 'link', 'tree', 'other');
    assert.equal(code, 1);
    assert.equal(err, 'ufs: Cannot unmount "tree": nothing is mounted there\n');
    assert.deepEqual(mountsBelow(bench.directory), []);
  });

  test('what can not be mounted, or not so, is said in words', () => {
    for (const argv of [['base', 'file'], ['-o', 'lowerdir=tree', 'file'], ['-o', 'lowerdir=tree', 'file', '--detach']]) {
      assert.match(bench.try('mount', ...argv).err, /^ufs: Cannot mount on ".*\/file": it is not a directory\n$/);
    }
    assert.match(bench.try('mount', '-o', 'lowerdir=nothing', 'mnt').err, /\(ENOENT: no such file or directory\)/);
    const misused = bench.try('mount', 'c', 'mnt', '--rm');
    assert.equal(misused.code, 2);
    assert.match(misused.err, /--name and --rm are for the new container/);
    assert.match(bench.try('mount', '-o', 'lowerdir=tree,bogus', 'mnt', '--detach').err, /unknown mount option ignored: bogus/);
    bench.ufs('umount', 'mnt');
  });

  test('serve stays until a signal comes, mounts or none; its log stays small', async () => {
    writeFileSync(bench.path('store/ufs.log'), Buffer.alloc(2 << 20, 'x\n'));
    const server = bench.start('serve');
    await until(() => existsSync(bench.path('store/control.sock')), 'the server');
    bench.ufs('mount', 'c', 'mnt', '--detach');
    bench.ufs('umount', 'mnt');
    assert.equal((JSON.parse(bench.ufs('status', '--json')) as { servedBy: number }).servedBy, server.pid);
    server.kill('SIGTERM');
    assert.equal((await server.ended).code, 0);
    assert.ok(lstatSync(bench.path('store/ufs.log')).size < 10_000);
    assert.equal(lstatSync(bench.path('store/ufs.log.1')).size, 2 << 20);
    assert.ok(!existsSync(bench.path('store/control.sock')));
  });
});
