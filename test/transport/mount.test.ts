import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { lstat, mkdir, open, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { MessageChannel } from 'node:worker_threads';
import { signalEventfd } from '../../fs/host/process.ts';
import { close } from '../../fs/host/at.ts';
import { canPassThrough, mount, unmount, wantedFor } from '../../fs/transport/mount.ts';
import { findMounts, isStaleMount } from '../../fs/transport/mounts.ts';
import { EXERCISE, EXERCISED, mountMemory } from './mount-and-exercise.ts';

const run = promisify(execFile);
const skip = process.geteuid?.() === 0 && existsSync('/dev/fuse') ? false : 'needs root and /dev/fuse';
const program = join(import.meta.dirname, 'mount-and-exercise.js');

test('a mount by root does what a shell asks of it', { skip }, async () => {
  const mounted = await mountMemory();
  try {
    assert.equal(await mounted.shell(EXERCISE), EXERCISED);
    assert.deepEqual(findMounts(mounted.directory).map(({ type, source }) => [type, source]), [['fuse.ufs', 'ufs']]);
  } finally {
    assert.deepEqual((await mounted.end()).slice(1), [{ ended: mounted.fd, destroyed: 1 }]);
  }
});

test('a mount in a user namespace does the same', { skip }, async (context) => {
  try {
    await run('unshare', ['-Urm', 'true']);
  } catch {
    context.skip('needs user namespaces');
    return;
  }
  assert.equal((await run('unshare', ['-Urm', '--propagation', 'slave', process.execPath, program], { timeout: 60_000 })).stdout, EXERCISED);
});

test('a mount through fusermount3 by somebody without privileges does the same', { skip }, async (context) => {
  if (!existsSync('/usr/bin/fusermount3')) {
    context.skip('needs fusermount3');
    return;
  }
  const before = statSync('/dev/fuse').mode;
  chmodSync('/dev/fuse', 0o666);
  try {
    const arguments_ = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, program];
    assert.equal((await run('setpriv', arguments_, { timeout: 60_000, cwd: '/', env: { ...process.env, HOME: '/' } })).stdout, EXERCISED);
  } finally {
    chmodSync('/dev/fuse', before & 0o7777);
  }
});

test('names are bytes, times have nanoseconds, and the birth time is seen', { skip }, async () => {
  const mounted = await mountMemory();
  const at = (name: string | Buffer) => Buffer.concat([Buffer.from(`${mounted.directory}/`), Buffer.from(name)]);
  try {
    const odd = Buffer.from([0x66, 0xff, 0x0a]);
    await writeFile(at(odd), 'x');
    assert.deepEqual(await readdir(mounted.directory, { encoding: 'buffer' }), [odd]);
    await writeFile(at('n'.repeat(255)), '');
    await assert.rejects(writeFile(at('n'.repeat(256)), ''), { code: 'ENAMETOOLONG' });
    const file = await open(at(odd), 'r+');
    await file.utimes(1.25, new Date(-3000));
    await file.sync();
    await file.close();
    const stat = await lstat(at(odd), { bigint: true });
    assert.deepEqual([stat.atimeNs, stat.mtimeNs], [1_250_000_000n, -3_000_000_000n]);
    assert.equal(stat.birthtimeNs, 1_600_000_000_000_000_005n);
    await mkdir(at('d'));
    await symlink('n', at('s'));
    await assert.rejects(rename(at('d'), at('absent/d')), { code: 'ENOENT' });
    await assert.rejects(lstat(at('absent')), { code: 'ENOENT' });
    await rm(at('d'), { recursive: true });
    await assert.rejects(lstat(at('d')), { code: 'ENOENT' });
  } finally {
    await mounted.end();
  }
});

test('what changes elsewhere shows once it is announced, though it was cached for ever', { skip }, async () => {
  const mounted = await mountMemory({}, { wanted: { passthrough: false, writebackCache: false } });
  try {
    const path = join(mounted.directory, 'f');
    await writeFile(path, 'before');
    assert.equal(await readFile(path, 'utf8'), 'before');
    mounted.worker.postMessage({ fd: mounted.fd, write: 'AFTER!' });
    // A request that needs the server gives it a turn for the message; the notification comes from a thread of its own.
    for (let tries = 0; (await readFile(path, 'utf8')) !== 'AFTER!'; tries += 1) {
      assert.ok(tries < 10_000, 'the change never showed');
      signalEventfd(mounted.wakeFd);
    }
  } finally {
    await mounted.end();
  }
});

test('a stat is answered while a read of another file waits for a helper thread', { skip }, async () => {
  const { port1, port2 } = new MessageChannel();
  const mounted = await mountMemory({}, { port: port2, wanted: { passthrough: false, writebackCache: false } });
  try {
    const path = join(mounted.directory, 'slow');
    await writeFile(path, 'content');
    const asked = once(port1, 'message');
    // The kernel has the pages of what was written only in its writeback cache, so this read comes to the server.
    const content = run('cat', [path]);
    await asked;
    assert.equal((await lstat(mounted.directory)).isDirectory(), true);
    await writeFile(join(mounted.directory, 'other'), '');
    port1.postMessage('done');
    signalEventfd(mounted.wakeFd);
    assert.equal((await content).stdout, 'content');
  } finally {
    port1.close();
    await mounted.end();
  }
});

test('a mount whose server died is stale, and is replaced by the next mount there', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'ufs-stale-'));
  try {
    assert.equal(isStaleMount(directory), false);
    close(mount(directory));
    assert.equal(isStaleMount(directory), true);
    const fd = mount(directory);
    assert.equal(findMounts(directory).length, 1);
    unmount(directory);
    close(fd);
    assert.equal(findMounts(directory).length, 0);
  } finally {
    rmdirSync(directory);
  }
});

test('options of a mount reach the kernel', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'ufs-options-'));
  const fd = mount(directory, { source: 'a b', subtype: 'other', readonly: true, nosuid: true, nodev: true, noexec: true, noatime: true, allowOther: false });
  try {
    const [info] = findMounts(directory);
    assert.equal(info?.options, 'ro,nosuid,nodev,noexec,noatime');
    assert.deepEqual([info?.type, info?.source], ['fuse.other', 'a b']);
    assert.doesNotMatch(info?.superOptions ?? '', /allow_other/);
    const readahead = `/sys/class/bdi/${info?.device}/read_ahead_kb`;
    if (existsSync(readahead)) assert.equal(readFileSync(readahead, 'latin1').trim(), '1024');
  } finally {
    unmount(directory);
    close(fd);
    rmdirSync(directory);
  }
});

test('a mount that cannot be says what was attempted', { skip }, () => {
  assert.throws(() => mount('/nonexistent/place'), { code: 'ENOENT', message: /^Cannot mount on "\/nonexistent\/place"/ });
  assert.throws(() => unmount('/nonexistent/place'), { code: 'ENOENT' });
});

test('passthrough is wanted only where the kernel would allow it, and never by "never"', () => {
  assert.equal(wantedFor('never').passthrough, false);
  assert.equal(wantedFor('auto').passthrough, canPassThrough());
  assert.equal(wantedFor('always', { writeback: false }).writebackCache, false);
});
