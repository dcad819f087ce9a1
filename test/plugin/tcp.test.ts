import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { type RequestOptions, request as httpsRequest } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { selfSigned, writeCertificates } from './certificates.ts';
import { Served } from './served.ts';

/** Calls Plugin.Activate; the answer's text. */
async function activate(url: string, options: RequestOptions = {}): Promise<string> {
  const sent = (url.startsWith('https:') ? httpsRequest : httpRequest)(`${url}/Plugin.Activate`, { method: 'POST', agent: false, ...options }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return String(await buffer(response));
}

const ACTIVATED = '{"Implements":["GraphDriver"]}\n';

test('a plugin on a TCP port is found by its .spec file, as long as it is there', async (t) => {
  const served = new Served();
  t.after(() => served.close());
  const address = await served.handler.serveTcp('remote', '127.0.0.1:0');
  const spec = join(served.directory, 'specs/remote.spec');
  assert.match(address, /^tcp:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(fs.readFileSync(spec, 'utf8'), `${address}\n`);
  assert.equal(fs.statSync(spec).mode & 0o777, 0o644);
  assert.equal(await activate(address.replace('tcp:', 'http:')), ACTIVATED);
  await assert.rejects(served.handler.serveTcp('second', address.replace('tcp://', '')), /^UfsError: Cannot listen on 127\.0\.0\.1:\d+: another process does \(EADDRINUSE\)/);
  assert.deepEqual(fs.readdirSync(join(served.directory, 'specs')), ['remote.spec']);
  await served.handler.close();
  assert.deepEqual(fs.readdirSync(join(served.directory, 'specs')), []);
  await assert.rejects(activate(address.replace('tcp:', 'http:')), { code: 'ECONNREFUSED' });
});

test('an address that can\'t be told to Docker is given up', async (t) => {
  const served = new Served();
  t.after(() => served.close());
  fs.writeFileSync(join(served.directory, 'specs'), 'a file');
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  await assert.rejects(served.handler.serveTcp('remote', `127.0.0.1:${port}`), { code: 'EEXIST' });
  await assert.rejects(activate(`http://127.0.0.1:${port}`), { code: 'ECONNREFUSED' });
});

test('with TLS Docker finds it by a .json file, and only who has the authority\'s certificate gets in', async (t) => {
  const served = new Served();
  t.after(() => served.close());
  const at = (name: string): string => join(served.directory, name);
  writeCertificates(served.directory);
  const pem = (name: string): string => fs.readFileSync(at(name), 'utf8');
  const client = { caFile: at('ca.pem'), certFile: at('client.pem'), keyFile: at('client.key') };
  await served.handler.serveTcp('secure', '127.0.0.1:0', { key: pem('server.key'), cert: pem('server.pem'), ca: pem('ca.pem'), client });

  assert.deepEqual(fs.readdirSync(at('specs')), ['secure.json']);
  const spec = JSON.parse(pem('specs/secure.json')) as { Name: string; Addr: string; TLSConfig: Record<string, unknown> };
  assert.match(spec.Addr, /^https:\/\/127\.0\.0\.1:\d+$/);
  assert.deepEqual({ ...spec, Addr: '' }, { Name: 'secure', Addr: '', TLSConfig: { InsecureSkipVerify: false, CAFile: client.caFile, CertFile: client.certFile, KeyFile: client.keyFile } });
  const files = { ca: pem('ca.pem'), cert: pem('client.pem'), key: pem('client.key') };
  assert.equal(await activate(spec.Addr, files), ACTIVATED);
  await assert.rejects(activate(spec.Addr, { ca: files.ca }), 'a client without a certificate');
  await assert.rejects(activate(spec.Addr, { cert: files.cert, key: files.key }), { code: /SELF_SIGNED|UNABLE_TO/ }, 'a client that doesn\'t know the authority');
  await assert.rejects(activate(spec.Addr.replace('https:', 'http:')), { code: 'ECONNRESET' }, 'plain HTTP');
  selfSigned(served.directory, 'other', 'client');
  await assert.rejects(activate(spec.Addr, { ca: files.ca, cert: pem('other.pem'), key: pem('other.key') }), 'a client with a certificate of its own making');
  await served.handler.close();
  assert.deepEqual(fs.readdirSync(at('specs')), []);
});
