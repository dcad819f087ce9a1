import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Dockerd } from '../e2e/dockerd.ts';
import { needsDocker } from '../e2e/served-driver.ts';
import { Bench } from '../helpers/cli.ts';

/** Docker looks nowhere else. */
const SOCKET = (name: string): string => `/run/docker/plugins/${name}.sock`;

describe('docker on a driver of one\'s own', { skip: needsDocker }, () => {
  const name = `ufs-example-${process.pid}`;
  let bench: Bench;
  let plugin: ChildProcess;
  let dockerd: Dockerd;
  before(async () => {
    bench = new Bench();
    mkdirSync(bench.path('layers'));
    plugin = spawn(process.execPath, [join(import.meta.dirname, 'directory-plugin.js'), name, bench.path('layers')], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(plugin.stdout as NonNullable<typeof plugin.stdout>, 'data');
    dockerd = await Dockerd.start(bench, 'docker', { driver: name, flags: ['--experimental'] });
  });
  after(async () => {
    await dockerd?.stop();
    plugin?.kill('SIGKILL');
    rmSync(SOCKET(name), { force: true });
    bench?.close();
  });

  test('an image is imported, run, changed, committed, saved and removed', () => {
    bench.sh('mkdir -p root/bin && cp /bin/busybox root/bin/ && ln -s busybox root/bin/sh && echo old >root/old && tar -C root -cf root.tar .');
    dockerd.docker('import', '-c', 'ENV PATH=/bin', '-c', 'CMD ["sh"]', bench.path('root.tar'), 'base');
    assert.match(dockerd.docker('info'), new RegExp(`Storage Driver: ${name}\\n {2}Root Dir: ${bench.path('layers')}\\n`));
    // 20 MB: a plugin that answers one call at a time hangs here for ever.
    dockerd.docker('run', '--name', 'work', '--network', 'none', 'base', 'sh', '-c', 'busybox rm /old; busybox dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null; echo new >/new');
    assert.deepEqual(dockerd.docker('diff', 'work').trim().split('\n').sort(), ['A /big', 'A /new', 'D /old']);
    dockerd.docker('commit', 'work', 'committed');
    assert.equal(dockerd.runImage('committed', 'sh', '-c', 'busybox cat /new; busybox wc -c </big; [ -e /old ] || echo gone'), 'new\n20971520\ngone\n');
    dockerd.docker('save', '-o', bench.path('saved.tar'), 'committed');
    dockerd.docker('rm', 'work');
    dockerd.docker('rmi', 'committed', 'base');
    assert.deepEqual(readdirSync(bench.path('layers')), []);
    dockerd.docker('load', '-q', '-i', bench.path('saved.tar'));
    assert.equal(dockerd.runImage('committed', 'busybox', 'cat', '/new'), 'new\n');
  });

  test('the plugin ends when it is told to', async () => {
    await dockerd.stop();
    plugin.kill('SIGTERM');
    assert.deepEqual((await once(plugin, 'exit')) as [number | null], [0, null]);
    assert.equal(existsSync(SOCKET(name)), false);
  });
});
