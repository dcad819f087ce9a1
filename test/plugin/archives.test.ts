import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { DirectoryDriver } from './directory-driver.ts';
import { Served } from './served.ts';

const PIECE = Buffer.alloc(64 << 10, 'ufs');
/** Far more than sockets, pipes and streams on the way hold. */
const MUCH = 64 << 20;

/** A driver whose diffs are what a test says. */
class Diffs extends DirectoryDriver {
  make: () => Promise<AsyncIterable<Buffer>> = async () => endless({ made: 0 });

  override async diff(): Promise<AsyncIterable<Buffer>> {
    return await this.make();
  }
}

/** A driver that takes archives as a test says. */
class Applies extends DirectoryDriver {
  take: (archive: AsyncIterable<Buffer>) => Promise<number> = async () => 0;

  override async applyDiff(_id: string, _parent: string | undefined, archive: AsyncIterable<Buffer>): Promise<number> {
    return await this.take(archive);
  }
}

async function* endless(count: { made: number }, ended?: () => void): AsyncGenerator<Buffer> {
  try {
    for (;;) {
      await turn();
      count.made += PIECE.length;
      yield PIECE;
    }
  } finally {
    ended?.();
  }
}

/** A promise that a test waits for, and what makes it come true. */
function signal<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve };
}

async function startDiffs(t: TestContext): Promise<{ served: Served; driver: Diffs }> {
  const served = await Served.start(t, (root) => new Diffs(root), { patience: 1000 });
  return { served, driver: served.driver as Diffs };
}

async function startApplies(t: TestContext): Promise<{ served: Served; driver: Applies }> {
  const served = await Served.start(t, (root) => new Applies(root), { patience: 1000 });
  return { served, driver: served.driver as Applies };
}

function diff(served: Served): ClientRequest {
  return served.open('/GraphDriver.Diff').end('{"ID":"x"}');
}

async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  return ((await once(sent, 'response')) as [IncomingMessage])[0];
}

