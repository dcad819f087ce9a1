import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, mountsBelow } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { Dockerd, DOCKERD } from './dockerd.ts';
import { SAYS, writeContext } from './sample-image.ts';
import { ServedDriver } from './served-driver.ts';

const IMAGE = 'sample:1';

describe('docker on ufs, when one of them is started again', { skip: needsRootAndFuse || (existsSync(DOCKERD) ? false : `needs ${DOCKERD}`) }, () => {
  let bench: Bench;
  let driver: ServedDriver;
  let dockerd: Dockerd;
  before(async () => {
    bench = new Bench();
    writeContext(bench);
    driver = await ServedDriver.start(bench);
    dockerd = await Dockerd.start(bench, 'dockerd', driver.daemon);
    dockerd.docker('build', '-q', '--network', 'none', '-t', IMAGE, 'context');
  });
  after(async () => {
    await dockerd?.stop();
    await driver?.stop();
    bench.close();
  });

  const live = (...flags: string[]): string => dockerd.docker('run', '-d', '--network', 'none', '--stop-timeout', '1', ...flags, IMAGE, 'busybox', 'sleep', '600').trim();
  const restart = async (how: 'stop' | 'kill', ...flags: string[]): Promise<void> => {
    await dockerd[how]();
    dockerd = await Dockerd.start(bench, 'dockerd', { ...driver.daemon, flags: [...driver.daemon.flags, ...flags] });
  };

  test('a container goes on after docker restart with what it wrote', () => {
    const id = live();
    dockerd.docker('exec', id, 'sh', '-c', 'echo kept >/kept');
    dockerd.docker('restart', '-t', '0', id);
    assert.equal(dockerd.docker('exec', id, 'cat', '/kept'), 'kept\n');
    dockerd.docker('rm', '-f', id);
  });

  test('images and containers are there after dockerd was stopped, or killed while a container ran', async () => {
    for (const how of ['stop', 'kill'] as const) {
      const id = live('--name', how);
      dockerd.docker('exec', id, 'sh', '-c', 'echo kept >/kept');
      await restart(how);
      assert.equal(dockerd.runImage(IMAGE), SAYS);
      dockerd.docker('start', id);
      assert.equal(dockerd.docker('exec', id, 'cat', '/kept'), 'kept\n');
      assert.deepEqual(dockerd.docker('diff', id), 'A /kept\n');
      dockerd.docker('rm', '-f', id);
    }
    assert.deepEqual(mountsBelow(driver.runDirectory), []);
  });

  test('with live-restore a container runs on, on the same mount, while dockerd is started again', async () => {
    await restart('stop', '--live-restore');
    const id = live();
    dockerd.docker('exec', id, 'sh', '-c', 'echo before >/kept');
    await restart('stop', '--live-restore');
    assert.equal(dockerd.docker('exec', id, 'cat', '/kept'), 'before\n');
    dockerd.docker('exec', id, 'sh', '-c', 'echo after >>/kept');
    await restart('kill', '--live-restore');
    assert.equal(dockerd.docker('exec', id, 'cat', '/kept'), 'before\nafter\n');
    dockerd.docker('rm', '-f', id);
    await restart('stop');
    assert.deepEqual(mountsBelow(driver.runDirectory), []);
  });

  test('after the driver was killed between calls dockerd goes on with it', async () => {
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const id = dockerd.docker('create', '--network', 'none', IMAGE, 'cat', '/d/fresh').trim();
      await driver.end(signal);
      await driver.start();
      assert.equal(dockerd.docker('start', '-a', id), 'fresh\n');
      dockerd.docker('rm', id);
      assert.equal(dockerd.runImage(IMAGE), SAYS);
    }
  });
});
