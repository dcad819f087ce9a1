import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { mountsBelow, until } from '../helpers/cli.ts';
import { DockerOnUfs, IMAGE, needsDocker } from './served-driver.ts';

const MIB = 1 << 20;

describe('docker on ufs, short of space', { skip: needsDocker }, () => {
  const docker = DockerOnUfs.during();

  const run = (...argv: string[]): string[] => ['run', '--network', 'none', ...argv];
  const figures = (): { used: number; available: number } => JSON.parse(docker.now.bench.ufs('pool', '--json')) as { used: number; available: number };
  const info = (row: string): string | undefined => new RegExp(`^ *${row}: (.*)$`, 'm').exec(docker.now.dockerd.docker('info'))?.[1];

  test('containers share the pool, and none takes more than is left; docker info shows it', async () => {
    const { bench, dockerd } = docker.now;
    bench.ufs('pool', 'resize', '64m');
    for (const name of ['one', 'two']) dockerd.docker(...run('-d', '--name', name, IMAGE, 'sh', '-c', 'until [ -e /begin ]; do busybox sleep 0.05; done; busybox dd if=/dev/zero of=/big bs=64k count=4000; busybox df -k / | busybox tail -n1; busybox sleep 600'));
    for (const name of ['one', 'two']) dockerd.docker('exec', name, 'sh', '-c', 'echo >/begin');
    const log = (name: string): string => {
      const { out, err } = dockerd.try('logs', name);
      return out + err;
    };
    for (const name of ['one', 'two']) await until(() => log(name).includes('100%'), `${name} is full`);
    for (const name of ['one', 'two']) assert.match(log(name), /No space left on device/);
    const written = ['one', 'two'].map((name) => Number(dockerd.docker('exec', name, 'busybox', 'stat', '-c', '%s', '/big')));
    const sum = written.reduce((a, b) => a + b);
    assert.ok(sum > 55 * MIB && sum <= 64 * MIB, written.join(', '));
    assert.deepEqual([info('Pool Space Total'), info('Pool Space Used'), info('Pool Space Available')], ['67.11MB', '67.11MB', '0B']);
  });

  test('then no container is made, nothing loaded, built or committed, with figures; those that run go on', () => {
    const { bench, dockerd } = docker.now;
    const full = /67\.\d+MB of the pool's 67\.11MB are used/;
    bench.sh('mkdir -p more; head -c 3M /dev/urandom >more/random; tar -cf more.tar -C more .; printf "FROM %s\\nCOPY random /\\n" ' + `${IMAGE} >more/Dockerfile`);
    for (const argv of [run('--rm', IMAGE), ['import', 'more.tar', 'more'], ['commit', 'one', 'committed'], ['build', '-q', '--network', 'none', 'more']]) {
      const { code, err } = dockerd.try(...argv);
      assert.notEqual(code, 0, argv.join(' '));
      assert.match(err, full, argv.join(' '));
    }
    assert.equal(dockerd.docker('exec', 'one', 'sh', '-c', 'echo over | busybox dd of=/big conv=notrunc 2>/dev/null; busybox head -c 4 /big'), 'over');
  });

  test('a larger pool is there at once, and a smaller one only as far as it is used', () => {
    const { bench, dockerd } = docker.now;
    assert.match(bench.try('pool', 'resize', '32m').err, /Cannot resize the pool to 33\.55MB: 67\.11MB are used/);
    bench.ufs('pool', 'resize', '72m');
    dockerd.docker('exec', 'one', 'busybox', 'dd', 'if=/dev/zero', 'of=/more', 'bs=64k', 'count=16');
    dockerd.docker('rm', '-f', 'one', 'two');
    bench.ufs('pool', 'resize', '32m');
    dockerd.docker('import', 'more.tar', 'more');
    assert.equal(dockerd.docker(...run('--rm', IMAGE, 'echo', 'runs')), 'runs\n');
  });

  test('what is to stay free is left by new containers', async () => {
    docker.now.bench.ufs('pool', 'resize', '64m');
    await docker.now.restart('stop', { flags: ['--storage-opt', 'min_free_space=99%'] });
    assert.match(docker.now.dockerd.try(...run('--rm', IMAGE)).err, /MB are free, and 66\.44MB are to stay free; remove images or containers, or change min_free_space/);
    assert.equal(info('Minimum Free Space'), '66.44MB');
    await docker.now.restart('stop');
    docker.now.dockerd.docker(...run('--rm', IMAGE));
  });

  test('what docker removed, and nobody could delete yet, is counted and deleted after a restart', async () => {
    const { bench, dockerd, driver } = docker.now;
    const id = dockerd.docker('create', '--network', 'none', IMAGE).trim();
    const upper = dockerd.docker('inspect', '--format', '{{.GraphDriver.Data.UpperDir}}', id).trim();
    bench.sh(`touch ${upper}/stuck; chattr +i ${upper}/stuck`);
    try {
      dockerd.docker('rm', id);
      assert.equal(info('Deferred Deleted Layer Count'), '1');
      await driver.end('SIGKILL');
    } finally {
      bench.sh('chattr -i $(find store -name stuck)');
    }
    await driver.start();
    await until(() => readdirSync(bench.path('store/trash')).length === 0, 'it is deleted');
    assert.equal(info('Deferred Deleted Layer Count'), '0');
  });

  test('nothing is left of what was removed', () => {
    const { bench, dockerd, driver } = docker.now;
    dockerd.docker('system', 'prune', '-af');
    assert.deepEqual([mountsBelow(driver.runDirectory), bench.ufs('containers', '--json').trim(), figures().used], [[], '[]', 0]);
    assert.match(bench.ufs('check'), /The store is sound: 0 layers/);
  });
});
