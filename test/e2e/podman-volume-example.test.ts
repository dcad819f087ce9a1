import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench } from '../helpers/cli.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import { ExampleVolumes } from './example-volumes.ts';
import { Podman } from './podman.ts';

describe('podman on the example of a volume driver', { skip: needsRootAndFuse || needsProgram('podman') || needsProgram('runc') }, () => {
  const bench = new Bench();
  let podman: Podman;
  let driver: ExampleVolumes;
  before(async () => {
    bench.sh('mkdir -p root/bin root/seed && cp /bin/busybox root/bin/ && ln -s busybox root/bin/sh && echo seed >root/seed/file && chown 1000:1001 root/seed/file && tar -C root -cf root.tar .');
    driver = await ExampleVolumes.start(bench, 'unix');
    podman = new Podman(bench, 'podman');
    fs.appendFileSync(`${podman.directory}/containers.conf`, `[engine.volume_plugins]\nexample = "${driver.discovery[0]}"\n`);
    podman.podman('import', '-q', bench.path('root.tar'), 'base');
  });
  after(async () => {
    await podman?.close();
    await driver?.stop();
    bench.close();
  });

  const inspect = (volume: string): Record<string, unknown> => (JSON.parse(podman.podman('volume', 'inspect', volume)) as [Record<string, unknown>])[0];

  test('a volume is created with options, used, copied into, and removed', () => {
    podman.podman('volume', 'create', '--driver', 'example', '-o', 'mode=1777', 'shared');
    const { Driver, Options, Status } = inspect('shared');
    assert.deepEqual({ Driver, Options, Status }, { Driver: 'example', Options: { mode: '1777' }, Status: { mode: '1777', holders: 0 } });
    assert.match(podman.podman('volume', 'ls', '--format', '{{.Driver}} {{.Name}}'), /^example shared$/m);
    podman.podman('run', '-d', '--name', 'live', '-v', 'shared:/data', 'base', 'busybox', 'sleep', '600');
    podman.podman('run', '--rm', '-u', '1000:1001', '-v', 'shared:/data', 'base', 'sh', '-c', 'echo of a user >/data/user');
    bench.sh('echo copied >copied');
    podman.podman('cp', 'copied', 'live:/data/copied');
    assert.equal(podman.podman('exec', 'live', 'busybox', 'cat', '/data/user', '/data/copied'), 'of a user\ncopied\n');
    assert.deepEqual(inspect('shared')['Status'], { mode: '1777', holders: 1 });
    assert.match(podman.try('volume', 'rm', 'shared').err, /volume is being used/);
    podman.podman('rm', '-f', '-t', '0', 'live');
    assert.deepEqual(inspect('shared')['Status'], { mode: '1777', holders: 0 });
    podman.podman('volume', 'rm', 'shared');
    assert.deepEqual(driver.volumes, []);
  });

  test('a new volume gets what the image has there, and what the driver refuses podman shows in its words', () => {
    podman.podman('volume', 'create', '--driver', 'example', 'seeded');
    assert.equal(podman.podman('run', '--rm', '-v', 'seeded:/seed', 'base', 'busybox', 'stat', '-c', '%n %u:%g', '/seed/file'), '/seed/file 1000:1001\n');
    podman.podman('volume', 'rm', 'seeded');
    assert.match(podman.try('volume', 'create', '--driver', 'example', '-o', 'colour=red', 'refused').err, /Cannot use option "colour" for volume "refused": there is "mode" alone/);
    assert.deepEqual(driver.volumes, []);
  });
});
