import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { PluginClient } from '../docker/client.ts';
import { Bench } from '../helpers/cli.ts';
import { needsProgram } from '../helpers/needs.ts';
import { Dockerd } from './dockerd.ts';
import { ExampleVolumes, TRANSPORTS } from './example-volumes.ts';
import { needsDocker } from './served-driver.ts';

interface Inspected {
  CreatedAt: string;
  Driver: string;
  Labels: Record<string, string> | null;
  Mountpoint: string;
  Options: Record<string, string> | null;
  Scope: string;
  Status: { mode: string; holders: number };
}

describe('docker on the example of a volume driver', { skip: needsDocker || needsProgram('openssl') }, () => {
  const bench = new Bench();
  const drivers = new Map<string, ExampleVolumes>();
  let dockerd: Dockerd;
  before(async () => {
    bench.sh('mkdir -p root/bin root/seed/below && cp /bin/busybox root/bin/ && ln -s busybox root/bin/sh && echo seed >root/seed/file && echo deep >root/seed/below/deep && chown -R 1000:1001 root/seed && chmod 2750 root/seed/below && tar -C root -cf root.tar .');
    for (const transport of TRANSPORTS) drivers.set(transport, await ExampleVolumes.start(bench, transport));
    dockerd = await Dockerd.start(bench, 'docker');
    dockerd.docker('import', '-c', 'ENV PATH=/bin', '-c', 'CMD ["sh"]', bench.path('root.tar'), 'base');
  });
  after(async () => {
    await dockerd?.stop();
    for (const driver of drivers.values()) await driver.stop();
    bench.close();
  });

  const of = (transport: string): ExampleVolumes => drivers.get(transport) as ExampleVolumes;
  const run = (...argv: string[]): string => dockerd.docker('run', '--rm', '--network', 'none', ...argv);
  const live = (name: string, ...argv: string[]): string => dockerd.docker('run', '-d', '--name', name, '--network', 'none', '--stop-timeout', '1', ...argv, 'base', 'busybox', 'sleep', '600').trim();
  const exec = (name: string, script: string): string => dockerd.docker('exec', name, 'sh', '-c', script);
  const inspect = (volume: string): Inspected => (JSON.parse(dockerd.docker('volume', 'inspect', volume)) as [Inspected])[0];
  const holders = (volume: string): number => inspect(volume).Status.holders;
  const refused = (...argv: string[]): string => {
    const { code, err } = dockerd.try(...argv);
    assert.notEqual(code, 0, argv.join(' '));
    return err;
  };

  for (const transport of TRANSPORTS) {
    const volume = `${transport}-shared`;

    test(`${transport}: a volume is created with options, inspected, and listed`, () => {
      const { name, root } = of(transport);
      const began = Date.now();
      assert.equal(dockerd.docker('volume', 'create', '-d', name, '-o', 'mode=1777', '--label', 'of=us', volume), `${volume}\n`);
      const { CreatedAt, ...rest } = inspect(volume);
      assert.deepEqual(rest, { Driver: name, Labels: { of: 'us' }, Mountpoint: `${root}/${volume}/data`, Name: volume, Options: { mode: '1777' }, Scope: 'local', Status: { mode: '1777', holders: 0 } });
      assert.match(CreatedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/);
      assert.ok(Date.parse(CreatedAt) >= began - 1000 && Date.parse(CreatedAt) <= Date.now(), CreatedAt);
      assert.equal(dockerd.docker('volume', 'ls', '-f', `driver=${name}`, '--format', '{{.Driver}} {{.Name}}'), `${name} ${volume}\n`);
      assert.equal(dockerd.docker('volume', 'create', '-d', name, volume), `${volume}\n`, 'a volume that is there is used as it is');
      assert.equal(inspect(volume).Status.mode, '1777');
    });

    test(`${transport}: root and uid 1000 write to it, and containers share it`, () => {
      run('-v', `${volume}:/data`, 'base', 'sh', '-c', 'echo of root >/data/root');
      run('-u', '1000:1001', '-v', `${volume}:/data`, 'base', 'sh', '-c', 'busybox cat /data/root; echo of a user >/data/user; busybox rm /data/root 2>/dev/null && exit 1; true');
      assert.equal(run('-v', `${volume}:/data:ro`, 'base', 'sh', '-c', 'busybox stat -c "%n %u:%g" /data/*; echo x >/data/x || echo read-only'), '/data/root 0:0\n/data/user 1000:1001\nread-only\n');
      const [one, two] = ['one', 'two'].map((each) => live(`${transport}-${each}`, '-v', `${volume}:/data`)) as [string, string];
      assert.equal(holders(volume), 2);
      exec(one, 'echo from one >/data/said');
      assert.equal(exec(two, 'busybox cat /data/said'), 'from one\n');
    });

    test(`${transport}: docker cp into and out of a running container takes nothing away from it`, () => {
      const [one, two] = [`${transport}-one`, `${transport}-two`];
      bench.sh('echo copied >copied');
      dockerd.docker('cp', 'copied', `${one}:/data/copied`);
      dockerd.docker('cp', `${two}:/data/copied`, `${transport}-back`);
      assert.equal(fs.readFileSync(bench.path(`${transport}-back`), 'utf8'), 'copied\n');
      assert.equal(holders(volume), 2);
      assert.equal(exec(two, 'echo on >/data/on; busybox cat /data/copied'), 'copied\n');
    });

    test(`${transport}: a volume in use can't be removed, one no container has can`, () => {
      const { root, volumes } = of(transport);
      assert.match(refused('volume', 'rm', volume), new RegExp(`^Error response from daemon: remove ${volume}: volume is in use - \\[[0-9a-f]{64}, [0-9a-f]{64}\\]\n$`));
      dockerd.docker('rm', '-f', `${transport}-one`);
      assert.equal(exec(`${transport}-two`, 'busybox cat /data/said'), 'from one\n');
      dockerd.docker('rm', '-f', `${transport}-two`);
      assert.equal(holders(volume), 0);
      assert.deepEqual(volumes, [volume]);
      assert.equal(fs.readFileSync(`${root}/${volume}/data/user`, 'utf8'), 'of a user\n');
      assert.equal(dockerd.docker('volume', 'rm', volume), `${volume}\n`);
      assert.deepEqual(of(transport).volumes, []);
      assert.equal(refused('volume', 'inspect', volume), `Error: No such volume: ${volume}\n`);
    });

    test(`${transport}: a new volume gets what the image has there, with its owners`, () => {
      const { name, root } = of(transport);
      const seeded = `${transport}-seeded`;
      assert.equal(run('-v', `${seeded}:/seed`, '--volume-driver', name, 'base', 'busybox', 'cat', '/seed/file', '/seed/below/deep'), 'seed\ndeep\n');
      const { uid, gid, mode } = fs.statSync(`${root}/${seeded}/data/below`);
      assert.deepEqual([uid, gid, mode & 0o7777], [1000, 1001, 0o2750]);
      assert.equal(holders(seeded), 0);
      run('-v', `${seeded}:/seed`, 'base', 'sh', '-c', 'echo changed >/seed/file');
      assert.equal(run('-v', `${seeded}:/seed`, 'base', 'busybox', 'cat', '/seed/file'), 'changed\n', 'it is seeded once');
      dockerd.docker('volume', 'rm', seeded);
      const mount = `type=volume,src=${seeded},dst=/data,volume-driver=${name},volume-opt=mode=0700`;
      assert.equal(run('--mount', mount, 'base', 'busybox', 'stat', '-c', '%a', '/data'), '700\n');
      dockerd.docker('volume', 'rm', seeded);
    });

    test(`${transport}: what the driver refuses Docker shows in its words`, () => {
      const { name } = of(transport);
      const create = (option: string): string => refused('volume', 'create', '-d', name, '-o', option, 'refused');
      assert.equal(create('colour=red'), 'Error response from daemon: create refused: VolumeDriver.Create: Cannot use option "colour" for volume "refused": there is "mode" alone\n');
      assert.equal(create('mode=rwx'), 'Error response from daemon: create refused: VolumeDriver.Create: Cannot use "rwx" as mode of volume "refused": give three or four octal digits\n');
      assert.equal(refused('volume', 'create', '-d', name, 'v'.repeat(300)), `Error response from daemon: create ${'v'.repeat(300)}: VolumeDriver.Create: Cannot use "${'v'.repeat(30)}…" as name of a volume: it has 300 characters, and 255 are allowed\n`);
      assert.deepEqual(of(transport).volumes, []);
    });

    test(`${transport}: the driver may be stopped, killed and started again while a container uses a volume`, async () => {
      const driver = of(transport);
      const [kept, id] = [`${transport}-kept`, `${transport}-running`];
      dockerd.docker('volume', 'create', '-d', driver.name, kept);
      live(id, '-v', `${kept}:/data`);
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        assert.equal(await driver.end(signal), signal === 'SIGTERM' ? 0 : null);
        assert.equal(driver.discovery.length, signal === 'SIGTERM' ? 0 : 1);
        exec(id, `echo ${signal} >>/data/log`);
        await driver.start();
        assert.equal(driver.discovery.length, 1);
        assert.equal(holders(kept), 1);
        dockerd.docker('restart', '-t', '0', id);
        assert.equal(holders(kept), 1);
      }
      assert.equal(exec(id, 'busybox cat /data/log'), 'SIGTERM\nSIGKILL\n');
    });
  }

  test('a volume that a container has isn\'t removed, whoever asks', async () => {
    const client = new PluginClient(of('unix').discovery[0] as string);
    const { status, body } = await client.post('/VolumeDriver.Remove', Buffer.from('{"Name":"unix-kept"}'));
    client.close();
    assert.deepEqual([status, body.toString()], [500, '{"Err":"Cannot remove volume \\"unix-kept\\": it is in use"}\n']);
  });

  test('dockerd may be stopped, killed and started again while containers use volumes', async () => {
    const ids = TRANSPORTS.map((transport) => `${transport}-running`);
    const volumes = TRANSPORTS.map((transport) => `${transport}-kept`);
    const started = (): string => dockerd.docker('inspect', '-f', '{{.State.StartedAt}}', ...ids);
    for (const [how, flags] of [['stop', []], ['kill', ['--live-restore']], ['kill', []]] as const) {
      const before = started();
      await dockerd[how]();
      dockerd = await Dockerd.start(bench, 'docker', { flags: [...flags] });
      // With live-restore they go on by themselves.
      dockerd.docker('start', ...ids);
      assert.equal(started() === before, flags.length > 0);
      for (const id of ids) exec(id, 'echo on >>/data/log');
    }
    for (const [index, id] of ids.entries()) {
      assert.equal(exec(id, 'busybox cat /data/log'), 'SIGTERM\nSIGKILL\non\non\non\n', id);
      assert.equal(refused('volume', 'rm', volumes[index] as string).includes('volume is in use'), true);
    }
    assert.deepEqual(volumes.map((volume) => holders(volume)), [1, 1, 1]);
    dockerd.docker('rm', '-f', ...ids);
    // A daemon that is killed doesn't give back what it mounted.
    dockerd.docker('volume', 'rm', ...volumes);
    for (const driver of drivers.values()) assert.deepEqual(driver.volumes, []);
  });

  test('a driver that ends leaves nothing for Docker to find', async () => {
    for (const driver of drivers.values()) {
      assert.equal(await driver.end('SIGTERM'), 0);
      assert.deepEqual(driver.discovery, []);
    }
  });
});
