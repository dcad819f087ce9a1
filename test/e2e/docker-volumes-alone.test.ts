import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { processesWith } from '../helpers/processes.ts';
import { Dockerd } from './dockerd.ts';
import { needsDocker, ServedDriver } from './served-driver.ts';

/** `ufs serve --volumes` for a daemon whose images are another driver's. */
describe('docker volumes on ufs beside another graph driver', { skip: needsDocker }, () => {
  let bench: Bench;
  let driver: ServedDriver;
  let dockerd: Dockerd;
  before(async () => {
    bench = new Bench();
    bench.sh('mkdir -p image/{bin,content,tmp,proc,sys,dev,etc} seed; cp /bin/busybox image/bin/; ln -s busybox image/bin/sh; echo of the image >image/content/file; tar -cf image.tar -C image .; echo lower >seed/lower; tar -cf seed.tar -C seed .');
    driver = await ServedDriver.start(bench, '--volumes');
    dockerd = await Dockerd.start(bench, 'dockerd');
    dockerd.docker('import', 'image.tar', 'image');
  });
  after(async () => {
    await dockerd?.stop();
    await driver?.stop();
    bench.close();
  });
  const live = (...argv: string[]): string => dockerd.docker('run', '-d', '--network', 'none', '--stop-timeout', '1', ...argv, 'image', '/bin/busybox', 'sleep', '600').trim();
  const exec = (container: string, script: string): string => dockerd.docker('exec', container, '/bin/sh', '-c', script);
  const mounted = (): string[] => mountsBelow(driver.runDirectory);

  test('have the content of an image of Docker or of a tar, and keep what is written', () => {
    const id = live('--volume-driver', driver.name, '-v', 'content:/content', '--mount', `type=volume,src=seeded,dst=/seeded,volume-driver=${driver.name},volume-opt=from=${bench.path('seed.tar')}`);
    assert.equal(exec(id, '/bin/busybox cat /content/file /seeded/lower; echo more >>/seeded/lower; echo more >>/content/file'), 'of the image\nlower\n');
    dockerd.docker('rm', '-f', id);
    assert.equal(dockerd.docker('run', '--rm', '--network', 'none', '-v', 'content:/c', '-v', 'seeded:/s:ro', 'image', '/bin/busybox', 'cat', '/c/file', '/s/lower'), 'of the image\nmore\nlower\nmore\n');
    assert.deepEqual(mounted(), []);
    dockerd.docker('volume', 'rm', 'content', 'seeded');
  });

  test('are there again when what serves their mounts, and everything else, was killed', async () => {
    const id = live('--volume-driver', driver.name, '-v', 'kept:/v');
    exec(id, 'echo one >/v/file; /bin/busybox sync');
    for (const pid of driver.mountServers()) process.kill(pid, 'SIGKILL');
    await driver.end('SIGKILL');
    await dockerd.kill();
    await driver.start();
    dockerd = await Dockerd.start(bench, 'dockerd');
    dockerd.docker('start', id);
    assert.equal(exec(id, '/bin/busybox cat /v/file'), 'one\n');
    for (const pid of driver.mountServers()) process.kill(pid, 'SIGKILL');
    await until(() => driver.mountServers().length === 0, 'the mount server is gone');
    dockerd.docker('restart', '-t', '0', id);
    assert.equal(exec(id, '/bin/busybox cat /v/file'), 'one\n');
    dockerd.docker('rm', '-f', id);
    dockerd.docker('volume', 'rm', 'kept');
    assert.deepEqual(mounted(), []);
  });

  test('leave nothing behind', async () => {
    await dockerd.stop();
    await driver.stop();
    rmSync(bench.path('dockerd'), { recursive: true, force: true });
    await until(() => processesWith((word) => word.includes(bench.directory)).length === 0, 'every process ends');
    assert.match(bench.ufs('check'), /is sound: 0 layers/);
    assert.deepEqual([mountsBelow(bench.directory), JSON.parse(bench.ufs('containers', '--json'))], [[], []]);
  });
});
