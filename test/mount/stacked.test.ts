import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench, mountsBelow, until } from '../helpers/cli.ts';
import { needsOverlayfs, needsRootAndFuse } from '../helpers/needs.ts';
import { OverlayProgram } from '../overlay/overlay-program.ts';

describe('mounts of the mount program on other unions', { skip: needsRootAndFuse }, () => {
  let bench: Bench;
  let program: OverlayProgram;
  before(() => {
    bench = new Bench();
    program = new OverlayProgram(bench);
    bench.sh('mkdir l u w m u2 w2 m2 m3; cp /bin/true l/true; echo low >l/f');
  });
  after(() => bench.close());

  test('one on another has a server of its own, for the other one\'s would wait for itself; each ends with its last mount, and leaves only a log', async () => {
    program.mount('lowerdir=l,upperdir=u,workdir=w', 'm');
    program.mount('lowerdir=m,upperdir=u2,workdir=w2', 'm2');
    // Programs, and what is new, would be passed through, which the kernel refuses on what is passed through itself.
    assert.equal(bench.sh('m/true; m2/true; echo more >>m2/f; cp /bin/true m2/new; m2/new; cat m/f m2/f'), 'low\nlow\nmore\n');
    program.mount('lowerdir=m2:l', 'm3');
    assert.equal(bench.sh('m3/true; m3/new; cat m3/f'), 'low\nmore\n');
    assert.equal(program.servers().length, 3);
    bench.sh('umount m3');
    await until(() => program.servers().length === 2, 'the topmost server ends');
    bench.sh('umount m2');
    await until(() => program.servers().length === 1, 'the next server ends');
    bench.sh('umount m');
    await program.ended();
    assert.deepEqual(readdirSync(bench.path('run/ufs-overlay')), ['log']);
  });

  test('one on a mount that does not answer keeps no other one waiting', async () => {
    const silent = program.start('-f', '-o', 'lowerdir=l', 'm');
    await until(() => mountsBelow(bench.directory).length === 1, 'it is mounted');
    silent.kill('SIGSTOP');
    const waits = program.start('-o', 'lowerdir=m', 'm2');
    await until(() => bench.sh('find run -name "*.reply"; find run -name "*.words"').trim().endsWith('.reply'), 'the server has taken the request');
    program.mount('lowerdir=l', 'm3');
    assert.equal(bench.sh('cat m3/f'), 'low\n');
    silent.kill('SIGCONT');
    assert.equal((await waits.ended).code, 0);
    assert.equal(bench.sh('cat m2/f; umount m3 m2'), 'low\n');
    await until(() => bench.run('umount', ['m']).code === 0, 'what was mounted on it has let go of it');
    await silent.ended;
    await program.ended();
  });

  test('those on plain directories share a server', async () => {
    program.mount('lowerdir=l', 'm');
    program.mount('lowerdir=l', 'm3');
    assert.equal(program.servers().length, 1);
    bench.sh('umount m m3');
    await program.ended();
  });

  test('one on overlayfs reads, runs and writes files', { skip: needsOverlayfs }, async () => {
    bench.sh('rm -rf u w; mkdir u w; mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m; mkdir m/u m/w');
    program.mount('lowerdir=m,upperdir=m/u,workdir=m/w', 'm2');
    assert.equal(bench.sh('m2/true; cp /bin/true m2/new; m2/new; echo more >>m2/f; cat m2/f'), 'low\nmore\n');
    bench.sh('umount m2');
    await program.ended();
    bench.sh('umount m');
  });
});
