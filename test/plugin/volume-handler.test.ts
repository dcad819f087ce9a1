import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { graphMethods } from '../../src/plugin/graph-methods.ts';
import { PluginHandler, VolumeHandler } from '../../src/plugin/handler.ts';
import type { VolumeDriver, VolumeInfo } from '../../src/plugin/volume-driver.ts';
import { volumeMethods } from '../../src/plugin/volume-methods.ts';
import { Served } from './served.ts';

const TYPE = 'application/vnd.docker.plugins.v1.2+json';
/** As Docker makes them. */
const ID = '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef';
const LONGEST = 'v'.repeat(255);

/** A driver that keeps nothing but what it was told. */
class Listener implements VolumeDriver {
  told: unknown[] = [];
  volumes: VolumeInfo[] = [
    { name: 'bare' },
    { name: 'full', mountpoint: '/mnt/full', createdAt: new Date(Date.UTC(2024, 1, 29, 23, 59, 58, 7)), status: { size: 5, nested: { ro: true }, note: 'a "quoted" line\n' } },
  ];
  mounted = '/mnt/full';

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> { this.told.push(['create', name, { ...options }]); }
  async remove(name: string): Promise<void> { this.told.push(['remove', name]); }
  async list(): Promise<VolumeInfo[]> { return this.volumes; }
  async get(name: string): Promise<VolumeInfo> {
    const found = this.volumes.find((each) => each.name === name);
    if (found === undefined) throw new Error(`There is no volume "${name}"`);
    return found;
  }
  async path(name: string): Promise<string> { this.told.push(['path', name]); return name === 'full' ? '/mnt/full' : ''; }
  async mount(name: string, id: string): Promise<string> { this.told.push(['mount', name, id]); return this.mounted; }
  async unmount(name: string, id: string): Promise<void> { this.told.push(['unmount', name, id]); }
  capabilities(): { scope: 'local' | 'global' } { return { scope: 'global' }; }
}

/** The driver on a socket of its own, until the test ends. */
async function serve(t: TestContext, driver: VolumeDriver): Promise<Served> {
  const served = new Served();
  const handler = new VolumeHandler(driver, { pluginDirectory: served.directory });
  t.after(async () => {
    await handler.close();
    await served.close();
  });
  served.socket = await handler.serveUnix('volumes');
  return served;
}

const BARE = '{"Name":"bare","Mountpoint":""}';
const FULL = '{"Name":"full","Mountpoint":"/mnt/full","CreatedAt":"2024-02-29T23:59:58.007Z","Status":{"size":5,"nested":{"ro":true},"note":"a \\"quoted\\" line\\n"}}';

/** What dockerd sends, what the driver hears, and what dockerd gets. */
const CALLS: readonly [method: string, body: string, told: unknown, answer: string][] = [
  ['Capabilities', '{}', undefined, '{"Capabilities":{"Scope":"global"},"Err":""}\n'],
  ['Create', '{"Name":"data","Opts":{}}', ['create', 'data', {}], '{"Err":""}\n'],
  ['Create', '{"Name":"data","Opts":null}', ['create', 'data', {}], '{"Err":""}\n'],
  ['Create', '{"Name":"data"}', ['create', 'data', {}], '{"Err":""}\n'],
  ['Create', '{"Name":"D.a_t-a","Opts":{"size":"10M","SIZE":"","o":"a=b,c"}}', ['create', 'D.a_t-a', { size: '10M', SIZE: '', o: 'a=b,c' }], '{"Err":""}\n'],
  ['Create', `{"Name":"${LONGEST}","Opts":null}`, ['create', LONGEST, {}], '{"Err":""}\n'],
  ['List', '{}', undefined, `{"Volumes":[${BARE},${FULL}],"Err":""}\n`],
  ['List', '', undefined, `{"Volumes":[${BARE},${FULL}],"Err":""}\n`],
  ['Get', '{"Name":"bare"}', undefined, `{"Volume":${BARE},"Err":""}\n`],
  ['Get', '{"Name":"full"}', undefined, `{"Volume":${FULL},"Err":""}\n`],
  ['Path', '{"Name":"full"}', ['path', 'full'], '{"Mountpoint":"/mnt/full","Err":""}\n'],
  ['Path', '{"Name":"bare"}', ['path', 'bare'], '{"Mountpoint":"","Err":""}\n'],
  ['Mount', `{"Name":"full","ID":"${ID}"}`, ['mount', 'full', ID], '{"Mountpoint":"/mnt/full","Err":""}\n'],
  ['Unmount', `{"Name":"full","ID":"${ID}"}`, ['unmount', 'full', ID], '{"Err":""}\n'],
  ['Unmount', '{"Name":"full","ID":"unknown"}', ['unmount', 'full', 'unknown'], '{"Err":""}\n'],
  ['Remove', '{"Name":"full"}', ['remove', 'full'], '{"Err":""}\n'],
];

