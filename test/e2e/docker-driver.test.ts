import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { until } from '../helpers/cli.ts';
import { needsProgram } from '../helpers/needs.ts';
import { treeDifferences } from '../helpers/tree.ts';
import { Dockerd } from './dockerd.ts';
import { exported, imageTree, SAYS } from './sample-image.ts';
import { DockerOnUfs, IMAGE, needsDocker } from './served-driver.ts';

describe('docker on ufs as its graph driver', { skip: needsDocker }, () => {
  const docker = DockerOnUfs.during();

  const container = (...argv: string[]): string => docker.now.dockerd.docker('run', '-d', '--network', 'none', ...argv).trim();

  test('docker info tells what the driver is, has and serves', () => {
    const { bench, dockerd, driver } = docker.now;
    const info = (): Map<string, string> => new Map([...(/\n Storage Driver: (.*\n(?: {2}.*\n)+)/.exec(dockerd.docker('info'))?.[1] ?? '').matchAll(/^ {2}(.*?): (.*)$/gm)].map(([, row, value]) => [row, value]));
    const idle = info();
    assert.deepEqual([...idle.keys()], [
      'Root Dir', 'Backing Filesystem', 'Layers', 'Incomplete Layers', 'Mounts', 'Pool Space Used', 'Pool Space Total', 'Pool Space Available', 'Minimum Free Space', 'Content', 'Shared Content Saved',
      'Inodes Used', 'Inodes Available', 'Deferred Deletion Enabled', 'Deferred Deleted Layer Count', 'Transaction Id', 'Supports d_type', 'Supports shifting',
    ]);
    assert.equal(dockerd.docker('info', '--format', '{{.Driver}}'), `${driver.name}\n`);
    assert.deepEqual([idle.get('Root Dir'), idle.get('Backing Filesystem')], [bench.store, bench.sh(`findmnt -n -o FSTYPE -T ${bench.store}`).trim()]);
    const id = container(IMAGE, 'busybox', 'sleep', '600');
    const running = info();
    const more = (row: string): number => Number(running.get(row)) - Number(idle.get(row));
    assert.deepEqual(['Layers', 'Mounts', 'Incomplete Layers'].map(more), [2, 1, 0], 'a container has a layer, and one below it for what Docker makes');
    assert.ok(more('Transaction Id') > 0);
    dockerd.docker('rm', '-f', id);
    assert.deepEqual([info().get('Layers'), info().get('Mounts')], [idle.get('Layers'), idle.get('Mounts')]);
  });

  test('an image is imported, run as root and as others, and its files belong to who made them', () => {
    docker.now.dockerd.docker('import', '-c', 'ENV PATH=/bin', '-c', 'CMD ["sh"]', 'context/rootfs.tar', 'imported');
    assert.equal(docker.now.dockerd.runImage('imported', 'cat', '/d/one'), 'one\n');
    const id = container('-u', '1000:1001', 'imported', 'sh', '-c', 'echo mine >/tmp/mine; exec busybox sleep 600');
    assert.match(docker.now.dockerd.docker('exec', id, 'busybox', 'stat', '-c', '%u:%g %a', '/tmp/mine'), /^1000:1001 644\n$/);
    docker.now.dockerd.docker('rm', '-f', id);
  });

  test('the sample, built step by step, says what it should and is as another driver exports it', async () => {
    assert.equal(docker.now.dockerd.runImage(IMAGE), SAYS);
    const other = await Dockerd.start(docker.now.bench, 'other');
    try {
      docker.now.dockerd.docker('save', '-o', 'saved.tar', IMAGE);
      other.docker('load', '-q', '-i', 'saved.tar');
      assert.deepEqual(other.image(IMAGE), docker.now.dockerd.image(IMAGE));
      other.export(IMAGE, 'exported-by-other');
      docker.now.dockerd.export(IMAGE, 'exported');
      assert.deepEqual(treeDifferences(exported(imageTree(docker.now.bench.path('exported-by-other'))), exported(imageTree(docker.now.bench.path('exported')))), []);
    } finally {
      await other.stop();
    }
  });

  test('exec, cp both ways, diff, commit, export, sizes', () => {
    const id = container('--name', 'work', IMAGE, 'busybox', 'sleep', '600');
    docker.now.bench.sh('echo copied >copied');
    docker.now.dockerd.docker('cp', 'copied', 'work:/keep/copied');
    docker.now.dockerd.docker('exec', 'work', 'rm', '/keep/two');
    docker.now.dockerd.docker('cp', 'work:/d/fresh', 'fresh');
    assert.equal(docker.now.bench.sh('cat fresh'), 'fresh\n');
    assert.deepEqual(docker.now.dockerd.docker('diff', 'work').trim().split('\n').sort(), ['A /keep/copied', 'C /keep', 'D /keep/two']);
    assert.match(docker.now.dockerd.docker('ps', '-s', '--format', '{{.Size}}'), /^7B \(virtual /);
    docker.now.dockerd.docker('commit', 'work', 'committed');
    assert.equal(docker.now.dockerd.runImage('committed', 'sh', '-c', 'cat /keep/copied; test ! -e /keep/two && echo gone'), 'copied\ngone\n');
    assert.match(docker.now.dockerd.docker('history', '--format', '{{.Size}}', 'committed'), /^7B\n/);
    assert.match(docker.now.dockerd.docker('inspect', '-s', '--format', '{{.SizeRw}} {{.GraphDriver.Name}}', 'work'), new RegExp(`^7 ${docker.now.driver.name}\\n$`));
    assert.match(docker.now.dockerd.docker('system', 'df', '--format', '{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}}'), /^Containers 1 1 7B$/m);
    docker.now.dockerd.docker('rm', '-f', id);
  });

  test('a container keeps what it wrote when it is started again', () => {
    const id = container(IMAGE, 'sh', '-c', 'echo line >>/keep/log');
    docker.now.dockerd.docker('wait', id);
    docker.now.dockerd.docker('start', '-a', id);
    docker.now.dockerd.docker('cp', `${id}:/keep/log`, 'log');
    assert.equal(docker.now.bench.sh('cat log'), 'line\nline\n');
    docker.now.dockerd.docker('rm', id);
  });

  test('--storage-opt size is a limit, which df shows', () => {
    const out = docker.now.dockerd.docker('run', '--rm', '--network', 'none', '--storage-opt', 'size=64m', IMAGE, 'sh', '-c',
      'busybox df -k / | busybox tail -n 1; busybox dd if=/dev/zero of=/big bs=1M 2>&1 | busybox grep -o "No space left"; busybox rm /big; echo room >/small; cat /small');
    assert.match(out, / 65536 +[0-9]+ .*\nNo space left\nroom\n$/);
    assert.match(docker.now.dockerd.try('run', '--rm', '--storage-opt', 'size=lots', IMAGE).err, /Cannot use "lots" as a size/);
  });

  test('BuildKit builds the same tree, and what it built is saved and loaded', () => {
    // On a bottom of its own: BuildKit's prune forgets a layer that is the same as one Docker has (on every driver), and it would be left in the end.
    docker.now.bench.sh(`sed 's#^ADD#COPY copied /copied\\nADD#' context/Dockerfile >context/Dockerfile.kit; echo copied >context/copied`);
    docker.now.dockerd.buildKit = true;
    try {
      docker.now.dockerd.docker('build', '-q', '--network', 'none', '-t', 'kit:1', '-f', 'context/Dockerfile.kit', 'context');
    } finally {
      docker.now.dockerd.buildKit = false;
    }
    assert.equal(docker.now.dockerd.runImage('kit:1'), SAYS);
    docker.now.dockerd.export('kit:1', 'exported-kit');
    const [byStep, byKit] = ['exported', 'exported-kit'].map((path) => new Map([...exported(imageTree(docker.now.bench.path(path)))].map(([name, line]) => [name, line.replace(/ \d{10}/, '')]))) as [Map<string, string>, Map<string, string>];
    assert.ok(byKit.delete('copied'));
    assert.deepEqual(treeDifferences(byStep, byKit), []);
    docker.now.dockerd.docker('save', '-o', 'kit.tar', 'kit:1');
    const { id } = docker.now.dockerd.image('kit:1');
    docker.now.dockerd.docker('rmi', '-f', 'kit:1');
    docker.now.dockerd.docker('load', '-q', '-i', 'kit.tar');
    assert.equal(docker.now.dockerd.image('kit:1').id, id);
  });

  test('--squash makes one layer of several', () => {
    docker.now.bench.sh(`mkdir squash; printf 'FROM ${IMAGE}\\nRUN echo a >/a; rm -rf /keep/to-directory\\nRUN rm /a; echo b >/b\\n' >squash/Dockerfile`);
    docker.now.dockerd.docker('build', '-q', '--squash', '--network', 'none', '-t', 'squashed', 'squash');
    assert.equal(docker.now.dockerd.image('squashed').diffIds.length, docker.now.dockerd.image(IMAGE).diffIds.length + 1);
    assert.equal(docker.now.dockerd.runImage('squashed', 'sh', '-c', 'cat /b; echo /a* /keep/to-*'), 'b\n/a* /keep/to-*\n');
  });

  test('what is pushed to a registry is pulled by another daemon as the same image, and the other way round', { skip: needsProgram('docker-registry') }, async () => {
    writeFileSync(docker.now.bench.path('registry.yml'), `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${docker.now.bench.path('registry')}}}\nhttp: {addr: '127.0.0.1:5099'}\n`);
    const registry = spawn('docker-registry', ['serve', docker.now.bench.path('registry.yml')], { stdio: 'ignore' });
    let other: Dockerd | undefined;
    try {
      const name = '127.0.0.1:5099/sample:1';
      docker.now.dockerd.docker('tag', IMAGE, name);
      await until(() => docker.now.dockerd.try('push', '-q', name).code === 0, 'the registry takes the image');
      other = await Dockerd.start(docker.now.bench, 'puller');
      other.docker('pull', '-q', name);
      assert.deepEqual(other.image(name), docker.now.dockerd.image(name));
      other.docker('run', '--name', 'more', '--network', 'none', name, 'sh', '-c', 'echo more >/more; rm /keep/lower');
      const theirs = name.replace(':1', ':2');
      other.docker('commit', 'more', theirs);
      other.docker('push', '-q', theirs);
      docker.now.dockerd.docker('pull', '-q', theirs);
      assert.deepEqual(docker.now.dockerd.image(theirs), other.image(theirs));
      assert.equal(docker.now.dockerd.runImage(theirs, 'sh', '-c', 'cat /more; echo /keep/low*'), 'more\n/keep/low*\n');
    } finally {
      registry.kill();
      await other?.stop();
    }
  });

  test('a commit of 40 MB goes through, eight containers run side by side', async () => {
    const id = container(IMAGE, 'sh', '-c', 'dd if=/dev/urandom of=/big bs=1M count=40 2>/dev/null');
    assert.equal(docker.now.dockerd.docker('wait', id), '0\n');
    docker.now.dockerd.docker('commit', id, 'big');
    docker.now.dockerd.docker('rm', id);
    assert.equal(docker.now.dockerd.runImage('big', 'sh', '-c', 'wc -c </big'), '41943040\n');
    const many = Array.from({ length: 8 }, (_, index) => container(IMAGE, 'sh', '-c', `echo ${index} >/mine; cat /mine`));
    assert.deepEqual(many.map((each) => docker.now.dockerd.docker('wait', each)), many.map(() => '0\n'));
    assert.deepEqual(many.map((each) => docker.now.dockerd.docker('logs', each)), many.map((_, index) => `${index}\n`));
    docker.now.dockerd.docker('rm', ...many);
  });

  test('when everything is removed nothing stays', async () => await docker.now.checkNothingStays());
});
