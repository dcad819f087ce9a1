import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { type ClientRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { until } from '../helpers/cli.ts';
import { DirectoryDriver } from './directory-driver.ts';
import { Served } from './served.ts';

const PIECE = Buffer.alloc(64 << 10, 'ufs');

/** A driver whose archives have as many pieces as a test says, and then end or fail. */
class Pieces extends DirectoryDriver {
  pieces = Infinity;
  failure: Error | undefined;
  /** Bytes made, of all archives. */
  made = 0;
  /** Archives that were begun, and not ended or left. */
  open = 0;

  override async diff(): Promise<AsyncIterable<Buffer>> {
    return this.#archive(this.pieces, this.failure);
  }

  override async applyDiff(_id: string, _parent: string | undefined, archive: AsyncIterable<Buffer>): Promise<number> {
    let size = 0;
    for await (const piece of archive) size += piece.length;
    return size;
  }

  async *#archive(pieces: number, failure: Error | undefined): AsyncGenerator<Buffer> {
    this.open += 1;
    try {
      for (let i = 0; i < pieces; i += 1) {
        await turn();
        this.made += PIECE.length;
        yield PIECE;
      }
      if (failure !== undefined) throw failure;
    } finally {
      this.open -= 1;
    }
  }
}

async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  return ((await once(sent, 'response')) as [IncomingMessage])[0];
}

test('fifty clients that don\'t read their archives hold little, and keep nobody from his', async (t) => {
  const served = await Served.start(t, (root) => new Pieces(root));
  const driver = served.driver as Pieces;
  const stalled = Array.from({ length: 50 }, () => served.open('/GraphDriver.Diff').end('{"ID":"x"}'));
  await Promise.all(stalled.map(answerOf));
  assert.equal(driver.open, 50);
  driver.pieces = 200;
  const before = driver.made;
  const { text } = await served.post('/GraphDriver.Diff', '{"ID":"x"}');
  assert.equal(text.length, 200 * PIECE.length);
  // In the turns these 200 pieces took the others could have made 50 times as many.
  assert.ok(driver.made - before < 50 * (2 << 20) + 200 * PIECE.length, `${driver.made - before} bytes`);
  for (const each of stalled) each.destroy();
  await until(() => driver.open === 0, 'archives nobody reads any more to be left');
});

test('close() lets an archive that is being sent come whole, and leaves one that nobody reads', async (t) => {
  for (const read of [true, false]) {
    const served = await Served.start(t, (root) => new Pieces(root), { patience: read ? 600_000 : 50 });
    const driver = served.driver as Pieces;
    driver.pieces = 300;
    const response = await answerOf(served.open('/GraphDriver.Diff').end('{"ID":"x"}'));
    const closed = served.handler.close();
    if (read) assert.equal((await buffer(response)).length, 300 * PIECE.length);
    await closed;
    await until(() => driver.open === 0, 'the archive to end or be left');
    if (!read) await assert.rejects(buffer(response), { code: 'ECONNRESET' }, 'what was sent doesn\'t end as though it were all');
  }
});

test('close() ends kept connections: idle ones at once, others after their answer', async (t) => {
  class Slow extends DirectoryDriver {
    began: () => void = () => undefined;
    go: () => void = () => undefined;

    override async get(): Promise<string> {
      await new Promise<void>((resolve) => {
        this.go = resolve;
        this.began();
      });
      return '/dir';
    }
  }
  const served = await Served.start(t, (root) => new Slow(root), { patience: 600_000 });
  const driver = served.driver as Slow;
  const idle = served.raw('POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n');
  await until(() => served.handler.metrics.methods.has('Plugin.Activate'), 'the idle connection\'s call to be answered');
  const asked = new Promise<void>((resolve) => (driver.began = resolve));
  const busy = served.raw('POST /GraphDriver.Get HTTP/1.1\r\nHost: \r\nContent-Length: 10\r\n\r\n{"ID":"x"}');
  await asked;
  const closed = served.handler.close();
  assert.match(await idle, /\{"Implements":\["GraphDriver"\]\}\n$/);
  driver.go();
  assert.match(await busy, /^HTTP\/1\.1 200 [^]*\r\nConnection: close\r\n[^]*\{"Dir":"\/dir"\}\n$/);
  await closed;
});

test('behind TLS archives come whole, break off where they fail, and end with their clients, as on a socket', async (t) => {
  const served = new Served((root) => new Pieces(root));
  t.after(() => served.close());
  const driver = served.driver as Pieces;
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key', '-out', 'cert', '-days', '2', '-subj', '/CN=plugin', '-addext', 'subjectAltName=IP:127.0.0.1'], { cwd: served.directory, stdio: ['ignore', 'ignore', 'pipe'] });
  const [key, cert] = ['key', 'cert'].map((name) => fs.readFileSync(join(served.directory, name), 'utf8')) as [string, string];
  const address = await served.handler.serveTcp('test', '127.0.0.1:0', { key, cert });
  const open = (path: string): ClientRequest => httpsRequest(`${address.replace('tcp:', 'https:')}${path}`, { method: 'POST', agent: false, ca: cert });
  const diff = (): ClientRequest => open('/GraphDriver.Diff').end('{"ID":"x"}');

  driver.pieces = 200;
  const apply = open('/GraphDriver.ApplyDiff?id=x');
  for await (const piece of await answerOf(diff())) if (!apply.write(piece)) await once(apply, 'drain');
  assert.equal(String(await buffer(await answerOf(apply.end()))), `{"Size":${200 * PIECE.length}}\n`, 'one archive feeds another call');

  driver.failure = new Error('disk on fire');
  const broken = await answerOf(diff());
  await assert.rejects(buffer(broken), { code: 'ECONNRESET' });
  assert.equal(broken.complete, false);

  driver.pieces = Infinity;
  const left = diff();
  await answerOf(left);
  assert.equal(driver.open, 1);
  left.destroy();
  await until(() => driver.open === 0, 'the archive to be left');
});
