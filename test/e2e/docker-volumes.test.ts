import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, test } from 'node:test';
import { mountsBelow, until } from '../helpers/cli.ts';
import { DockerOnUfs, IMAGE, needsDocker } from './served-driver.ts';

interface Inspected {
  CreatedAt: string;
  Driver: string;
  Mountpoint: string;
  Scope: string;
  Options: Record<string, string> | null;
  Status: { From: string; Layer?: string; Used: string; UsedBytes: number; Limit: string; LimitBytes?: number; LimitInodes?: number; ReadOnly: boolean; Mounted: boolean; Holders: number; HeldBy: { Holder: string; Count: number }[]; Labels?: Record<string, string> };
}

/** Docker's volumes by ufs, on the socket of the graph driver. */
describe('docker volumes on ufs', { skip: needsDocker }, () => {
  const docker = DockerOnUfs.during(({ bench }) => {
    bench.sh('mkdir -p tree/sub; echo lower >tree/lower; chown 1000:1000 tree/lower; tar -cf tree.tar -C tree .');
    bench.ufs('import', 'tree.tar', '--name', 'seed');
  });

  const run = (...argv: string[]): string => docker.now.dockerd.docker('run', '--network', 'none', ...argv);
  const live = (...argv: string[]): string => run('-d', '--stop-timeout', '1', ...argv, IMAGE, 'busybox', 'sleep', '600').trim();
  const exec = (container: string, script: string): string => docker.now.dockerd.docker('exec', container, 'sh', '-c', script);
  const create = (name: string, ...options: string[]): string => docker.now.dockerd.docker('volume', 'create', '-d', docker.now.driver.name, ...options.flatMap((option) => ['-o', option]), name).trim();
  const inspect = (name: string): Inspected => (JSON.parse(docker.now.dockerd.docker('volume', 'inspect', name)) as [Inspected])[0];
  const remove = (...names: string[]): void => void docker.now.dockerd.docker('volume', 'rm', ...names);
  const stop = (...containers: string[]): void => void docker.now.dockerd.docker('rm', '-f', ...containers);
  const volumesMounted = (): string[] => mountsBelow(`${docker.now.driver.runDirectory}/volumes`);
  const held = (name: string): [boolean, number[]] => {
    const { Mounted, HeldBy } = inspect(name).Status;
    return [Mounted, HeldBy.map(({ Count }) => Count)];
  };

  test('are created with options, inspected, listed and removed', () => {
    create('plain');
    create('all', 'from=image:seed', 'size=4m', 'inodes=100', 'uid=1000', 'gid=1001', 'mode=0770', 'label.app=db');
    create('fixed', 'from=image:seed', 'ro');
    const { bench, dockerd, driver } = docker.now;
    const all = inspect('all');
    assert.deepEqual([all.Driver, all.Scope, all.Mountpoint, all.Options?.['size']], [driver.name, 'local', '', '4m']);
    assert.match(all.CreatedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
    assert.ok(Math.abs(Date.now() - Date.parse(all.CreatedAt)) < 600_000);
    const { From, Layer, Used, UsedBytes, Limit, LimitBytes, LimitInodes, ReadOnly, Mounted, Holders, Labels } = all.Status;
    assert.deepEqual({ From, Used, UsedBytes, Limit, LimitBytes, LimitInodes, ReadOnly, Mounted, Holders, Labels }, {
      From: 'image:seed', Used: '4.096kB', UsedBytes: 4096, Limit: '4.194MB', LimitBytes: 4 << 20, LimitInodes: 100, ReadOnly: false, Mounted: false, Holders: 0, Labels: { app: 'db' },
    });
    assert.match(Layer ?? '', /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual([inspect('plain').Status.From, inspect('fixed').Status.ReadOnly], ['nothing', true]);
    // Docker asks the drivers of other tests, too.
    assert.deepEqual(dockerd.docker('volume', 'ls', '-f', `driver=${driver.name}`, '--format', '{{.Driver}} {{.Name}}').trim().split('\n').sort(), ['all', 'fixed', 'plain'].map((name) => `${driver.name} ${name}`));
    assert.equal(run('--rm', '-v', 'all:/v', IMAGE, 'busybox', 'stat', '-c', '%u %g %a', '/v'), '1000 1001 770\n');
    const script = (text: string): string[] => [IMAGE, 'sh', '-c', text];
    assert.match(run('--rm', '-v', 'all:/v', ...script('busybox dd if=/dev/zero of=/v/big bs=64k count=100 2>&1; busybox df -k /v')), /No space left on device[^]* 4096 /);
    assert.match(dockerd.try('run', '--rm', '--network', 'none', '-v', 'fixed:/v', ...script('cat /v/lower && echo >/v/new')).err, /Read-only file system/);
    assert.match(dockerd.try('volume', 'create', '-d', driver.name, '-o', 'sise=1', 'wrong').err, /unknown option "sise"; there are from, size/);
    assert.match(dockerd.try('volume', 'create', '-d', driver.name, '-o', 'from=image:none', 'wrong').err, /Cannot find/);
    assert.equal(dockerd.docker('volume', 'create', '-d', driver.name, '-o', 'size=9m', 'all').trim(), 'all', 'Docker takes one that is there');
    assert.notEqual(dockerd.try('volume', 'inspect', 'missing').code, 0);
    assert.deepEqual(volumesMounted(), []);
    remove('plain', 'all', 'fixed');
    assert.deepEqual(JSON.parse(bench.ufs('volume', 'ls', '--json')), []);
  });

  test('are written to by root and by user 1000, and shared by containers, each as often mounted as it is used', () => {
    create('shared', 'mode=1777');
    const [one, two] = [live('-v', 'shared:/v'), live('-u', '1000:1000', '-v', 'shared:/v')] as [string, string];
    assert.equal(volumesMounted().length, 1);
    assert.deepEqual(held('shared'), [true, [1, 1]]);
    exec(one, 'echo root >/v/root; chmod 600 /v/root');
    exec(two, 'echo user >/v/user');
    assert.equal(exec(one, 'cat /v/user; busybox stat -c %u:%g /v/user /v/root'), 'user\n1000:1000\n0:0\n');
    assert.notEqual(docker.now.dockerd.try('exec', two, 'cat', '/v/root').code, 0);
    assert.match(docker.now.dockerd.try('volume', 'rm', 'shared').err, /volume is in use/);
    stop(one);
    assert.deepEqual(held('shared'), [true, [1]]);
    assert.equal(exec(two, 'cat /v/user'), 'user\n');
    stop(two);
    assert.deepEqual([held('shared'), volumesMounted()], [[false, []], []]);
    assert.equal(run('--rm', '-v', 'shared:/v', IMAGE, 'cat', '/v/root'), 'root\n');
    remove('shared');
  });

  test('stay mounted when files are copied into and out of a container that runs', () => {
    const { bench, dockerd } = docker.now;
    const id = live('--mount', `type=volume,src=copied,dst=/v,volume-driver=${docker.now.driver.name},volume-opt=uid=1000`);
    exec(id, 'echo out >/v/out');
    dockerd.docker('cp', `${id}:/v/out`, bench.path('out'));
    bench.sh('echo in >in');
    dockerd.docker('cp', bench.path('in'), `${id}:/v/in`);
    assert.equal(fs.readFileSync(bench.path('out'), 'utf8'), 'out\n');
    assert.deepEqual(held('copied'), [true, [1]]);
    assert.equal(exec(id, 'cat /v/in; echo more >>/v/in; cat /v/in'), 'in\nin\nmore\n');
    stop(id);
    assert.deepEqual(held('copied'), [false, []]);
    remove('copied');
  });

  test('that are new and empty get what the image has there, with its owners', () => {
    const { driver } = docker.now;
    const listed = 'cd /keep; busybox find . -type f -exec busybox stat -c "%n %u:%g %a %s" {} +';
    assert.equal(run('--rm', '-v', 'content:/keep', '--volume-driver', driver.name, IMAGE, 'sh', '-c', `${listed} | busybox sort`), run('--rm', IMAGE, 'sh', '-c', `${listed} | busybox sort`));
    assert.equal(run('--rm', '-v', 'content:/other:ro', IMAGE, 'cat', '/other/lower'), 'lower\n');
    remove('content');
  });

  test('are copies of what a container of Docker shows, and of other volumes, while these are used', () => {
    const { bench } = docker.now;
    create('source');
    const id = live('-v', 'source:/v');
    exec(id, 'echo volume >/v/file; echo container >/etc/written');
    const [{ id: layer }] = (JSON.parse(bench.ufs('containers', '--json')) as { id: string; mounted?: string }[]).filter((each) => each.id.startsWith('docker:') && each.mounted !== undefined) as [{ id: string }];
    create('of-container', `from=container:${layer}`);
    create('of-volume', 'from=source');
    exec(id, 'echo later >/v/file; echo later >/etc/written');
    assert.equal(run('--rm', '-v', 'of-container:/c', '-v', 'of-volume:/v', IMAGE, 'cat', '/c/etc/written', '/c/d/fresh', '/v/file'), 'container\nfresh\nvolume\n');
    stop(id);
    remove('source', 'of-container', 'of-volume');
  });

  test('keep data and holders when a container, the daemon or ufs serve is started again, or killed', async () => {
    create('kept', 'from=image:seed');
    let id = live('-v', 'kept:/v');
    exec(id, 'echo one >/v/file');
    docker.now.dockerd.docker('restart', '-t', '0', id);
    assert.deepEqual([exec(id, 'cat /v/file /v/lower'), held('kept')], ['one\nlower\n', [true, [1]]]);
    for (const how of ['stop', 'kill'] as const) {
      await docker.now.restart(how);
      docker.now.dockerd.docker('start', id);
      exec(id, `echo ${how} >>/v/file`);
      assert.deepEqual(volumesMounted().length, 1);
      docker.now.dockerd.docker('stop', id);
      assert.deepEqual([how, held('kept')], [how, [false, []]], 'what the daemon forgot isn\'t in use');
      docker.now.dockerd.docker('start', id);
    }
    assert.equal(exec(id, 'cat /v/file'), 'one\nstop\nkill\n');
    exec(id, 'echo >/v/counted');
    docker.now.dockerd.docker('exec', '-d', id, 'sh', '-c', 'while :; do echo >>/v/counted; busybox sleep 0.05; done');
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await docker.now.driver.end(signal);
      const [path] = volumesMounted();
      const counted = fs.statSync(`${path}/counted`).size;
      await until(() => fs.statSync(`${path}/counted`).size > counted, 'the container writes on');
      await docker.now.driver.start();
      assert.deepEqual(held('kept'), [true, [1]]);
      assert.match(docker.now.dockerd.try('volume', 'rm', 'kept').err, /volume is in use/);
      assert.match(docker.now.bench.try('volume', 'rm', '--force', 'kept').err, /Cannot remove volume "kept": it is in use somewhere it is mounted/);
    }
    stop(id);
    assert.deepEqual([held('kept'), volumesMounted()], [[false, []], []]);
    id = live('-v', 'kept:/v');
    await docker.now.restart('kill');
    stop(id);
    assert.equal(run('--rm', '-v', 'kept:/v', IMAGE, 'cat', '/v/file'), 'one\nstop\nkill\n');
    remove('kept');
    assert.deepEqual(volumesMounted(), [], 'a container that was killed with the daemon and removed has nothing');
  });

  test('stay mounted with live-restore while the daemon is started again, and docker cp comes and goes', async () => {
    await docker.now.restart('stop', { flags: ['--live-restore'] });
    create('lived');
    const id = live('-v', 'lived:/v');
    exec(id, 'echo one >/v/file');
    for (const how of ['stop', 'kill'] as const) {
      await docker.now.restart(how, { flags: ['--live-restore'] });
      docker.now.dockerd.docker('cp', `${id}:/v/file`, docker.now.bench.path('file'));
      assert.equal(exec(id, `echo ${how} >>/v/file; busybox tail -n1 /v/file`), `${how}\n`);
      assert.deepEqual(held('lived'), [true, [1]]);
    }
    stop(id);
    assert.deepEqual([held('lived'), volumesMounted()], [[false, []], []]);
    remove('lived');
    await docker.now.restart('stop');
  });

  test('from a layer of half a gigabyte are there at once, and store only what is changed', (t) => {
    const { bench } = docker.now;
    bench.sh('mkdir -p large/d; for i in 1 2 3 4 5; do head -c 100M /dev/zero | tr "\\0" "$i" >large/d/$i; done; tar -cf large.tar -C large .; rm -r large');
    bench.ufs('import', 'large.tar', '--name', 'large');
    fs.rmSync(bench.path('large.tar'));
    const stored = (): number => Number(bench.sh('du -s --block-size=1 store').split('\t')[0]);
    const before = stored();
    const began = Date.now();
    create('large', 'from=image:large');
    t.diagnostic(`a volume from a layer of 500 MB was created in ${Date.now() - began} ms`);
    assert.equal(run('--rm', '-v', 'large:/v', IMAGE, 'sh', '-c', 'busybox head -c 3 /v/d/5; echo changed >/v/d/new; rm /v/d/1; busybox chown 5 /v/d/2'), '555');
    assert.ok(stored() - before < 4 << 20, `${stored() - before} bytes are stored for it`);
    assert.ok(inspect('large').Status.UsedBytes < 1 << 20);
    remove('large');
    bench.ufs('rm', 'large');
  });

  test('when everything is removed nothing stays', async () => {
    docker.now.bench.ufs('rm', 'seed');
    docker.now.bench.ufs('gc');
    await docker.now.checkNothingStays();
  });
});
