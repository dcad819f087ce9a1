import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { DirectoryDriver } from './directory-driver.ts';
import { Served } from './served.ts';

function modeOf(path: string): string {
  return (fs.lstatSync(path).mode & 0o7777).toString(8);
}

/** A socket whose process was killed. */
async function leaveSocket(path: string): Promise<void> {
  fs.mkdirSync(join(path, '..'), { recursive: true });
  const child = spawn(process.execPath, ['-e', `require('net').createServer().listen(process.argv[1], () => console.log('listening'))`, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  assert.ok(fs.lstatSync(path).isSocket());
}

test('a socket is its owner\'s alone, whatever the umask, in a directory everybody may look into', async (t) => {
  for (const mask of [0, 0o077]) {
    const before = process.umask(mask);
    try {
      const served = await Served.start(t);
      assert.deepEqual([modeOf(served.socket), modeOf(join(served.socket, '..'))], ['600', '755']);
      assert.deepEqual(fs.readdirSync(join(served.socket, '..')), ['test.sock']);
      assert.equal((await served.post('/Plugin.Activate')).status, 200);
    } finally {
      process.umask(before);
    }
  }
});

test('a group may be let in', { skip: process.getuid?.() === 0 ? false : 'needs root' }, async (t) => {
  const served = await Served.start(t);
  const path = await served.handler.serveUnix('group', 12345);
  const { uid, gid } = fs.lstatSync(path);
  assert.deepEqual([modeOf(path), uid, gid], ['660', 0, 12345]);
});

test('a socket whose process died is replaced', async (t) => {
  const served = new Served();
  t.after(() => served.close());
  await leaveSocket(join(served.directory, 'plugins/test.sock'));
  served.socket = await served.handler.serveUnix('test');
  assert.equal((await served.post('/Plugin.Activate')).status, 200);
});

test('a socket somebody listens on is refused, and left alone', async (t) => {
  const served = await Served.start(t);
  await assert.rejects(served.handler.serveUnix('test'), { code: 'UFS_PLUGIN', message: `Cannot listen on ${served.socket}: another process does (EADDRINUSE); stop it, or choose another name` });
  assert.equal((await served.post('/Plugin.Activate')).status, 200);
});

test('a file that is no socket is refused, and left alone', async (t) => {
  const served = await Served.start(t);
  const path = join(served.directory, 'plugins/file.sock');
  for (const make of [() => fs.writeFileSync(path, 'mine'), () => fs.symlinkSync('/nowhere', path), () => fs.mkdirSync(path)]) {
    make();
    await assert.rejects(served.handler.serveUnix('file'), /there is something that is no socket/);
    fs.rmSync(path, { recursive: true });
  }
  assert.deepEqual(fs.readdirSync(join(served.directory, 'plugins')), ['test.sock']);
});

test('names that lead elsewhere are refused, and what can\'t be listened on is said', async (t) => {
  const served = new Served();
  t.after(() => served.close());
  for (const name of ['', '../x', 'a/b', '.x', 'a\0', 'x'.repeat(101)]) {
    await assert.rejects(served.handler.serveUnix(name), /Cannot serve the plugin/);
    await assert.rejects(served.handler.serveTcp(name, '127.0.0.1:0'), /Cannot serve the plugin/);
  }
  await assert.rejects(served.handler.serveUnix('x'.repeat(100)), /Cannot listen on .*: paths of sockets have 107 bytes at most/);
  for (const address of ['', 'localhost', ':80', '127.0.0.1:', '127.0.0.1:65536', '127.0.0.1:x', '::1']) await assert.rejects(served.handler.serveTcp('x', address), /not "host:port"/, address);
  assert.deepEqual([fs.readdirSync(served.directory), fs.readdirSync(join(served.directory, 'plugins'))], [['layers', 'plugins'], []]);
});

test('close takes the socket away, lets calls under way end, and takes no others', async (t) => {
  let go!: () => void;
  let began!: () => void;
  const started = new Promise<void>((resolve) => (began = resolve));
  class Slow extends DirectoryDriver {
    override async get(): Promise<string> {
      began();
      await new Promise<void>((resolve) => (go = resolve));
      return '/'.padEnd(4 << 20, 'x');
    }
  }
  const served = await Served.start(t, (root) => new Slow(root), { patience: 600_000 });
  const call = served.open('/GraphDriver.Get').end('{"ID":"x"}');
  await started;
  let closed = false;
  const closing = served.handler.close().then(() => (closed = true));
  assert.deepEqual(fs.readdirSync(join(served.directory, 'plugins')), []);
  const [error] = (await once(served.open('/GraphDriver.Exists').end('{}'), 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ENOENT');
  assert.equal(closed, false);
  go();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  const text = String(await buffer(response));
  assert.equal((JSON.parse(text) as { Dir: string }).Dir.length, 4 << 20, 'the answer comes whole');
  await closing;
  await served.handler.close();
});

test('close waits no longer than its patience: what is under way breaks off', async (t) => {
  let tell!: (error: unknown) => void;
  const told = new Promise<unknown>((resolve) => (tell = resolve));
  let began!: () => void;
  const started = new Promise<void>((resolve) => (began = resolve));
  class Stuck extends DirectoryDriver {
    override async applyDiff(_id: string, _parent: string | undefined, archive: AsyncIterable<Buffer>): Promise<number> {
      began();
      try {
        for await (const _ of archive);
      } catch (error) {
        tell(error);
      }
      return 0;
    }
  }
  const served = await Served.start(t, (root) => new Stuck(root), { patience: 50 });
  const call = served.open('/GraphDriver.ApplyDiff?id=x');
  call.write('never ending');
  await started;
  const failed = once(call, 'error');
  await served.handler.close();
  assert.equal(((await failed) as [NodeJS.ErrnoException])[0].code, 'ECONNRESET');
  assert.match(String(await told), /the connection broke/);
});

test('close leaves a socket that another process put in the place of its own', async (t) => {
  const served = await Served.start(t);
  fs.rmSync(served.socket);
  const other = createServer().listen(served.socket);
  await once(other, 'listening');
  await served.handler.close();
  assert.ok(fs.lstatSync(served.socket).isSocket());
  other.close();
});

test('calls are logged with an id each, and counted by method', async (t) => {
  const lines: string[] = [];
  const write = (level: string) => (fields: object, message: string) => void lines.push(`${level} ${message} ${JSON.stringify(fields, (key, value: unknown) => (value instanceof Error ? value.message : ['seconds', 'sent'].includes(key) ? '' : value))}`);
  const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  const served = await Served.start(t, undefined, { log });
  await served.post('/GraphDriver.Exists', '{"ID":"x"}');
  await served.post('/GraphDriver.Get', '{"ID":"x"}');
  await served.post('/GraphDriver.Nothing');
  await served.post('/Plugin.Activate');
  assert.deepEqual(lines, [
    `info serving Docker {"file":"${served.socket}"}`,
    'debug answered {"request":1,"method":"GraphDriver.Exists","seconds":"","received":10,"sent":""}',
    'warn failed {"request":2,"method":"GraphDriver.Get","seconds":"","received":10,"sent":"","err":"Cannot find layer \\"x\\""}',
    'warn failed {"request":3,"method":"GraphDriver.Nothing","seconds":"","received":0,"sent":"","err":"Cannot do \\"GraphDriver.Nothing\\": no such method"}',
    'debug answered {"request":4,"method":"Plugin.Activate","seconds":"","received":0,"sent":""}',
  ]);
  const { metrics } = served.handler;
  assert.equal(metrics.active, 0);
  const told = (method: string): unknown[] => {
    const counts = metrics.methods.get(method);
    return [counts?.calls, counts?.errors, counts?.received, (counts?.sent ?? 0) > 100, (counts?.seconds ?? 0) > 0];
  };
  assert.deepEqual(['GraphDriver.Exists', 'GraphDriver.Get', 'unknown'].map(told), [[1, 0, 10, true, true], [1, 1, 10, true, true], [1, 1, 0, true, true]]);
  const text = metrics.prometheus();
  for (const line of [/^# TYPE ufs_plugin_calls_total counter$/m, /^ufs_plugin_calls_total\{method="GraphDriver\.Get"\} 1$/m, /^ufs_plugin_errors_total\{method="unknown"\} 1$/m, /^ufs_plugin_received_bytes_total\{method="GraphDriver\.Exists"\} 10$/m, /^ufs_plugin_active_calls 0$/m]) assert.match(text, line);
  assert.match(text, /^(?:(?:# .*|[a-z_]+(?:\{method="[A-Za-z.]+"\})? [0-9.e+-]+)\n)+$/);
});

test('a logger that fails ends no process, and no other call', async (t) => {
  const fail = (): void => { throw new Error('disk full'); };
  const served = await Served.start(t, undefined, { log: { debug: fail, info: () => undefined, warn: fail, error: fail } });
  for (let i = 0; i < 2; i += 1) assert.equal((await served.post('/GraphDriver.Get', '{"ID":"x"}')).status, 500);
  assert.equal((await served.post('/Plugin.Activate')).text, '{"Implements":["GraphDriver"]}\n');
});
