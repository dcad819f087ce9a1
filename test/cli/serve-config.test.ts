import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { serveConfig } from '../../src/cli/serve-config.ts';
import { PluginClient } from '../docker/client.ts';
import { Bench, until } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';

const MIB = 1 << 20;

describe('the configuration of ufs serve', () => {
  let bench: Bench;
  before(() => (bench = new Bench()));
  after(() => bench.close());

  const write = (name: string, config: unknown): string => {
    fs.writeFileSync(bench.path(name), typeof config === 'string' ? config : JSON.stringify(config));
    return bench.path(name);
  };

  test('is the usual file where no other is named, and none where that is missing', () => {
    assert.deepEqual(serveConfig(undefined, bench.path('none.json')), {});
    const usual = write('usual.json', { docker: 'a', 'storage-opts': ['size=1g'] });
    assert.deepEqual(serveConfig(undefined, usual), { docker: 'a', storageOpts: ['size=1g'] });
    assert.deepEqual(serveConfig(write('other.json', { docker: false, 'run-directory': '/r' }), usual), { runDirectory: '/r' });
  });

  test('that says what nobody knows is refused, naming file and key', () => {
    for (const [config, message] of [
      [{ colour: 'red' }, /wrong\.json: unknown key "colour"; there are docker, volumes, volume-scope, run-directory, plugin-directory, storage-opts$/],
      [{ constructor: 'red' }, /wrong\.json: unknown key "constructor"/],
      [{ 'volume-scope': 'wide' }, /wrong\.json: "volume-scope" has to be "local" or "global"/],
      [{ docker: 1 }, /wrong\.json: "docker" has to be true, false or a name/],
      [{ 'run-directory': '' }, /wrong\.json: "run-directory" has to be a path/],
      [{ 'storage-opts': 'size=1g' }, /wrong\.json: "storage-opts" has to be a list/],
      [{ 'storage-opts': ['colour=red'] }, /wrong\.json: "storage-opts": Unknown option colour/],
      [{ 'storage-opts': ['size=large'] }, /wrong\.json: "storage-opts": Cannot use "large" as a size/],
      [[], /Cannot read the configuration .*wrong\.json: it is no JSON object/],
      ['{', /Cannot read the configuration .*wrong\.json: /],
    ] as const) {
      const { code, err } = bench.try('serve', '--config', write('wrong.json', config));
      assert.deepEqual([code, err.trim().split('\n').length], [1, 1], err);
      assert.match(err.trim(), message);
    }
    assert.match(bench.try('serve', '--config', 'missing.json').err, /Cannot read the configuration .*missing\.json: ENOENT/);
    assert.match(bench.try('serve', '--storage-opt', 'colour=red').err, /Unknown option colour/);
    assert.ok(!fs.existsSync(bench.path('store')), 'nothing was begun');
  });

  test('gives way to flags, and both to what dockerd says', { skip: needsRootAndFuse }, async () => {
    const name = `ufs-config-${process.pid}`;
    const config = write('ufs.json', { docker: name, 'run-directory': bench.path('run'), 'plugin-directory': bench.path('plugins'), 'storage-opts': ['size=10m', 'min_free_space=1m'] });
    const sizes: number[] = [];
    for (const [flags, opts] of [[[], []], [['--storage-opt', 'size=20m'], []], [['--storage-opt', 'size=20m'], ['size=30m', 'min_free_space=2m']]] as const) {
      const server = bench.start('serve', '--config', config, ...flags);
      await until(() => server.result.err.includes('serving Docker'), `ufs serve says that it serves Docker: ${server.result.err}`);
      const driver = new PluginClient(bench.path('plugins', `${name}.sock`));
      try {
        await driver.call('Init', { Home: '/home', Opts: opts });
        await driver.call('CreateReadWrite', { ID: 'c' });
        const { Metadata } = await driver.call<{ Metadata: Record<string, string> }>('GetMetadata', { ID: 'c' });
        sizes.push(Number(Metadata['QuotaBytes']) / MIB);
        await driver.call('Remove', { ID: 'c' });
        const rows = new Map((await driver.call<{ Status: [string, string][] }>('Status')).Status);
        assert.equal(rows.get('Minimum Free Space'), opts.length === 0 ? '1.049MB' : '2.097MB');
      } finally {
        driver.close();
        server.kill('SIGTERM');
        await server.ended;
      }
    }
    assert.deepEqual(sizes, [10, 20, 30]);
  });
});