test('each method tells the driver what its message says, and answers with what the driver says', async (t) => {
  const driver = new Listener();
  const served = await serve(t, driver);
  assert.deepEqual(await served.post('/Plugin.Activate'), { status: 200, type: TYPE, text: '{"Implements":["VolumeDriver"]}\n' });
  for (const [method, body, told, answer] of CALLS) {
    assert.deepEqual(await served.post(`/VolumeDriver.${method}`, body), { status: 200, type: TYPE, text: answer }, `${method} ${body}`);
    assert.deepEqual(driver.told.splice(0), told === undefined ? [] : [told], `${method} ${body}`);
  }
  driver.volumes = [];
  assert.equal((await served.post('/VolumeDriver.List', '{}')).text, '{"Volumes":[],"Err":""}\n');
});

test('a volume whose name moby refuses, or that is too long for a file, never reaches the driver', async (t) => {
  const driver = new Listener();
  const served = await serve(t, driver);
  const only = 'it needs two characters or more, only letters, digits and _ . - are allowed, and the first is a letter or a digit';
  const refused: [name: string, words: string][] = [
    ['', 'Cannot tell which volume is meant: Name is missing'],
    ...['../x', 'a', '.', '..', '.hidden', '-rf', '_x', 'a/b', 'a b', 'a\n', 'a\u0000b', 'ab\n', 'na\u00efve', '/abs', 'a:b', 'x/'.repeat(2000)].map((name): [string, string] => [name, `Cannot use ${JSON.stringify(name.slice(0, 300))} as name of a volume: ${only}`]),
    ['v'.repeat(256), `Cannot use "${'v'.repeat(30)}…" as name of a volume: it has 256 characters, and 255 are allowed`],
    ['v'.repeat(300), `Cannot use "${'v'.repeat(30)}…" as name of a volume: it has 300 characters, and 255 are allowed`],
  ];
  for (const method of ['Create', 'Remove', 'Get', 'Path', 'Mount', 'Unmount']) {
    for (const [Name, words] of refused) {
      assert.deepEqual(await served.post(`/VolumeDriver.${method}`, JSON.stringify({ Name, ID })), { status: 400, type: TYPE, text: `${JSON.stringify({ Err: words })}\n` }, `${method} ${Name}`);
    }
  }
  assert.deepEqual(driver.told, []);
});

test('a request that can\'t be understood is refused, and never reaches the driver', async (t) => {
  const driver = new Listener();
  const served = await serve(t, driver);
  const refused: [method: string, body: string, words: RegExp][] = [
    // What Docker sends when it asks again after a lost connection.
    ...['Create', 'Remove', 'Get', 'Path', 'Mount', 'Unmount'].map((method): [string, string, RegExp] => [method, '', /^Cannot tell which volume is meant: Name is missing$/]),
    ['Create', '{"Name":"data"', /^Cannot read the message: /],
    ['Create', '["data"]', /^Cannot read the message: not a JSON object$/],
    ['Create', 'null', /^Cannot read the message: not a JSON object$/],
    ['Create', '{"Name":7}', /^Cannot read Name: not a string$/],
    ['Create', '{"Name":"data","Opts":["a=b"]}', /^Cannot read Opts: not a JSON object$/],
    ['Create', '{"Name":"data","Opts":"a=b"}', /^Cannot read Opts: not a JSON object$/],
    ['Create', '{"Name":"data","Opts":{"size":5}}', /^Cannot read the option size: not a string$/],
    ['Create', '{"Name":"data","Opts":{"size":null}}', /^Cannot read the option size: not a string$/],
    ['Mount', '{"Name":"data"}', /^Cannot tell who uses the volume: ID is missing$/],
    ['Mount', '{"Name":"data","ID":""}', /^Cannot tell who uses the volume: ID is missing$/],
    ['Unmount', '{"Name":"data","ID":null}', /^Cannot tell who uses the volume: ID is missing$/],
    ['Unmount', '{"Name":"data","ID":"../x"}', /^Cannot use "..\/x" as ID: only letters, digits and _ . - are allowed, 255 at most$/],
    ['Mount', `{"Name":"data","ID":"${'a'.repeat(256)}"}`, /^Cannot use "a+" as ID: /],
  ];
  for (const [method, body, words] of refused) {
    const { status, type, text } = await served.post(`/VolumeDriver.${method}`, body);
    assert.deepEqual([status, type], [400, TYPE], `${method} ${body}`);
    assert.match((JSON.parse(text) as { Err: string }).Err, words, `${method} ${body}`);
  }
  assert.deepEqual(await served.post('/VolumeDriver.Nothing', '{}'), { status: 404, type: 'text/plain; charset=utf-8', text: 'Cannot do "VolumeDriver.Nothing": no such method\n' });
  assert.equal((await served.post('/VolumeDriver.Create', `{"Name":"data"${' '.repeat(2 << 20)}}`)).status, 413);
  assert.deepEqual(driver.told, []);
});

