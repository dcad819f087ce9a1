import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import type { CreateOptions, GraphDriver, InitOptions } from '../../src/plugin/graph-driver.ts';
import { Served } from './served.ts';

/** A driver that keeps nothing but what it was told. */
class Listener implements GraphDriver {
  told: unknown[] = [];

  async init(options: InitOptions): Promise<void> { this.told.push(['init', options]); }
  capabilities(): { reproducesExactDiffs: boolean } { return { reproducesExactDiffs: true }; }
  async create(id: string, options: CreateOptions): Promise<void> { this.told.push(['create', id, { ...options, storageOptions: { ...options.storageOptions } }]); }
  async createReadWrite(id: string, options: CreateOptions): Promise<void> { this.told.push(['createReadWrite', id, { ...options, storageOptions: { ...options.storageOptions } }]); }
  async remove(id: string): Promise<void> { this.told.push(['remove', id]); }
  async get(id: string, mountLabel: string): Promise<string> { this.told.push(['get', id, mountLabel]); return `/run/${id}`; }
  async put(id: string): Promise<void> { this.told.push(['put', id]); }
  async exists(id: string): Promise<boolean> { this.told.push(['exists', id]); return true; }
  async status(): Promise<[string, string][]> { return [['Layers', '2'], ['Layers', 'twice']]; }
  async metadata(id: string): Promise<Record<string, string>> { this.told.push(['metadata', id]); return { WorkDir: '"/w"\n' }; }
  async cleanup(): Promise<void> { this.told.push(['cleanup']); }
  async diff(id: string, parent: string | undefined): Promise<AsyncIterable<Buffer>> { this.told.push(['diff', id, parent]); return (async function* () { yield Buffer.from('an archive'); })(); }
  async changes(id: string, parent: string | undefined): Promise<{ path: Buffer; kind: 'added' | 'deleted' | 'modified' }[]> {
    this.told.push(['changes', id, parent]);
    return (['modified', 'added', 'deleted'] as const).map((kind) => ({ path: Buffer.from(`/${kind}`), kind }));
  }
  async applyDiff(id: string, parent: string | undefined, archive: AsyncIterable<Buffer>): Promise<number> { this.told.push(['applyDiff', id, parent, String(await buffer(archive))]); return 2 ** 40; }
  async diffSize(id: string, parent: string | undefined): Promise<number> { this.told.push(['diffSize', id, parent]); return 0; }
}

const NOTHING = { parent: undefined, mountLabel: '', storageOptions: {} };
const LABEL = 'system_u:object_r:container_file_t:s0:c1,c2';

/** What dockerd sends, what the driver hears, and what dockerd gets. */
const CALLS: readonly [method: string, body: string, told: unknown, answer: string][] = [
  ['Init', '{"Home":"/h","Opts":null,"UIDMaps":null,"GIDMaps":null}', ['init', { home: '/h', options: [], uidMaps: [], gidMaps: [] }], '{}\n'],
  ['Capabilities', '{}', undefined, '{"Capabilities":{"ReproducesExactDiffs":true}}\n'],
  ['Status', '{}', undefined, '{"Status":[["Layers","2"],["Layers","twice"]]}\n'],
  ['Create', '{"ID":"a"}', ['create', 'a', NOTHING], '{}\n'],
  ['Create', '{"ID":"a","Parent":"b","MountLabel":"l","StorageOpt":null}', ['create', 'a', { parent: 'b', mountLabel: 'l', storageOptions: {} }], '{}\n'],
  ['CreateReadWrite', `{"ID":"a-init","Parent":"b","MountLabel":"${LABEL}","StorageOpt":{"size":"10M","SIZE":""}}`, ['createReadWrite', 'a-init', { parent: 'b', mountLabel: LABEL, storageOptions: { size: '10M', SIZE: '' } }], '{}\n'],
  ['Get', `{"ID":"a","MountLabel":"${LABEL}"}`, ['get', 'a', LABEL], '{"Dir":"/run/a"}\n'],
  ['Get', '{"ID":"a"}', ['get', 'a', ''], '{"Dir":"/run/a"}\n'],
  ['Put', '{"ID":"a"}', ['put', 'a'], '{}\n'],
  ['Exists', '{"ID":"a"}', ['exists', 'a'], '{"Exists":true}\n'],
  ['GetMetadata', '{"ID":"a"}', ['metadata', 'a'], '{"Metadata":{"WorkDir":"\\"/w\\"\\n"}}\n'],
  ['Changes', '{"ID":"a","Parent":"b"}', ['changes', 'a', 'b'], '{"Changes":[{"Path":"/modified","Kind":0},{"Path":"/added","Kind":1},{"Path":"/deleted","Kind":2}]}\n'],
  ['DiffSize', '{"ID":"a","Parent":"b"}', ['diffSize', 'a', 'b'], '{"Size":0}\n'],
  ['DiffSize', '{"ID":"a","Parent":""}', ['diffSize', 'a', undefined], '{"Size":0}\n'],
  ['Diff', '{"ID":"a","Parent":"b"}', ['diff', 'a', 'b'], 'an archive'],
  ['Diff', '{"ID":"a"}', ['diff', 'a', undefined], 'an archive'],
  ['ApplyDiff?id=a&parent=b', 'an archive', ['applyDiff', 'a', 'b', 'an archive'], '{"Size":1099511627776}\n'],
  ['ApplyDiff?id=a&parent=', 'an archive', ['applyDiff', 'a', undefined, 'an archive'], '{"Size":1099511627776}\n'],
  ['Remove', '{"ID":"a"}', ['remove', 'a'], '{}\n'],
  ['Cleanup', '{}', ['cleanup'], '{}\n'],
];

