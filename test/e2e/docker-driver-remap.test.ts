import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { Dockerd, DOCKERD } from './dockerd.ts';
import { SAYS, writeContext } from './sample-image.ts';
import { ServedDriver } from './served-driver.ts';

const IMAGE = 'sample:1';

/** The first id somebody may give to others (/etc/subuid). */
function firstSubordinate(file: string): number {
  return Number(/^dockremap:(\d+):/m.exec(readFileSync(file, 'utf8'))?.[1]);
}

describe('docker with --userns-remap on ufs', { skip: needsRootAndFuse || (existsSync(DOCKERD) ? false : `needs ${DOCKERD}`) }, () => {
  let bench: Bench;
  let driver: ServedDriver;
  let dockerd: Dockerd;
  before(async () => {
    bench = new Bench();
    writeContext(bench);
    // Root of the containers has to get through.
    bench.sh(`chmod 711 ${bench.directory}`);
    driver = await ServedDriver.start(bench);
    const unmapped = await Dockerd.start(bench, 'unmapped', driver.daemon);
    try {
      unmapped.docker('build', '-q', '--network', 'none', '-t', IMAGE, 'context');
      unmapped.docker('save', '-o', 'saved.tar', IMAGE);
    } finally {
      await unmapped.stop();
    }
    dockerd = await Dockerd.start(bench, 'mapped', { ...driver.daemon, flags: [...driver.daemon.flags, '--userns-remap=default'] });
  });
  after(async () => {
    await dockerd?.stop();
    await driver?.stop();
    bench.close();
  });

  test('an image of a daemon without it is loaded, and its content is stored once', () => {
    const before = bench.ufs('layers', '--json');
    dockerd.docker('load', '-q', '-i', 'saved.tar');
    assert.equal(bench.ufs('layers', '--json'), before);
    assert.equal(dockerd.runImage(IMAGE), SAYS);
  });

  test('root of a container is another user outside; on disk its files are root\'s', () => {
    const id = dockerd.docker('run', '-d', '--network', 'none', IMAGE, 'sh', '-c', 'echo x >/made; echo y >/given; chown 1000:1001 /given; chmod 4755 /given; mkdir -m 2770 /dir; echo z >>/keep/lower; exec busybox sleep 600').trim();
    try {
      assert.equal(dockerd.docker('exec', id, 'busybox', 'stat', '-c', '%u:%g %a', '/made', '/given', '/dir', '/keep/lower', '/keep/two'), '0:0 644\n1000:1001 4755\n0:0 2770\n0:0 644\n5:6 644\n');
      const [uid, gid] = [firstSubordinate('/etc/subuid'), firstSubordinate('/etc/subgid')];
      const { MergedDir, UpperDir } = JSON.parse(dockerd.docker('inspect', '--format', '{{json .GraphDriver.Data}}', id)) as { MergedDir: string; UpperDir: string };
      const owners = (directory: string): string => bench.sh(`cd ${directory}; stat -c '%u:%g %a' made given dir keep/lower`);
      assert.equal(owners(MergedDir), `${uid}:${gid} 644\n${uid + 1000}:${gid + 1001} 4755\n${uid}:${gid} 2770\n${uid}:${gid} 644\n`);
      assert.equal(owners(UpperDir), '0:0 644\n1000:1001 4755\n0:0 2770\n0:0 644\n');
      assert.match(dockerd.docker('exec', '-u', '1000', id, 'sh', '-c', 'echo no >/keep/lower; :; echo mine >/tmp/mine; busybox stat -c %u /tmp/mine'), /^1000\n$/);
      bench.sh('echo copied >copied');
      dockerd.docker('cp', 'copied', `${id}:/copied`);
      dockerd.docker('commit', id, 'changed:1');
      assert.equal(dockerd.runImage('changed:1', 'busybox', 'stat', '-c', '%u:%g %a', '/given', '/copied'), '1000:1001 4755\n0:0 644\n');
    } finally {
      dockerd.docker('rm', '-f', id);
    }
  });

  test('both builders work', () => {
    bench.sh(`mkdir child; printf 'FROM ${IMAGE}\\nRUN chown -R 7:8 /keep && rm -rf /kinds\\nUSER 1000\\nRUN echo mine >/tmp/mine\\n' >child/Dockerfile`);
    for (const kit of [false, true]) {
      dockerd.buildKit = kit;
      dockerd.docker('build', '-q', '--network', 'none', '-t', `child:${kit}`, 'child');
      assert.equal(dockerd.runImage(`child:${kit}`, 'busybox', 'stat', '-c', '%u:%g', '/tmp/mine', '/keep/two'), '1000:0\n7:8\n');
    }
  });
});