test('keys are taken in any case, and options named like parts of every object are options', async (t) => {
  const driver = new Listener();
  const served = await serve(t, driver);
  await served.post('/VolumeDriver.Mount', `{"name":"full","id":"${ID}"}`);
  await served.post('/VolumeDriver.Create', '{"NAME":"data","OPTS":{"constructor":"c","__proto__":"p"}}');
  assert.deepEqual(driver.told.map((call) => JSON.stringify(call)), [`["mount","full","${ID}"]`, '["create","data",{"constructor":"c","__proto__":"p"}]']);
});

test('what a driver throws is the error Docker shows, with status 500', async (t) => {
  const fails = async (): Promise<never> => {
    throw new Error('Cannot do it: "the disk" is away');
  };
  const served = await serve(t, Object.assign(new Listener(), { create: fails, remove: fails, list: fails, get: fails, path: fails, mount: fails, unmount: fails, capabilities: () => { throw new Error('Cannot do it: "the disk" is away'); } }));
  for (const method of ['Create', 'Remove', 'List', 'Get', 'Path', 'Mount', 'Unmount', 'Capabilities']) {
    assert.deepEqual(await served.post(`/VolumeDriver.${method}`, `{"Name":"data","ID":"${ID}"}`), { status: 500, type: TYPE, text: '{"Err":"Cannot do it: \\"the disk\\" is away"}\n' }, method);
  }
});

test('what Docker couldn\'t read, or would take for another place, is an error', async (t) => {
  const driver = new Listener();
  const served = await serve(t, driver);
  for (const mounted of ['', 'full', './full', '../mnt']) {
    driver.mounted = mounted;
    assert.equal((await served.post('/VolumeDriver.Mount', `{"Name":"full","ID":"${ID}"}`)).text, `{"Err":"Cannot mount volume \\"full\\": the driver says it is at ${JSON.stringify(JSON.stringify(mounted)).slice(1, -1)}, which is no absolute path"}\n`);
  }
  for (const [createdAt, words] of [[new Date(Number.NaN), 'an invalid date'], [new Date(Date.UTC(10000, 0)), '+010000-01-01T00:00:00.000Z']] as const) {
    driver.volumes = [{ name: 'full', createdAt }];
    const answer = { status: 500, type: TYPE, text: `{"Err":"Cannot say when volume \\"full\\" was created: the driver says ${words}"}\n` };
    assert.deepEqual([await served.post('/VolumeDriver.Get', '{"Name":"full"}'), await served.post('/VolumeDriver.List', '{}')], [answer, answer]);
  }
});

test('one socket serves a graph driver and a volume driver', async (t) => {
  const served = new Served();
  const handler = new PluginHandler([graphMethods(served.driver), volumeMethods(new Listener())], { pluginDirectory: served.directory });
  t.after(async () => {
    await handler.close();
    await served.close();
  });
  served.socket = await handler.serveUnix('both');
  assert.equal((await served.post('/Plugin.Activate')).text, '{"Implements":["GraphDriver","VolumeDriver"]}\n');
  assert.equal((await served.post('/VolumeDriver.Get', '{"Name":"bare"}')).text, `{"Volume":${BARE},"Err":""}\n`);
  assert.equal((await served.post('/GraphDriver.Exists', '{"ID":"x"}')).text, '{"Exists":false}\n');
});

test('a volume driver is served on TCP, and nothing of it stays when the handler is closed', async (t) => {
  const served = new Served();
  t.after(() => served.close());
  const specDirectory = join(served.directory, 'specs');
  const handler = new VolumeHandler(new Listener(), { specDirectory });
  const address = await handler.serveTcp('volumes', '127.0.0.1:0');
  const answer = await fetch(`${address.replace('tcp:', 'http:')}/VolumeDriver.Path`, { method: 'POST', body: '{"Name":"full"}' });
  assert.equal(await answer.text(), '{"Mountpoint":"/mnt/full","Err":""}\n');
  assert.deepEqual(readdirSync(specDirectory), ['volumes.spec']);
  await handler.close();
  assert.deepEqual(readdirSync(specDirectory), []);
});
