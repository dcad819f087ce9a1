import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { until } from '../helpers/cli.ts';
import { SAYS } from './sample-image.ts';
import { DockerOnUfs, IMAGE, needsDocker } from './served-driver.ts';

/** The first id somebody may give to others (/etc/subuid). */
function firstSubordinate(file: string): number {
  return Number(/^dockremap:(\d+):/m.exec(readFileSync(file, 'utf8'))?.[1]);
}

describe('docker with --userns-remap on ufs', { skip: needsDocker }, () => {
  const docker = DockerOnUfs.during(async (it) => {
    it.dockerd.docker('save', '-o', 'saved.tar', IMAGE);
    await it.restart('stop', { name: 'mapped', flags: ['--userns-remap=default'] });
  });

  test('an image of a daemon without it is loaded, and its content is stored once', () => {
    const before = docker.now.bench.ufs('layers', '--json');
    docker.now.dockerd.docker('load', '-q', '-i', 'saved.tar');
    assert.equal(docker.now.bench.ufs('layers', '--json'), before);
    assert.equal(docker.now.dockerd.runImage(IMAGE), SAYS);
  });

  test('root of a container is another user outside; on disk its files are root\'s', async () => {
    const id = docker.now.dockerd.docker('run', '-d', '--network', 'none', IMAGE, 'sh', '-c', 'echo x >/made; echo y >/given; chown 1000:1001 /given; chmod 4755 /given; mkdir -m 2770 /dir; echo z >>/keep/lower; : >/tmp/ready; exec busybox sleep 600').trim();
    try {
      await until(() => docker.now.dockerd.try('exec', id, 'cat', '/tmp/ready').code === 0, 'the container has made its files');
      assert.equal(docker.now.dockerd.docker('exec', id, 'busybox', 'stat', '-c', '%u:%g %a', '/made', '/given', '/dir', '/keep/lower', '/keep/two'), '0:0 644\n1000:1001 4755\n0:0 2770\n0:0 644\n5:6 644\n');
      const [uid, gid] = [firstSubordinate('/etc/subuid'), firstSubordinate('/etc/subgid')];
      const { MergedDir, UpperDir } = JSON.parse(docker.now.dockerd.docker('inspect', '--format', '{{json .GraphDriver.Data}}', id)) as { MergedDir: string; UpperDir: string };
      const owners = (directory: string): string => docker.now.bench.sh(`cd ${directory}; stat -c '%u:%g %a' made given dir keep/lower`);
      assert.equal(owners(MergedDir), `${uid}:${gid} 644\n${uid + 1000}:${gid + 1001} 4755\n${uid}:${gid} 2770\n${uid}:${gid} 644\n`);
      assert.equal(owners(UpperDir), '0:0 644\n1000:1001 4755\n0:0 2770\n0:0 644\n');
      assert.match(docker.now.dockerd.docker('exec', '-u', '1000', id, 'sh', '-c', 'echo no >/keep/lower; :; echo mine >/tmp/mine; busybox stat -c %u /tmp/mine'), /^1000\n$/);
      docker.now.bench.sh('echo copied >copied');
      docker.now.dockerd.docker('cp', 'copied', `${id}:/copied`);
      docker.now.dockerd.docker('commit', id, 'changed:1');
      assert.equal(docker.now.dockerd.runImage('changed:1', 'busybox', 'stat', '-c', '%u:%g %a', '/given', '/copied'), '1000:1001 4755\n0:0 644\n');
    } finally {
      docker.now.dockerd.docker('rm', '-f', id);
    }
  });

  test('a volume with the same maps is root\'s of a container, and on disk root\'s', () => {
    const { bench, dockerd, driver } = docker.now;
    const maps = (['uid', 'gid'] as const).map((kind) => `${kind}map=0:${firstSubordinate(`/etc/sub${kind}`)}:65536`);
    for (const [name, options] of [['mapped', maps], ['unmapped', []]] as const) dockerd.docker('volume', 'create', '-d', driver.name, ...options.flatMap((option) => ['-o', option]), name);
    dockerd.docker('run', '--rm', '--network', 'none', '-v', 'mapped:/v', IMAGE, 'sh', '-c', 'echo x >/v/made; echo y >/v/given; chown 1000:1001 /v/given');
    assert.equal(dockerd.docker('run', '--rm', '--network', 'none', '-v', 'mapped:/v', IMAGE, 'busybox', 'stat', '-c', '%u:%g', '/v', '/v/made', '/v/given'), '0:0\n0:0\n1000:1001\n');
    const [{ upper }] = JSON.parse(bench.ufs('volume', 'inspect', 'mapped')) as [{ upper: string }];
    assert.equal(bench.sh(`cd ${upper}; stat -c %u:%g made given`), '0:0\n1000:1001\n');
    assert.notEqual(dockerd.try('run', '--rm', '--network', 'none', '-v', 'unmapped:/v', IMAGE, 'sh', '-c', 'echo x >/v/made').code, 0);
    dockerd.docker('volume', 'rm', 'mapped', 'unmapped');
  });

  test('both builders work', () => {
    docker.now.bench.sh(`mkdir child; printf 'FROM ${IMAGE}\\nRUN chown -R 7:8 /keep && rm -rf /kinds\\nUSER 1000\\nRUN echo mine >/tmp/mine\\n' >child/Dockerfile`);
    for (const kit of [false, true]) {
      docker.now.dockerd.buildKit = kit;
      docker.now.dockerd.docker('build', '-q', '--network', 'none', '-t', `child:${kit}`, 'child');
      assert.equal(docker.now.dockerd.runImage(`child:${kit}`, 'busybox', 'stat', '-c', '%u:%g', '/tmp/mine', '/keep/two'), '1000:0\n7:8\n');
    }
  });

  test('when everything is removed nothing stays, of the daemon without it neither', async () => {
    docker.now.clean();
    await docker.now.restart('stop');
    await docker.now.checkNothingStays();
  });
});
