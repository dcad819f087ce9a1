import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsPodman, PodmanOnUfs } from './podman-on-ufs.ts';
import type { Podman } from './podman.ts';
import { SAYS } from './sample-image.ts';
import { SubordinateUser } from './subordinate-user.ts';

/** What everybody does with podman and buildah, beside the same on the kernel's overlayfs. */
export function podmanOnUfs(rootless: boolean): void {
  describe(`podman with ufs as its mount program, of ${rootless ? 'a user with subordinate ids' : 'root'}`, { skip: needsPodman }, () => {
    const podman = PodmanOnUfs.during({ rootless }, ({ bench }) => {
      bench.sh(`mkdir -p share/volume; echo of the host >share/volume/file; echo also >share/volume/other; echo copied >copied; chmod 644 copied; ${rootless ? `chown -R ${SubordinateUser.id}:${SubordinateUser.id} share` : ''}`);
    });
    const same = <T>(work: (podman: Podman) => T): T => podman.now.same(work);
    const sh = (script: string): string[] => ['busybox', 'sh', '-c', script];

    test('podman info tells its version, and the type of its mounts is its own', () => {
      assert.match(podman.now.ufs.podman('info'), /Executable: .*\/ufs-overlay\n.*\n *Version: \|-\n *ufs-overlay: version \d/);
      same((each) => void each.podman('import', '-q', '-c', 'ENV PATH=/bin', '-c', 'WORKDIR /', 'context/rootfs.tar', 'imported'));
      assert.match(podman.now.ufs.runImage('imported', 'busybox', 'mount'), /^ufs-overlay on \/ type fuse\.ufs-overlay \(rw,/);
    });

    test('an image is imported and run, as root and as others', () => {
      assert.equal(same((each) => each.runImage('imported', ...sh('cat /d/one; cat /keep/secret; busybox stat -c "%a %u:%g" /keep/secret'))), 'one\nsecret\n400 7:8\n');
      assert.equal(same((each) => each.podman('run', '--rm', '-u', '1000:1001', 'imported',
        ...sh('echo mine >/tmp/mine; busybox stat -c "%u:%g %a" /tmp/mine; cat /keep/secret 2>/dev/null || echo no; touch /keep/mine 2>/dev/null || echo no'))), '1000:1001 644\nno\nno\n');
    });

    test('what a container changed is told by diff, committed, exported and copied', () => {
      same((each) => each.podman('run', '--name', 'work', 'imported', ...sh(`cd /keep; rm two; echo more >>lower; echo new >new; mkdir /made; ln lower /made/linked; mv /gone/y /made/y; rm -r /gone
        chown 5:6 secret; chmod 4711 setuid; rm -rf /kinds/was-directory; echo file >/kinds/was-directory; ln -s ../new /made/link; mkfifo /made/fifo`)).replace(/[0-9a-f]{64}/, ''));
      assert.deepEqual(same((each) => each.podman('diff', 'work').trim().split('\n').filter((line) => !/\/(etc|run|dev|proc|sys)\b/.test(line)).sort()), [
        'A /keep/new', 'A /made', 'A /made/fifo', 'A /made/link', 'A /made/linked', 'A /made/y', 'C /keep', 'C /keep/lower', 'C /keep/secret', 'C /keep/setuid', 'C /kinds', 'C /kinds/was-directory',
        'D /gone', 'D /keep/two',
      ]);
      same((each) => void each.podman('commit', '-q', 'work', 'committed'));
      const tree = same((each) => podman.now.tree(each, 'committed'));
      assert.ok(tree.includes('linked keep/lower made/linked') && tree.some((line) => /^keep\/secret -r-{8} 5:6 7 $/.test(line)));
      // With times, in whole seconds, as archives have them.
      const listing = `find . -printf '%P %M %U:%G %Ts\\n' | grep -Ev '^(etc|run|dev|proc|sys|tmp|)(/| )' | sort`;
      const [exported, mounted] = [
        podman.now.ufs.sh(`mkdir "$TMPDIR/exported"; podman export work | tar --numeric-owner -pxC "$TMPDIR/exported"; cd "$TMPDIR/exported"; ${listing}; rm -rf "$TMPDIR/exported"`),
        podman.now.ufs.sh(`cd "$(podman image mount committed)"; ${listing}; podman image unmount committed >/dev/null`),
      ];
      assert.equal(exported, mounted);
      assert.equal(same((each) => each.podman('ps', '-as', '--filter', 'name=work', '--format', '{{.Size}}').replace(/ \(virtual.*/, '')), '35.7kB\n');
      assert.equal(same((each) => {
        each.podman('cp', 'copied', 'work:/keep/copied');
        each.podman('cp', 'work:/keep', `${each.directory}/tmp/keep`);
        return each.sh('cd $TMPDIR; cat keep/copied keep/lower keep/new; ls keep; rm -rf keep');
      }).split('\n').slice(0, 4).join(' '), 'copied lower more new');
      same((each) => each.podman('rm', 'work').replace(/[0-9a-f]{64}/, ''));
    });

    for (const [name, ...flags] of [['oci', '--isolation', 'oci', '--network', 'none', '--layers=false'], ['chroot', '--isolation', 'chroot', '--layers']] as const) {
      test(`a build gives the same tree (${flags.join(' ')}), which says what it should`, () => {
        same((each) => void each.podman('build', '-q', ...flags, '-t', name, 'context'));
        assert.equal(same((each) => each.runImage(name)), SAYS);
        const tree = podman.now.tree(podman.now.ufs, name);
        // What is done to a file of a layer below, overlayfs doesn't do to its other names.
        const isSplit = (line: string): boolean => name === 'chroot' && /keep\/(linked|two)\b/.test(line);
        assert.deepEqual(tree.filter((line) => !isSplit(line)), podman.now.tree(podman.now.native, name).filter((line) => !isSplit(line)));
        assert.ok(tree.includes('keep/linked -rw-r--r-- 5:6 4 ') && tree.includes('linked keep/linked keep/two'));
        same((each) => each.image(name).diffIds.length);
      });
    }

    test('steps that are built already are taken from the cache', () => {
      const log = podman.now.ufs.podman('build', '--isolation', 'chroot', '--layers', '-t', 'again', 'context');
      assert.equal(log.match(/Using cache/g)?.length, 8);
      assert.equal(podman.now.ufs.image('again').id, podman.now.ufs.image('chroot').id);
    });

    test('what is saved is loaded as the same image, in both formats, and by others', () => {
      const { id } = podman.now.ufs.image('chroot');
      const tree = podman.now.tree(podman.now.ufs, 'chroot');
      for (const format of ['docker-archive', 'oci-archive']) {
        const file = `${podman.now.ufs.directory}/tmp/${format}`;
        podman.now.ufs.podman('save', '-q', '--format', format, '-o', file, 'chroot');
        podman.now.ufs.podman('rmi', '-f', 'chroot', 'again');
        podman.now.ufs.podman('load', '-q', '-i', file);
        assert.equal(podman.now.ufs.image('chroot').id, id);
        podman.now.native.podman('load', '-q', '-i', file);
        for (const each of [podman.now.ufs, podman.now.native]) assert.deepEqual(podman.now.tree(each, 'chroot'), tree);
        podman.now.native.podman('rmi', '-f', 'chroot');
      }
    });

    test('buildah makes an image by hand', () => {
      same((each) => {
        const container = each.buildah('from', '--pull-never', 'imported').trim();
        each.buildah('run', '--isolation', 'chroot', container, ...sh('rm -r /keep; mkdir -m 711 /keep; echo by hand >/keep/file'));
        each.buildah('copy', '-q', '--chown', '3:4', container, 'copied', '/keep/');
        each.buildah('config', '--cmd', 'cat /keep/file', container);
        each.buildah('commit', '-q', container, 'by-hand');
        each.buildah('rm', container);
      });
      assert.equal(same((each) => each.runImage('by-hand')), 'by hand\n');
      assert.ok(same((each) => podman.now.tree(each, 'by-hand')).includes('keep/copied -rw-r--r-- 3:4 7 '));
    });

    test('--read-only lets nothing be changed', () => {
      assert.equal(same((each) => each.podman('run', '--rm', '--read-only', 'imported', ...sh('cat /d/one; echo >/d/one || echo refused; echo >/tmp/temporary && echo allowed')).trim()), 'one\nrefused\nallowed');
    });

    test('-v with O puts a folder of the host below, and throws away what is written', () => {
      const folder = podman.now.bench.path('share/volume');
      assert.equal(same((each) => each.podman('run', '--rm', '-v', `${folder}:/vol:O`, 'imported', ...sh('cd /vol; cat file; echo x >>file; rm other; mkdir d; echo *; cat file'))), 'of the host\nd file\nof the host\nx\n');
      assert.equal(podman.now.bench.sh('cd share/volume; echo *; cat file'), 'file other\nof the host\n');
      const [upper, work] = ['upper', 'work'].map((name) => podman.now.bench.path('share', name));
      podman.now.bench.sh(`cd share; mkdir -p upper work; ${rootless ? `chown ${SubordinateUser.id}:${SubordinateUser.id} upper work` : ''}`);
      assert.match(podman.now.ufs.podman('run', '--rm', '-v', `${folder}:/vol:O,upperdir=${upper},workdir=${work}`, 'imported', ...sh('cd /vol; echo x >>file; rm other; busybox mount | busybox grep " /vol "')), /fuse\.ufs-overlay/);
      assert.equal(podman.now.bench.sh('cd share; cat upper/file; stat -c %F:%t:%T upper/other; rm -rf upper work'), 'of the host\nx\ncharacter special file:0:0\n');
    });

    test('images and named volumes are mounted in containers', () => {
      assert.equal(same((each) => each.podman('run', '--rm', '--mount', 'type=image,source=by-hand,target=/image', 'imported', ...sh('cat /image/keep/file; echo >/image/new || echo refused'))), 'by hand\nrefused\n');
      assert.equal(same((each) => each.podman('run', '--rm', '--mount', 'type=image,source=by-hand,target=/image,rw=true', 'imported', ...sh('echo new >/image/new; cat /image/new'))), 'new\n');
      same((each) => void each.podman('run', '--rm', '-v', 'named:/keep', 'imported', ...sh('echo more >/keep/more')));
      assert.match(same((each) => each.podman('run', '--rm', '-v', 'named:/vol', 'imported', ...sh('cat /vol/more; busybox stat -c "%n %a %u:%g" /vol/*'))), /^more\n(.*\n)*\/vol\/secret 400 7:8\n/);
    });

    test('a container in the background: exec, stop, start, restart', () => {
      assert.deepEqual(same((each) => {
        const exec = (script: string): string => each.podman('exec', 'background', ...sh(script));
        each.podman('run', '-d', '--name', 'background', 'imported', ...sh('echo started >>/keep/log; trap "exit 3" TERM; while :; do busybox sleep 0.05; done'));
        const said = [exec('echo one >/keep/file; rm /keep/two; cat /keep/file'), each.podman('exec', '-u', '7:8', 'background', 'cat', '/keep/secret')];
        each.podman('stop', '-t', '10', 'background');
        said.push(each.podman('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'background'));
        each.podman('start', 'background');
        said.push(exec('cat /keep/file; ls /keep/two 2>/dev/null || echo gone'));
        each.podman('restart', '-t', '10', 'background');
        said.push(exec('cat /keep/log'), each.podman('top', 'background', 'user'));
        each.podman('rm', '-f', '-t', '0', 'background');
        return said;
      }), ['one\n', 'secret\n', 'exited 3\n', 'one\ngone\n', 'started\nstarted\nstarted\n', 'USER\nroot\nroot\n']);
    });

    test('eight containers at once write side by side', () => {
      const { ufs } = podman.now;
      const many = Array.from({ length: 8 }, (_, index) => ufs.podman('run', '-d', 'imported', ...sh(`for n in $(busybox seq 100); do echo ${index} >/d/n$n; done; cat /d/n* | busybox sort | busybox uniq -c`)).trim());
      assert.deepEqual(many.map((each) => ufs.podman('wait', each)), many.map(() => '0\n'));
      assert.deepEqual(many.map((each) => ufs.podman('logs', each).trim()), many.map((_, index) => `100 ${index}`));
      ufs.podman('rm', ...many);
    });

    test('a container is mounted on the host, where it is changed', () => {
      assert.equal(same((each) => each.sh(`id=$(podman create imported true); at=$(podman mount $id); echo host >$at/keep/host; rm -r $at/gone; podman umount $id >/dev/null
        podman diff $id | sort; podman rm $id >/dev/null`)), 'A /keep/host\nC /keep\nD /gone\n');
    });

    test('system df counts, prune removes what nothing needs', () => {
      assert.match(podman.now.ufs.podman('system', 'df'), /^TYPE .*\nImages .*\nContainers .*\nLocal Volumes .*\n$/);
      same((each) => void each.podman('run', '--name', 'stopped', 'imported', 'echo'));
      same((each) => void each.podman('tag', 'imported', 'kept'));
      same((each) => void each.podman('untag', 'by-hand'));
      assert.deepEqual(same((each) => {
        each.podman('system', 'prune', '-f');
        return [each.podman('ps', '-aq'), each.podman('images', '--format', '{{.Repository}}', '--filter', 'dangling=true')];
      }), ['', '']);
      assert.equal(same((each) => each.runImage('kept', 'cat', '/d/one')), 'one\n');
    });

    test('when all is removed nothing is left: no mount, no server, no file', async () => {
      await podman.now.endsClean();
    });
  });
}