/** Waits until a count stands still, however long it takes; fails where it passes a limit. */
async function standsStill(count: () => number, limit: number): Promise<number> {
  for (let [last, same] = [-1, 0]; same < 20; ) {
    await pause(20);
    const now = count();
    assert.ok(now < limit, `${now} bytes went on`);
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return count();
}

test('an archive that fails before its first byte is an error with words', async (t) => {
  const { served, driver } = await startDiffs(t);
  for (const make of [
    async () => { throw new Error('no such layer'); },
    async () => (async function* (): AsyncGenerator<Buffer> { throw new Error('no such layer'); })(),
  ]) {
    driver.make = make;
    assert.deepEqual(await served.post('/GraphDriver.Diff', '{"ID":"x"}'), { status: 500, type: 'application/vnd.docker.plugins.v1.2+json', text: '{"Err":"no such layer"}\n' });
  }
});

test('an archive that fails later breaks the connection, whatever was sent', async (t) => {
  const { served, driver } = await startDiffs(t);
  for (const pieces of [1, 100]) {
    driver.make = async () => (async function* () {
      for (let i = 0; i < pieces; i += 1) yield PIECE;
      throw new Error('disk on fire');
    })();
    const response = await answerOf(diff(served));
    assert.equal(response.statusCode, 200);
    await assert.rejects(async () => { for await (const _ of response); }, { code: 'ECONNRESET' });
    assert.equal(response.complete, false);
  }
});

test('an archive without a byte, and one with empty pieces, end well', async (t) => {
  const { served, driver } = await startDiffs(t);
  driver.make = async () => (async function* (): AsyncGenerator<Buffer> {})();
  assert.equal((await served.post('/GraphDriver.Diff', '{"ID":"x"}')).text, '');
  driver.make = async () => (async function* () { yield Buffer.alloc(0); yield Buffer.from('a'); yield Buffer.alloc(0); yield Buffer.from('b'); })();
  assert.equal((await served.post('/GraphDriver.Diff', '{"ID":"x"}')).text, 'ab');
});

test('a client that reads slowly slows its archive down, and no other\'s', async (t) => {
  const { served, driver } = await startDiffs(t);
  const count = { made: 0 };
  const ended = signal();
  driver.make = async () => endless(count, ended.resolve);
  const sent = diff(served);
  const response = await answerOf(sent);
  const held = await standsStill(() => count.made, MUCH);
  driver.make = async () => (async function* () { for (let i = 0; i < 200; i += 1) yield PIECE; })();
  const other = await served.post('/GraphDriver.Diff', '{"ID":"x"}');
  assert.equal(other.text.length, 200 * PIECE.length);
  let read = 0;
  for await (const piece of response) if ((read += (piece as Buffer).length) > held * 2) break;
  assert.ok(count.made > held, 'it goes on when it is read');
  sent.destroy();
  await ended.promise;
});

test('a driver is told when the client of its archive goes away', async (t) => {
  const { served, driver } = await startDiffs(t);

  const amid = signal();
  driver.make = async () => endless({ made: 0 }, amid.resolve);
  const sent = diff(served);
  await once(await answerOf(sent), 'readable');
  sent.destroy();
  await amid.promise;

  // While it waits: only a call of return() can reach it.
  const waiting = signal();
  const returned = signal();
  driver.make = async () => {
    const end = signal<IteratorResult<Buffer>>();
    let first = true;
    const pieces: AsyncIterator<Buffer> = {
      next: async () => {
        if (first) return { done: (first = false), value: PIECE };
        waiting.resolve();
        return await end.promise;
      },
      return: async () => {
        end.resolve({ done: true, value: undefined });
        returned.resolve();
        return { done: true, value: undefined };
      },
    };
    return { [Symbol.asyncIterator]: () => pieces };
  };
  const second = diff(served);
  await answerOf(second);
  await waiting.promise;
  second.destroy();
  await returned.promise;

  // Before there is anything: what diff() opened is closed by the iterator, which has to be begun for that.
  const asked = signal();
  const gone = signal();
  const closed = signal();
  driver.make = async () => {
    asked.resolve();
    await gone.promise;
    return endless({ made: 0 }, closed.resolve);
  };
  const third = diff(served);
  third.on('error', () => undefined);
  await asked.promise;
  third.destroy();
  while (served.handler.metrics.active > 0 && (await connections(served)) > 0) await turn();
  gone.resolve();
  await closed.promise;
  while (served.handler.metrics.active > 0) await turn();
  assert.deepEqual([served.handler.metrics.methods.get('GraphDriver.Diff')?.calls, served.handler.metrics.methods.get('GraphDriver.Diff')?.errors], [3, 3]);
});

/** How many connections a served socket has, as the kernel counts them. */
async function connections(served: Served): Promise<number> {
  return fs.readFileSync('/proc/net/unix', 'utf8').split('\n').filter((line) => line.includes(served.directory) && / 03 +\d+ /.test(line)).length;
}

test('an archive that breaks off on its way in never looks whole', async (t) => {
  const { served, driver } = await startApplies(t);
  const head = 'POST /GraphDriver.ApplyDiff?id=x HTTP/1.1\r\nHost: \r\n';
  for (const bytes of [
    `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhel`, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n`,
    `${head}Content-Length: 10\r\n\r\nhello`, `${head}Content-Length: 10\r\n\r\n`,
  ]) {
    const outcome = signal<string>();
    const began = signal();
    driver.take = async (archive) => {
      began.resolve();
      try {
        for await (const _ of archive);
        outcome.resolve('whole');
        return 0;
      } catch (error) {
        outcome.resolve((error as Error).message);
        throw error;
      }
    };
    const socket = connect(served.socket);
    socket.write(bytes);
    await began.promise;
    socket.destroy();
    assert.match(await outcome.promise, /^Cannot read the body: the connection broke/, bytes);
  }
  const size = signal<number>();
  driver.take = async (archive) => {
    let bytes = 0;
    for await (const piece of archive) bytes += piece.length;
    size.resolve(bytes);
    return bytes;
  };
  assert.equal((await served.post('/GraphDriver.ApplyDiff?id=x', 'hello')).text, '{"Size":5}\n');
});

test('an archive that broke off before its driver came to read it doesn\'t look whole either', async (t) => {
  const { served, driver } = await startApplies(t);
  const asked = signal();
  const broken = signal();
  const outcome = signal<unknown>();
  driver.take = async (archive) => {
    asked.resolve();
    await broken.promise;
    try {
      for await (const _ of archive);
      outcome.resolve('whole');
    } catch (error) {
      outcome.resolve(error);
    }
    return 0;
  };
  const socket = connect(served.socket);
  socket.write('POST /GraphDriver.ApplyDiff?id=x HTTP/1.1\r\nHost: \r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
  await asked.promise;
  socket.destroy();
  while ((await connections(served)) > 0) await turn();
  broken.resolve();
  assert.match(String(await outcome.promise), /the connection broke/);
});

test('an archive is read no faster than the driver takes it', async (t) => {
  const { served, driver } = await startApplies(t);
  const go = signal();
  driver.take = async (archive) => {
    let size = 0;
    await go.promise;
    for await (const piece of archive) size += piece.length;
    return size;
  };
  let sent = 0;
  const applied = served.client.apply('x', '', (async function* () {
    for (; sent < MUCH * 2; sent += PIECE.length) yield PIECE;
  })());
  await standsStill(() => sent, MUCH);
  go.resolve();
  assert.equal(await applied, MUCH * 2);
});

test('a client hears why its archive is refused while it is still sending, and can go on with the connection', async (t) => {
  const { served, driver } = await startApplies(t);
  for (const take of [
    async () => { throw new Error('it was filled before'); },
    async (archive: AsyncIterable<Buffer>) => { for await (const _ of archive) throw new Error('it was filled before'); return 0; },
    // A stream that fails throws its error into what it reads from.
    async (archive: AsyncIterable<Buffer>) => {
      await pipeline(archive, new Writable({ write: (_piece, _encoding, done) => done(new Error('it was filled before')) }));
      return 0;
    },
    async (archive: AsyncIterable<Buffer>) => {
      await pipeline(Readable.from(archive), new Writable({ write: (_piece, _encoding, done) => done(new Error('it was filled before')) }));
      return 0;
    },
  ]) {
    driver.take = take;
    // Node's own client stops sending when it has an answer; Go's goes on for a while.
    const socket = connect(served.socket);
    const answers = buffer(socket);
    const answered = once(socket, 'data');
    socket.write('POST /GraphDriver.ApplyDiff?id=x HTTP/1.1\r\nHost: \r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = Buffer.concat([Buffer.from(`${PIECE.length.toString(16)}\r\n`), PIECE, Buffer.from('\r\n')]);
    const send = async (bytes: Buffer | string): Promise<void> => void (socket.write(bytes) || (await once(socket, 'drain')));
    await send(chunk);
    await answered;
    for (let size = 0; size < MUCH; size += PIECE.length) await send(chunk);
    await send('0\r\n\r\nPOST /GraphDriver.Exists HTTP/1.1\r\nHost: \r\nContent-Length: 10\r\nConnection: close\r\n\r\n{"ID":"x"}');
    assert.match(String(await answers), /^HTTP\/1\.1 500 [^]*\{"Err":"it was filled before"\}\nHTTP\/1\.1 200 [^]*\{"Exists":false\}\n$/);
  }
});

test('a driver needn\'t read what follows its archive\'s end: the client is answered when it has sent it', async (t) => {
  const { served, driver } = await startApplies(t);
  for (const take of [
    async () => 7,
    async (archive: AsyncIterable<Buffer>) => { for await (const _ of archive) return 7; return 0; },
    async (archive: AsyncIterable<Buffer>) => { await archive[Symbol.asyncIterator]().next(); return 7; },
  ]) {
    driver.take = take;
    let sent = 0;
    const size = await served.client.apply('x', '', (async function* () {
      for (; sent < MUCH; sent += PIECE.length) yield PIECE;
    })());
    assert.deepEqual([size, sent], [7, MUCH]);
  }
});
