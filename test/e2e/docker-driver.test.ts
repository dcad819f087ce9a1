import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import { treeDifferences } from '../helpers/tree.ts';
import { Dockerd, DOCKERD } from './dockerd.ts';
import { exported, imageTree, SAYS, writeContext } from './sample-image.ts';
import { ServedDriver } from './served-driver.ts';

const IMAGE = 'sample:1';

describe('docker on ufs as its graph driver', { skip: needsRootAndFuse || (existsSync(DOCKERD) ? false : `needs ${DOCKERD}`) }, () => {
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

  const container = (...argv: string[]): string => dockerd.docker('run', '-d', '--network', 'none', ...argv).trim();

  test('tells what it is in docker info', () => {
    assert.match(dockerd.docker('info'), new RegExp(`Storage Driver: ${driver.name}\\n {2}Root Dir: ${bench.store}\\n`));
  });

  test('an image is imported, run as root and as others, and its files belong to who made them', () => {
    dockerd.docker('import', '-c', 'ENV PATH=/bin', '-c', 'CMD ["sh"]', 'context/rootfs.tar', 'imported');
    assert.equal(dockerd.runImage('imported', 'cat', '/d/one'), 'one\n');
    const id = container('-u', '1000:1001', 'imported', 'sh', '-c', 'echo mine >/tmp/mine; exec busybox sleep 600');
    assert.match(dockerd.docker('exec', id, 'busybox', 'stat', '-c', '%u:%g %a', '/tmp/mine'), /^1000:1001 644\n$/);
    dockerd.docker('rm', '-f', id);
  });

  test('the sample, built step by step, says what it should and is as another driver exports it', async () => {
    assert.equal(dockerd.runImage(IMAGE), SAYS);
    const other = await Dockerd.start(bench, 'other');
    try {
      dockerd.docker('save', '-o', 'saved.tar', IMAGE);
      other.docker('load', '-q', '-i', 'saved.tar');
      assert.deepEqual(other.image(IMAGE), dockerd.image(IMAGE));
      other.export(IMAGE, 'exported-by-other');
      dockerd.export(IMAGE, 'exported');
      assert.deepEqual(treeDifferences(exported(imageTree(bench.path('exported-by-other'))), exported(imageTree(bench.path('exported')))), []);
    } finally {
      await other.stop();
    }
  });

  test('exec, cp both ways, diff, commit, export, sizes', () => {
    const id = container('--name', 'work', IMAGE, 'busybox', 'sleep', '600');
    bench.sh('echo copied >copied');
    dockerd.docker('cp', 'copied', 'work:/keep/copied');
    dockerd.docker('exec', 'work', 'rm', '/keep/two');
    dockerd.docker('cp', 'work:/d/fresh', 'fresh');
    assert.equal(bench.sh('cat fresh'), 'fresh\n');
    assert.deepEqual(dockerd.docker('diff', 'work').trim().split('\n').sort(), ['A /keep/copied', 'C /keep', 'D /keep/two']);
    assert.match(dockerd.docker('ps', '-s', '--format', '{{.Size}}'), /^7B \(virtual /);
    dockerd.docker('commit', 'work', 'committed');
    assert.equal(dockerd.runImage('committed', 'sh', '-c', 'cat /keep/copied; test ! -e /keep/two && echo gone'), 'copied\ngone\n');
    assert.match(dockerd.docker('history', '--format', '{{.Size}}', 'committed'), /^7B\n/);
    assert.match(dockerd.docker('inspect', '-s', '--format', '{{.SizeRw}} {{.GraphDriver.Name}}', 'work'), new RegExp(`^7 ${driver.name}\\n$`));
    dockerd.docker('system', 'df');
    dockerd.docker('rm', '-f', id);
  });

  test('a container keeps what it wrote when it is started again', () => {
    const id = container(IMAGE, 'sh', '-c', 'echo line >>/keep/log');
    dockerd.docker('wait', id);
    dockerd.docker('start', '-a', id);
    dockerd.docker('cp', `${id}:/keep/log`, 'log');
    assert.equal(bench.sh('cat log'), 'line\nline\n');
    dockerd.docker('rm', id);
  });

  test('--storage-opt size is a limit, which df shows', () => {
    const out = dockerd.docker('run', '--rm', '--network', 'none', '--storage-opt', 'size=64m', IMAGE, 'sh', '-c',
      'busybox df -k / | busybox tail -n 1; busybox dd if=/dev/zero of=/big bs=1M 2>&1 | busybox grep -o "No space left"; busybox rm /big; echo room >/small; cat /small');
    assert.match(out, / 65536 +[0-9]+ .*\nNo space left\nroom\n$/);
    assert.match(dockerd.try('run', '--rm', '--storage-opt', 'size=lots', IMAGE).err, /Cannot use "lots" as a size/);
  });

  test('BuildKit builds the same tree, and what it built is saved and loaded', () => {
    dockerd.buildKit = true;
    try {
      dockerd.docker('build', '-q', '--network', 'none', '-t', 'kit:1', 'context');
    } finally {
      dockerd.buildKit = false;
    }
    assert.equal(dockerd.runImage('kit:1'), SAYS);
    dockerd.export('kit:1', 'exported-kit');
    const [byStep, byKit] = ['exported', 'exported-kit'].map((path) => new Map([...exported(imageTree(bench.path(path)))].map(([name, line]) => [name, line.replace(/ \d{10}/, '')]))) as [Map<string, string>, Map<string, string>];
    assert.deepEqual(treeDifferences(byStep, byKit), []);
    dockerd.docker('save', '-o', 'kit.tar', 'kit:1');
    const { id } = dockerd.image('kit:1');
    dockerd.docker('rmi', '-f', 'kit:1');
    dockerd.docker('load', '-q', '-i', 'kit.tar');
    assert.equal(dockerd.image('kit:1').id, id);
  });

  test('--squash makes one layer of several', () => {
    bench.sh(`mkdir squash; printf 'FROM ${IMAGE}\\nRUN echo a >/a; rm -rf /keep/to-directory\\nRUN rm /a; echo b >/b\\n' >squash/Dockerfile`);
    dockerd.docker('build', '-q', '--squash', '--network', 'none', '-t', 'squashed', 'squash');
    assert.equal(dockerd.image('squashed').diffIds.length, dockerd.image(IMAGE).diffIds.length + 1);
    assert.equal(dockerd.runImage('squashed', 'sh', '-c', 'cat /b; echo /a* /keep/to-*'), 'b\n/a* /keep/to-*\n');
  });

  test('what is pushed to a registry is pulled by another daemon as the same image, and the other way round', { skip: needsProgram('docker-registry') }, async () => {
    writeFileSync(bench.path('registry.yml'), `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${bench.path('registry')}}}\nhttp: {addr: '127.0.0.1:5099'}\n`);
    const registry = spawn('docker-registry', ['serve', bench.path('registry.yml')], { stdio: 'ignore' });
    let other: Dockerd | undefined;
    try {
      const name = '127.0.0.1:5099/sample:1';
      dockerd.docker('tag', IMAGE, name);
      await until(() => dockerd.try('push', '-q', name).code === 0, 'the registry takes the image');
      other = await Dockerd.start(bench, 'puller');
      other.docker('pull', '-q', name);
      assert.deepEqual(other.image(name), dockerd.image(name));
      other.docker('run', '--name', 'more', '--network', 'none', name, 'sh', '-c', 'echo more >/more; rm /keep/lower');
      const theirs = name.replace(':1', ':2');
      other.docker('commit', 'more', theirs);
      other.docker('push', '-q', theirs);
      dockerd.docker('pull', '-q', theirs);
      assert.deepEqual(dockerd.image(theirs), other.image(theirs));
      assert.equal(dockerd.runImage(theirs, 'sh', '-c', 'cat /more; echo /keep/low*'), 'more\n/keep/low*\n');
    } finally {
      registry.kill();
      await other?.stop();
    }
  });

  test('a commit of 40 MB goes through, eight containers run side by side', async () => {
    const id = container(IMAGE, 'sh', '-c', 'dd if=/dev/urandom of=/big bs=1M count=40 2>/dev/null');
    assert.equal(dockerd.docker('wait', id), '0\n');
    dockerd.docker('commit', id, 'big');
    dockerd.docker('rm', id);
    assert.equal(dockerd.runImage('big', 'sh', '-c', 'wc -c </big'), '41943040\n');
    const many = Array.from({ length: 8 }, (_, index) => container(IMAGE, 'sh', '-c', `echo ${index} >/mine; cat /mine`));
    assert.deepEqual(many.map((each) => dockerd.docker('wait', each)), many.map(() => '0\n'));
    assert.deepEqual(many.map((each) => dockerd.docker('logs', each)), many.map((_, index) => `${index}\n`));
    dockerd.docker('rm', ...many);
  });

  test('when everything is removed nothing is left: no layer, no mount', async () => {
    const all = dockerd.docker('ps', '-aq').trim();
    if (all !== '') dockerd.docker('rm', '-f', ...all.split('\n'));
    dockerd.docker('image', 'prune', '-af');
    dockerd.docker('builder', 'prune', '-af');
    assert.deepEqual(mountsBelow(driver.runDirectory), []);
    assert.deepEqual(readdirSync(`${driver.runDirectory}/docker`), []);
    assert.equal(bench.ufs('layers', '--json').trim(), '[]');
    assert.equal(bench.ufs('containers', '--json').trim(), '[]');
    await dockerd.stop();
    await driver.stop();
    bench.ufs('check');
  });
});
