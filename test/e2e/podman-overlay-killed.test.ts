import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until } from '../helpers/cli.ts';
import { needsPodman, PodmanOnUfs } from './podman-on-ufs.ts';

for (const rootless of [false, true]) {
  describe(`a server that is killed, ${rootless ? 'rootless' : 'as root'}`, { skip: needsPodman }, () => {
    const podman = PodmanOnUfs.during({ rootless }, ({ ufs }) => ufs.podman('import', '-q', '-c', 'ENV PATH=/bin', 'context/rootfs.tar', 'base'));
    const sh = (script: string): string[] => ['busybox', 'sh', '-c', script];
    const kill = async (): Promise<void> => {
      const servers = podman.now.servers();
      assert.equal(servers.length, 1);
      process.kill(servers[0] as number, 'SIGKILL');
      await until(() => podman.now.servers().length === 0, 'the server is gone');
    };

    test('its containers see errors and don\'t hang, and podman stops, starts and removes them, with what they had written', async () => {
      const { ufs } = podman.now;
      ufs.podman('run', '-d', '--name', 'one', 'base', ...sh('echo started >>/keep/log; while cat /keep/log >/dev/null; do busybox sleep 0.05; done; exit 7'));
      ufs.podman('run', '-d', '--name', 'two', 'base', ...sh('echo two >/keep/mine; exec busybox sleep 600'));
      ufs.podman('exec', 'two', ...sh('until busybox grep -q two /keep/mine; do busybox sleep 0.05; done; sync'));
      await kill();
      // The first one's shell finds no file, and no program, any more.
      assert.match(ufs.podman('wait', 'one'), /^[1-9]\d*\n$/);
      assert.notEqual(ufs.try('exec', 'two', 'cat', '/keep/mine').code, 0);
      ufs.podman('stop', '-t', '0', 'two');
      ufs.podman('start', 'one', 'two');
      assert.equal(ufs.podman('exec', 'two', 'cat', '/keep/mine'), 'two\n');
      assert.equal(ufs.podman('exec', 'one', 'cat', '/keep/log'), 'started\nstarted\n');
      assert.equal(ufs.runImage('base', 'cat', '/keep/two'), 'two\n');
    });

    test('what was left of it is taken away: containers are removed, new ones made', async () => {
      const { ufs } = podman.now;
      await kill();
      assert.equal(ufs.runImage('base', 'cat', '/keep/two'), 'two\n');
      ufs.podman('rm', '-f', '-t', '0', 'one', 'two');
      // In the middle of a build it is an error, and the build can be done again.
      podman.now.bench.sh(`mkdir -p slow; printf 'FROM base\\nRUN echo begun >/begun; while cat /begun; do busybox sleep 0.05; done; exit 1\\n' >slow/Containerfile; printf 'FROM base\\nRUN echo begun >/begun\\n' >slow/Again`);
      const build = ufs.start('build', '-q', '--isolation', 'chroot', '-t', 'slow', 'slow');
      await until(() => ufs.sh(`cat ${ufs.directory}/graph/overlay/*/diff/begun 2>/dev/null || true`) === 'begun\n', 'the step has begun');
      await kill();
      assert.notEqual((await build).code, 0);
      ufs.podman('build', '-q', '--isolation', 'chroot', '-t', 'slow', '-f', 'slow/Again', 'slow');
      assert.equal(ufs.runImage('slow', 'cat', '/begun'), 'begun\n');
    });

    test('when all is removed nothing is left', async () => {
      // buildah's container of the build that was broken off.
      podman.now.ufs.buildah('rm', '--all');
      await podman.now.endsClean();
    });
  });
}
