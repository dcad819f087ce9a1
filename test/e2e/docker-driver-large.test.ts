import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { DockerOnUfs, IMAGE, needsDocker } from './served-driver.ts';

/** Steps of a layer each, every eighth followed by one more, on the sample's. */
const STEPS = 90;
const GIB = 2 ** 30;
/** Megabytes a process may have had resident: what it needs (150), garbage not collected yet, and little of what goes through it. */
const MEMORY_MAX = 400;

describe('docker on ufs with much of everything', { skip: needsDocker }, () => {
  const docker = DockerOnUfs.during();

  test('an image of 100 layers is built, run, saved and loaded', () => {
    const { bench, dockerd } = docker.now;
    // Each step brings a file, and replaces one that all have; every eighth removes what the last ones brought, and adds to another.
    bench.sh(`mkdir steps; cd steps; echo 'FROM ${IMAGE}' >Dockerfile
      for step in $(seq ${STEPS}); do
        mkdir $step; echo $step >$step/of-$step; echo $step >$step/top
        echo "COPY $step /steps" >>Dockerfile
        [ $((step % 8)) != 0 ] || echo "RUN echo $step >>/steps/all; rm /steps/of-*" >>Dockerfile
      done`);
    dockerd.buildKit = true;
    try {
      dockerd.docker('build', '-q', '--network', 'none', '-t', 'steps', 'steps');
    } finally {
      dockerd.buildKit = false;
    }
    const image = dockerd.image('steps');
    const eighths = Math.floor(STEPS / 8);
    assert.equal(image.diffIds.length, dockerd.image(IMAGE).diffIds.length + STEPS + eighths);
    assert.ok(image.diffIds.length >= 100);
    const look = (): string => dockerd.runImage('steps', 'sh', '-c', 'cd /steps; echo *; cat top all');
    const upTo = (length: number): number[] => Array.from({ length }, (_, index) => index + 1);
    const shown = `all ${upTo(STEPS % 8).map((step) => `of-${8 * eighths + step}`).join(' ')} top\n${STEPS}\n${upTo(eighths).map((eighth) => 8 * eighth).join('\n')}\n`;
    assert.equal(look(), shown);
    dockerd.docker('save', '-o', 'steps.tar', 'steps');
    dockerd.docker('rmi', 'steps');
    dockerd.docker('builder', 'prune', '-af');
    dockerd.docker('load', '-q', '-i', 'steps.tar');
    assert.deepEqual(dockerd.image('steps'), image);
    assert.equal(look(), shown);
  });

  test('eight containers work and are committed at once, each with what is its own', async () => {
    const { dockerd } = docker.now;
    const names = Array.from({ length: 8 }, (_, index) => `worker-${index}`);
    const script = 'for i in $(busybox seq 200); do echo $HOSTNAME $i >/keep/$i; done; echo $HOSTNAME >>/keep/lower; rm -r /kinds; mv /d /moved; cat /keep/200 /keep/lower';
    const runs = await dockerd.together(names.map((name) => ['run', '--name', name, '--hostname', name, '--network', 'none', IMAGE, 'sh', '-c', script]));
    assert.deepEqual(runs, names.map((name) => `${name} 200\nlower\n${name}\n`));
    await dockerd.together(names.map((name) => ['commit', name, name]));
    const changes = await dockerd.together(names.map((name) => ['diff', name]));
    assert.deepEqual(new Set(changes).size, 1);
    assert.ok(changes[0]?.includes('A /keep/200\n') && changes[0].includes('D /kinds\n') && changes[0].includes('A /moved\n'));
    const again = await dockerd.together(names.map((name) => ['run', '--rm', '--network', 'none', name, 'sh', '-c', 'cat /keep/200 /keep/lower /moved/fresh; echo /kinds* /d*']));
    assert.deepEqual(again, names.map((name) => `${name} 200\nlower\n${name}\nfresh\n/kinds* /dev\n`));
    await dockerd.together(names.map((name) => ['rm', name]));
    await dockerd.together(names.map((name) => ['rmi', name]));
  });

  test('a diff of 1 GiB is committed, saved and read in bounded memory', () => {
    const { bench, dockerd, driver } = docker.now;
    const data = `yes 'a line of a file that is large' | head -c ${GIB}`;
    dockerd.docker('run', '--name', 'big', '--network', 'none', IMAGE, 'busybox', 'sh', '-c', `${data} >/big`);
    assert.match(dockerd.docker('ps', '-as', '--filter', 'name=big', '--format', '{{.Size}}'), /^1.07GB \(virtual /);
    dockerd.docker('commit', 'big', 'big');
    dockerd.docker('rm', 'big');
    assert.match(dockerd.docker('history', '--human=false', '--format', '{{.Size}}', 'big'), new RegExp(`^${GIB}\n`));
    const sum = bench.sh(`set +o pipefail; ${data} | md5sum`);
    assert.equal(dockerd.runImage('big', 'busybox', 'sh', '-c', 'md5sum </big'), sum);
    dockerd.docker('save', '-o', 'big.tar', 'big');
    assert.equal(bench.sh(`tar -xf big.tar --wildcards '*/layer.tar' --to-command='tar -xOf - big 2>/dev/null || true' | md5sum`), sum);
    for (const pid of driver.processes()) assert.ok(mostMemory(pid) < MEMORY_MAX, `process ${pid} had ${mostMemory(pid)} MB`);
  });

  test('when everything is removed nothing stays', async () => await docker.now.checkNothingStays());
});

/** Megabytes of a process that were resident at most so far. */
function mostMemory(pid: number): number {
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
}