test('each method tells the driver what its message says, and answers with what the driver says', async (t) => {
  const served = await Served.start(t, () => new Listener());
  const driver = served.driver as Listener;
  for (const [method, body, told, answer] of CALLS) {
    assert.deepEqual(await served.post(`/GraphDriver.${method}`, body), {
      status: 200,
      type: method === 'Diff' ? 'application/octet-stream' : 'application/vnd.docker.plugins.v1.2+json',
      text: answer,
    }, `${method} ${body}`);
    assert.deepEqual(driver.told.splice(0), told === undefined ? [] : [told], `${method} ${body}`);
  }
});

test('every key is taken in any case', async (t) => {
  const served = await Served.start(t, () => new Listener());
  const driver = served.driver as Listener;
  for (const change of [(key: string) => key.toLowerCase(), (key: string) => key.toUpperCase()]) {
    for (const [method, body, told, answer] of CALLS) {
      if (method.startsWith('ApplyDiff')) continue;
      const changed = body.replace(/"(ID|Parent|MountLabel|StorageOpt|Home|Opts|UIDMaps|GIDMaps)":/g, (_, key: string) => `"${change(key)}":`);
      assert.equal((await served.post(`/GraphDriver.${method}`, changed)).text, answer, changed);
      assert.deepEqual(driver.told.splice(0), told === undefined ? [] : [told], changed);
    }
  }
});

test('an answer of an error leaves the connection to the next call', async (t) => {
  const served = await Served.start(t, () => new Listener());
  const call = (path: string, body: string, method = 'POST', more = ''): string => `${method} ${path} HTTP/1.1\r\nHost: \r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
  const answers = await served.raw([
    call('/GraphDriver.Remove', ''),
    call('/GraphDriver.Remove', '{"ID":"../x"}'),
    call('/GraphDriver.Remove', '[[['),
    call('/GraphDriver.Remove', `{"ID":"a"${' '.repeat(2 << 20)}}`),
    call('/GraphDriver.Nothing', '{"ID":"a"}'),
    call('/GraphDriver.Remove', '{"ID":"a"}', 'PUT'),
    call('/GraphDriver.ApplyDiff?id=.', 'x'.repeat(2 << 20)),
    call('/GraphDriver.Exists', '{"ID":"a"}', 'POST', 'Connection: close\r\n'),
  ].join(''));
  assert.deepEqual(answers.match(/(?<=^HTTP\/1\.1 )\d+|(?<=\nHTTP\/1\.1 )\d+/g), ['400', '400', '400', '413', '404', '405', '400', '200']);
  assert.deepEqual((served.driver as Listener).told, [['exists', 'a']]);
});
