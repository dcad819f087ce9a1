import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, test } from 'node:test';
import { mountsBelow, until } from '../helpers/cli.ts';
import { SAYS } from './sample-image.ts';
import { DockerOnUfs, IMAGE, needsDocker } from './served-driver.ts';

describe('docker on ufs, when one of them is started again', { skip: needsDocker }, () => {
  const docker = DockerOnUfs.during();

  const live = (...flags: string[]): string => docker.now.dockerd.docker('run', '-d', '--network', 'none', '--stop-timeout', '1', ...flags, IMAGE, 'busybox', 'sleep', '600').trim();
  const restart = (how: 'stop' | 'kill', ...flags: string[]): Promise<void> => docker.now.restart(how, { flags });

  test('a container goes on after docker restart with what it wrote', () => {
    const id = live();
    docker.now.dockerd.docker('exec', id, 'sh', '-c', 'echo kept >/kept');
    docker.now.dockerd.docker('restart', '-t', '0', id);
    assert.equal(docker.now.dockerd.docker('exec', id, 'cat', '/kept'), 'kept\n');
    docker.now.dockerd.docker('rm', '-f', id);
  });

  test('images and containers are there after dockerd was stopped, or killed while a container ran', async () => {
    for (const how of ['stop', 'kill'] as const) {
      const id = live('--name', how);
      docker.now.dockerd.docker('exec', id, 'sh', '-c', 'echo kept >/kept');
      await restart(how);
      assert.equal(docker.now.dockerd.runImage(IMAGE), SAYS);
      docker.now.dockerd.docker('start', id);
      assert.equal(docker.now.dockerd.docker('exec', id, 'cat', '/kept'), 'kept\n');
      assert.deepEqual(docker.now.dockerd.docker('diff', id), 'A /kept\n');
      docker.now.dockerd.docker('rm', '-f', id);
    }
    assert.deepEqual(mountsBelow(docker.now.driver.runDirectory), []);
  });

  test('with live-restore a container runs on, on the same mount, while dockerd is started again', async () => {
    await restart('stop', '--live-restore');
    const id = live();
    docker.now.dockerd.docker('exec', id, 'sh', '-c', 'echo before >/kept');
    await restart('stop', '--live-restore');
    assert.equal(docker.now.dockerd.docker('exec', id, 'cat', '/kept'), 'before\n');
    docker.now.dockerd.docker('exec', id, 'sh', '-c', 'echo after >>/kept');
    await restart('kill', '--live-restore');
    assert.equal(docker.now.dockerd.docker('exec', id, 'cat', '/kept'), 'before\nafter\n');
    docker.now.dockerd.docker('rm', '-f', id);
    await restart('stop');
    assert.deepEqual(mountsBelow(docker.now.driver.runDirectory), []);
  });

  test('a container runs on while the driver is stopped, killed and started again, and its mount goes with it', async () => {
    const running = live();
    docker.now.dockerd.docker('exec', '-d', running, 'sh', '-c', 'while :; do echo >>/counted; busybox sleep 0.1; done');
    docker.now.dockerd.docker('exec', running, 'sh', '-c', 'echo began >/kept');
    const [root] = mountsBelow(docker.now.driver.runDirectory);
    await until(() => fs.existsSync(`${root}/counted`), 'the container counts');
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await docker.now.driver.end(signal);
      // Docker asks the driver at each exec: what the container does is seen through its mount.
      const counted = fs.statSync(`${root}/counted`).size;
      await until(() => fs.statSync(`${root}/counted`).size > counted, 'the container counts on');
      fs.appendFileSync(`${root}/kept`, `${signal}\n`);
      await docker.now.driver.start();
    }
    assert.equal(docker.now.dockerd.docker('diff', running), 'A /counted\nA /kept\n');
    docker.now.dockerd.docker('restart', '-t', '0', running);
    assert.equal(docker.now.dockerd.docker('exec', running, 'cat', '/kept'), 'began\nSIGKILL\nSIGTERM\n');
    docker.now.dockerd.docker('rm', '-f', running);
    assert.deepEqual(mountsBelow(docker.now.driver.runDirectory), []);
  });

  test('a container whose mount server was killed goes on after docker restart with what it wrote', async () => {
    const id = live();
    docker.now.dockerd.docker('exec', id, 'sh', '-c', 'echo kept >/kept');
    for (const pid of docker.now.driver.mountServers()) process.kill(pid, 'SIGKILL');
    await until(() => docker.now.driver.mountServers().length === 0, 'the mount server is gone');
    docker.now.dockerd.docker('restart', '-t', '0', id);
    assert.equal(docker.now.dockerd.docker('exec', id, 'cat', '/kept'), 'kept\n');
    docker.now.dockerd.docker('rm', '-f', id);
  });

  test('after the driver was killed between calls dockerd goes on with it', async () => {
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const id = docker.now.dockerd.docker('create', '--network', 'none', IMAGE, 'cat', '/d/fresh').trim();
      await docker.now.driver.end(signal);
      await docker.now.driver.start();
      assert.equal(docker.now.dockerd.docker('start', '-a', id), 'fresh\n');
      docker.now.dockerd.docker('rm', id);
      assert.equal(docker.now.dockerd.runImage(IMAGE), SAYS);
    }
  });

  test('when everything is removed nothing stays', async () => await docker.now.checkNothingStays());
});
