import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { Served } from './served.ts';

const NEED_ID = ['Create', 'CreateReadWrite', 'Remove', 'Get', 'Put', 'Exists', 'GetMetadata', 'Diff', 'Changes', 'DiffSize'];
const HAVE_PARENT = ['Create', 'CreateReadWrite', 'Diff', 'Changes', 'DiffSize'];
const BAD_IDS = ['../x', '..', '.', '.hidden', 'a/b', '/abs', '-x', 'a\0', 'a\n', 'é', 'a b', 'x'.repeat(256)];

async function isWell(served: Served): Promise<void> {
  assert.equal((await served.post('/GraphDriver.Exists', '{"ID":"keep"}')).text, '{"Exists":true}\n');
  assert.deepEqual(fs.readdirSync(served.root), ['keep']);
}

async function keeping(t: Parameters<typeof Served.start>[0]): Promise<Served> {
  const served = await Served.start(t);
  await served.client.call('Create', { ID: 'keep' });
  return served;
}

test('an id that is none reaches no driver', async (t) => {
  const served = await keeping(t);
  for (const id of BAD_IDS) {
    for (const method of NEED_ID) {
      const { status, text } = await served.post(`/GraphDriver.${method}`, JSON.stringify({ ID: id }));
      assert.deepEqual([status, /^\{"Err":"Cannot use .* as ID/.test(text)], [400, true], `${method} ${id}: ${text}`);
    }
    for (const method of HAVE_PARENT) assert.equal((await served.post(`/GraphDriver.${method}`, JSON.stringify({ ID: 'keep', Parent: id }))).status, 400, `${method} on ${id}`);
    assert.equal((await served.post(`/GraphDriver.ApplyDiff?id=${encodeURIComponent(id)}`, Buffer.alloc(1024))).status, 400, id);
    assert.equal((await served.post(`/GraphDriver.ApplyDiff?id=keep&parent=${encodeURIComponent(id)}`, Buffer.alloc(1024))).status, 400, id);
  }
  assert.equal((await served.post('/GraphDriver.ApplyDiff?id=%2e%2e%2fx', Buffer.alloc(1024))).status, 400);
  for (const id of ['x-init', '7zplwnck7mou24gv18l2yxtch', 'A_b.C', 'x'.repeat(255)]) assert.equal((await served.post('/GraphDriver.Exists', JSON.stringify({ ID: id }))).status, 200, id);
  await isWell(served);
});

test('a retried request, which has lost its body, is refused', async (t) => {
  const served = await keeping(t);
  for (const method of [...NEED_ID, 'Init', 'ApplyDiff']) {
    for (const body of method === 'ApplyDiff' ? [''] : ['', '{}', ' \n', '{"ID":null}', '{"ID":""}']) {
      const { status, text } = await served.post(`/GraphDriver.${method}`, body);
      assert.deepEqual([status, /^\{"Err":".* is missing/.test(text)], [400, true], `${method} ${body}: ${text}`);
    }
  }
  await isWell(served);
});

test('a message that is no JSON object is refused, however it is made', async (t) => {
  const served = await keeping(t);
  for (const body of ['7', '"keep"', '[]', '[{"ID":"keep"}]', 'null', 'true', '{"ID":"keep"', '{"ID":"keep"}{}', '{"ID":7}', '{"ID":["keep"]}', '{"ID":{"a":1}}', '\0', Buffer.from('{"ID":"keep\xff"}', 'latin1')]) {
    const { status, text } = await served.post('/GraphDriver.Remove', body);
    assert.deepEqual([status, /^\{"Err":"Cannot /.test(text)], [400, true], `${body}: ${text}`);
  }
  for (const options of ['7', '[]', '"x"', '{"size":7}', '{"size":null}']) assert.equal((await served.post('/GraphDriver.CreateReadWrite', `{"ID":"new","StorageOpt":${options}}`)).status, 400, options);
  assert.equal((await served.post('/GraphDriver.Get', '{"ID":"keep","MountLabel":7}')).status, 400);
  await isWell(served);
});

test('a message can\'t reach the prototypes of objects, nor exhaust the stack', async (t) => {
  const served = await keeping(t);
  assert.equal((await served.post('/GraphDriver.Exists', '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"ID":"keep"}')).text, '{"Exists":true}\n');
  assert.equal((await served.post('/GraphDriver.Exists', '{"__proto__":{"ID":"keep"}}')).status, 400);
  const { status, text } = await served.post('/GraphDriver.CreateReadWrite', '{"ID":"new","StorageOpt":{"__proto__":"polluted"}}');
  assert.deepEqual([status, text], [500, '{"Err":"Unknown option __proto__"}\n']);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  const depth = 400_000;
  assert.ok([200, 400].includes((await served.post('/GraphDriver.Exists', `{"ID":"keep","x":${'['.repeat(depth)}${']'.repeat(depth)}}`)).status));
  await isWell(served);
});

test('a message of more than a megabyte is refused, and a client that goes on sending hears so', async (t) => {
  const served = await keeping(t);
  const message = (size: number): string => `{"ID":"keep"${' '.repeat(size - 13)}}`;
  assert.equal((await served.post('/GraphDriver.Exists', message(1 << 20))).status, 200);
  assert.equal((await served.post('/GraphDriver.Exists', message((1 << 20) + 1))).status, 413);
  const { status, body } = await served.client.post('/GraphDriver.Remove', Buffer.from(message(64 << 20)));
  assert.deepEqual([status, String(body)], [413, '{"Err":"Cannot take a message of more than 1048576 bytes"}\n']);
  await isWell(served);
});

test('methods there are none of are 404, and anything but POST 405, as text', async (t) => {
  const served = await keeping(t);
  for (const path of ['/GraphDriver.Frobnicate', '/', '//', '/GraphDriver%2ERemove', '/GraphDriver.remove', '/constructor', '/__proto__', '/GraphDriver.Remove/', '/x/../GraphDriver.Remove', `/${'x'.repeat(5000)}`]) {
    const { status, type, text } = await served.post(path, '{"ID":"keep"}');
    assert.deepEqual([status, type, /no such method\n$/.test(text)], [404, 'text/plain; charset=utf-8', true], path);
  }
  for (const path of ['//', '*', 'http://', 'http://[', '/?', 'http://x/GraphDriver.Remove', '/%']) assert.match(await served.raw(`POST ${path} HTTP/1.1\r\nHost: \r\nContent-Length: 13\r\nConnection: close\r\n\r\n{"ID":"keep"}`), /^HTTP\/1\.1 404 /, path);
  for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const answer = await served.raw(`${method} /GraphDriver.Remove HTTP/1.1\r\nHost: \r\nContent-Length: 13\r\nConnection: close\r\n\r\n{"ID":"keep"}`);
    assert.match(answer, /^HTTP\/1\.1 405 [^]*\r\nAllow: POST\r\n/, method);
  }
  await isWell(served);
});

test('what dockerd sends is taken: an empty Host, or none, no content type; and connections are kept', async (t) => {
  const served = await keeping(t);
  const call = (head: string): string => `POST /GraphDriver.Exists HTTP/1.1\r\n${head}Content-Length: 14\r\n\r\n{"ID":"keep"}\n`;
  const answers = await served.raw(`${call('Host: \r\nUser-Agent: Go-http-client/1.1\r\n')}${call('')}${call('Host: \r\nConnection: close\r\n')}`);
  assert.equal(answers.match(/\{"Exists":true\}/g)?.length, 3);
  assert.doesNotMatch(answers, /timeout=/, 'no end of the connection is announced');
});

test('what is no HTTP is refused, and the next request is answered', async (t) => {
  const served = await keeping(t);
  const head = 'POST /GraphDriver.Remove HTTP/1.1\r\nHost: \r\n';
  for (const bytes of ['rubbish\r\n\r\n', `${head}Content-Length: x\r\n\r\n`, `${head}Content-Length: -1\r\n\r\n`, `${head}Content-Length: 2\r\n\r\n{"ID":"keep"}`, `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, `${head}X: ${'x'.repeat(1 << 17)}\r\n\r\n`]) {
    assert.match(await served.raw(bytes), /HTTP\/1\.1 4\d\d /, bytes.slice(0, 200));
  }
  assert.match(await served.raw('POST /GraphDriver.Diff HTTP/1.0\r\nContent-Length: 13\r\n\r\n{"ID":"keep"}'), /^HTTP\/1\.1 505 /, 'an HTTP/1.0 client couldn\'t tell that an archive broke off');
  await isWell(served);
});
