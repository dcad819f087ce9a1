import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsProgram } from '../helpers/needs.ts';
import { needsPodman, PodmanOnUfs } from './podman-on-ufs.ts';
import { Podman } from './podman.ts';

for (const rootless of [false, true]) {
  describe(`a storage of fuse-overlayfs that is switched to ufs, and back, ${rootless ? 'rootless' : 'as root'}`, { skip: needsPodman || needsProgram('fuse-overlayfs') }, () => {
    let peer: Podman;
    const podman = PodmanOnUfs.during({ rootless }, ({ bench }) => {
      // One storage for both.
      peer = new Podman(bench, 'ufs', { rootless, mountProgram: bench.sh('command -v fuse-overlayfs').trim() });
    });
    const sh = (script: string): string[] => ['busybox', 'sh', '-ec', script];
    /** A container's tree, as it is found when it is mounted anew. */
    const tree = (each: Podman, container: string): string[] => podman.now.treeAt(each, `podman mount ${container}`, `podman umount ${container}`);

    test('images, containers and what they changed are the same', () => {
      const { ufs } = podman.now;
      peer.podman('import', '-q', '-c', 'ENV PATH=/bin', 'context/rootfs.tar', 'base');
      // With what Debian's fuse-overlayfs builds wrong left out: directories that are removed and made again in one step.
      podman.now.bench.sh(`mkdir layers; printf 'FROM base\\nRUN rm -rf /gone /kinds/was-directory && echo file >/kinds/was-directory\\nRUN mkdir /gone && echo again >/gone/new && chown 5:6 /keep/secret && mv /d/deep /d/moved\\n' >layers/Containerfile`);
      peer.podman('build', '-q', '--isolation', 'chroot', '--layers', '-t', 'built', 'layers');
      peer.podman('run', '--name', 'changed', 'built', ...sh(`cd /keep; echo more >>lower; rm two; mv empty full; chmod 4711 setuid; chown 8:9 capable; mkdir -p new/deep; echo x >new/deep/file; ln lower new/linked
        busybox truncate -s 1M sparse; rm -rf /d; mkdir /d; echo only >/d/only; rm /kinds/was-link; mkdir /kinds/was-link; mkfifo new/fifo; echo long >"$(busybox printf 'm%.0s' $(busybox seq 240))"`));
      peer.podman('create', '--name', 'fresh', 'built', ...sh('cat /gone/new'));
      const seen = ['changed', 'fresh'].map((name) => tree(peer, name));
      assert.deepEqual(['changed', 'fresh'].map((name) => tree(ufs, name)), seen);
      assert.ok(seen[0]?.includes('d/only -rw-r--r-- 0:0 5 ') && !seen[0].some((line) => /^(d\/deep|keep\/two) /.test(line)));
      assert.deepEqual(ufs.podman('diff', 'changed').split('\n').sort(), peer.podman('diff', 'changed').split('\n').sort());
      assert.equal(ufs.podman('start', '-a', 'fresh'), 'again\n');
    });

    test('containers go on where they were, and are what fuse-overlayfs then shows', () => {
      const { ufs } = podman.now;
      ufs.podman('commit', '-q', 'changed', 'committed');
      ufs.podman('run', '--name', 'more', 'committed', ...sh(`rm -rf /keep/new /gone; mkdir /keep/new /gone; echo by-ufs >/keep/new/file; ln /keep/secret /keep/hidden; mv /kinds /kinds2; chown -R 7:8 /d /bin; chmod 700 /tmp; mkfifo /tmp/f; ln -s x /tmp/s
        echo more >>/keep/linked; rm /keep/naïve*; touch -d 2001-02-03 /keep/lower; cd /keep; rm -r new; mkdir new`));
      ufs.sh(`at=$(podman mount changed); echo ufs >$at/keep/ufs; rm -r $at/d; mkdir $at/d; echo anew >$at/d/anew; podman umount changed >/dev/null`);
      const seen = ['changed', 'more'].map((name) => tree(ufs, name));
      assert.ok(seen[1]?.includes('keep/new drwxr-xr-x 0:0') && !seen[1].some((line) => /^keep\/new\//.test(line)) && seen[1].includes('kinds2/was-file -rw-r--r-- 0:0 5 '));
      assert.deepEqual(['changed', 'more'].map((name) => tree(peer, name)), seen);
      assert.equal(peer.podman('run', '--rm', 'committed', 'cat', '/d/only', '/keep/lower'), 'only\nlower\nmore\n');
      peer.podman('start', '-a', 'fresh');
      peer.podman('commit', '-q', 'more', 'again');
      // fuse-overlayfs commits the two names of one file as two files.
      assert.deepEqual(podman.now.tree(ufs, 'again'), tree(ufs, 'more').filter((line) => line !== 'linked keep/hidden keep/secret'));
    });

    test('a container that runs is served by what mounted it, until it is started again', () => {
      const { ufs } = podman.now;
      const kind = (each: Podman): string => each.podman('exec', 'runs', 'busybox', 'sh', '-c', 'busybox mount | busybox head -n 1 | busybox cut -d " " -f 5; cat /log');
      peer.podman('run', '-d', '--name', 'runs', 'built', ...sh('echo started >>/log; exec busybox sleep 600'));
      assert.equal(kind(ufs), 'fuse.fuse-overlayfs\nstarted\n');
      const restart = (each: Podman): void => void (each.podman('stop', '-t', '0', 'runs'), each.podman('start', 'runs'));
      restart(ufs);
      assert.equal(kind(ufs), 'fuse.ufs-overlay\nstarted\nstarted\n');
      restart(peer);
      assert.equal(kind(ufs), 'fuse.fuse-overlayfs\nstarted\nstarted\nstarted\n');
      ufs.podman('rm', '-f', '-t', '0', 'runs');
    });

    test('when all is removed nothing is left', async () => {
      await podman.now.endsClean();
    });
  });
}
