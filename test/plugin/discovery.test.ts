import assert from 'node:assert/strict';
import fs from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GraphDriverHandler } from '../../src/plugin/handler.ts';
import { Served } from './served.ts';

const needsRoot: string | false = process.getuid?.() === 0 ? false : 'needs root';
const needsIpv6: string | false = Object.values(networkInterfaces()).flat().some((address) => address?.address === '::1') ? false : 'needs IPv6';

async function underUmask<T>(mask: number, act: () => Promise<T>): Promise<T> {
  const before = process.umask(mask);
  try {
    return await act();
  } finally {
    process.umask(before);
  }
}

function modeOf(path: string): string {
  return fs.lstatSync(path).mode.toString(8);
}

test('a group that is let in by a socket is, and a specification can be read by all, whatever the umask', { skip: needsRoot }, async (t) => {
  for (const mask of [0, 0o777]) {
    const served = new Served();
    t.after(() => served.close());
    served.socket = await underUmask(mask, () => served.handler.serveUnix('group', 4321));
    assert.equal(modeOf(served.socket), '140660');
    await underUmask(mask, () => served.handler.serveTcp('test', '127.0.0.1:0'));
    assert.deepEqual([modeOf(join(served.directory, 'specs')), modeOf(join(served.directory, 'specs/test.spec'))], ['40755', '100644']);
    assert.deepEqual(fs.readdirSync(join(served.directory, 'specs')), ['test.spec'], 'nothing else is left for Docker to find');
  }
});

test('close() leaves the socket and the specification of a handler that came after', async (t) => {
  const served = await Served.start(t);
  await served.handler.serveTcp('test', '127.0.0.1:0');
  const second = new GraphDriverHandler(served.driver, { pluginDirectory: join(served.directory, 'plugins'), specDirectory: join(served.directory, 'specs') });
  t.after(() => second.close());
  fs.rmSync(served.socket);
  await second.serveUnix('test');
  const address = await second.serveTcp('test', '127.0.0.1:0');
  await served.handler.close();
  assert.equal(fs.readFileSync(join(served.directory, 'specs/test.spec'), 'utf8'), `${address}\n`);
  assert.equal((await served.post('/Plugin.Activate')).status, 200);
  await second.close();
  assert.deepEqual(['plugins', 'specs'].map((directory) => fs.readdirSync(join(served.directory, directory))), [[], []]);
});

test('an address of IPv6 is written in brackets', { skip: needsIpv6 }, async (t) => {
  const served = new Served();
  t.after(() => served.close());
  await assert.rejects(served.handler.serveTcp('test', '::1:80'), /not "host:port"/);
  const address = await served.handler.serveTcp('test', '[::1]:0');
  assert.match(address, /^tcp:\/\/\[::1\]:[1-9]\d*$/);
  const response = await fetch(`${address.replace('tcp:', 'http:')}/Plugin.Activate`, { method: 'POST' });
  assert.deepEqual(await response.json(), { Implements: ['GraphDriver'] });
});
