import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsProgram } from '../helpers/needs.ts';
import { needsPodman, PodmanOnUfs } from './podman-on-ufs.ts';
import { Podman } from './podman.ts';

describe('owners in rootless podman\'s containers on ufs', { skip: needsPodman }, () => {
  const podman = PodmanOnUfs.during({ rootless: true }, ({ bench, ufs, native }) => {
    // Where owners are kept in xattrs, podman can't unpack fifos and devices.
    bench.sh('tar --delete -f context/rootfs.tar ./keep/fifo ./keep/null');
    for (const each of [ufs, native]) each.podman('import', '-q', '-c', 'ENV PATH=/bin', 'context/rootfs.tar', 'imported');
  });
  const sh = (script: string): string[] => ['busybox', 'sh', '-c', script];
  const OWNERS = 'cd /; busybox stat -c "%n %u:%g %a" . keep/* bin/busybox';
  const WORK = `${OWNERS}; echo new >/tmp/new; mkdir /tmp/d; echo in >/tmp/d/in; busybox stat -c "%n %u:%g" tmp/new tmp/d`;
  /** Changes owners, as root of the container. */
  const AS_ROOT = `${WORK}; cd /keep; chown 1000:1001 /tmp/new empty; chown -R 5:6 /kinds; chmod 4755 lower; busybox stat -c "%n %u:%g %a" /tmp/new empty lower /kinds/*`;
  const NEW = ['A /tmp/d', 'A /tmp/d/in', 'A /tmp/new', 'C /tmp'];
  const CHANGED = ['C /keep', 'C /keep/empty', 'C /keep/lower', 'C /kinds', 'C /kinds/was-directory', 'C /kinds/was-directory/in', 'C /kinds/was-file', 'C /kinds/was-link'];
  /** What the layers of images are on disk, with the time of each one's last change. */
  const layers = (each: Podman): string[] => each.sh(`cd ${each.directory}/graph/overlay; find */diff -printf '%p %M %U:%G %C@\\n' | sort`).split('\n');
  const onDisk = (each: Podman, container: string, script: string): string => each.sh(`cd "$(podman inspect -f '{{.GraphDriver.Data.UpperDir}}' ${container})"; ${script}`);

  const ways: { name: string; flags: string[]; script: string; kept: string }[] = [
    { name: 'keep-id', flags: ['--userns=keep-id'], script: WORK, kept: '64321:64321 new\n' },
    { name: 'keep-id, as root', flags: ['--userns=keep-id', '-u', '0'], script: AS_ROOT, kept: '1000:1001 new\n' },
    { name: 'a map', flags: ['--uidmap=0:10:3000', '--gidmap=0:1:3000'], script: AS_ROOT, kept: '1000:1001 new\n' },
    { name: 'ids chosen by podman', flags: ['--userns=auto:size=3000'], script: AS_ROOT, kept: '1000:1001 new\n' },
  ];
  for (const { name, flags, script, kept } of ways) {
    test(`${name}: inside, on disk and in the committed image they are what they are on overlayfs, and no layer is changed or copied for it`, () => {
      const before = layers(podman.now.ufs);
      const said = podman.now.same((each) => each.podman('run', '--name', 'mapped', ...flags, 'imported', ...sh(script)));
      assert.match(said, /keep\/secret 7:8 400\nkeep\/setuid 1000:1001 6755\n/);
      const after = layers(podman.now.ufs);
      assert.deepEqual(before.filter((line) => !after.includes(line)), []);
      // One layer more: the container's.
      const count = (lines: string[]): number => lines.filter((line) => / *^\S+\/diff /.test(line)).length;
      assert.equal(count(after), count(before) + 1);
      assert.equal(onDisk(podman.now.ufs, 'mapped', "find tmp -name new -printf '%U:%G %f\\n'"), kept);
      const changed = podman.now.ufs.podman('diff', 'mapped').trim().split('\n').filter((line) => !/ \/etc\b/.test(line)).sort();
      assert.deepEqual(changed, script === WORK ? NEW : [...NEW, ...CHANGED].sort());
      podman.now.same((each) => void each.podman('commit', '-q', 'mapped', 'mapped-image'));
      podman.now.same((each) => podman.now.tree(each, 'mapped-image'));
      podman.now.same((each) => void each.podman('rm', 'mapped'));
      podman.now.same((each) => void each.podman('rmi', 'mapped-image'));
    });
  }

  test('a map in pieces, which podman copies the image for', () => {
    const flags = ['--uidmap=0:10:2000', '--uidmap=2000:5000:10', '--gidmap=0:1:3000'];
    assert.match(podman.now.same((each) => each.podman('run', '--name', 'pieces', ...flags, 'imported', ...sh(AS_ROOT))), /keep\/secret 7:8 400\nkeep\/setuid 1000:1001 6755\n/);
    podman.now.same((each) => void each.podman('commit', '-q', 'pieces', 'of-pieces'));
    podman.now.same((each) => podman.now.tree(each, 'of-pieces'));
    podman.now.same((each) => void each.podman('rm', 'pieces'));
  });

  test('a container of keep-id that is started again, one after another on one image, and one without a map', () => {
    const { ufs } = podman.now;
    ufs.podman('run', '--name', 'again', '--userns=keep-id', 'imported', ...sh('busybox stat -c %u /tmp/mine 2>/dev/null; echo mine >/tmp/mine'));
    assert.equal(ufs.podman('start', '-a', 'again'), '64321\n');
    ufs.podman('commit', '-q', 'again', 'kept-ids');
    assert.equal(ufs.podman('run', '--rm', '--userns=keep-id', 'kept-ids', ...sh('echo more >>/tmp/mine && cat /tmp/mine')), 'mine\nmore\n');
    assert.equal(ufs.runImage('kept-ids', 'busybox', 'stat', '-c', '%u:%g', '/tmp/mine'), '64321:64321\n');
    ufs.podman('rm', 'again');
  });

  test('a single id: all files are shown as root\'s, and new ones are', () => {
    const { ufs } = podman.now;
    const one = ['--uidmap=0:0:1', '--gidmap=0:0:1'];
    const said = ufs.podman('run', '--name', 'one', ...one, 'imported', ...sh(`${WORK}; echo more >>/keep/secret; cat /keep/secret; chmod 600 /keep/secret; rm /keep/setuid`));
    assert.deepEqual(said.match(/ \d+:\d+/g)?.filter((owner) => owner !== ' 0:0'), []);
    assert.match(said, /secret\nmore\n$/);
    assert.equal(onDisk(ufs, 'one', "find tmp/new keep/secret -printf '%U:%G %f\\n'"), '0:0 new\n7:8 secret\n');
    assert.deepEqual(ufs.podman('diff', 'one').trim().split('\n').filter((line) => !/ \/etc/.test(line)).sort(), ['A /tmp/d', 'A /tmp/d/in', 'A /tmp/new', 'C /keep', 'C /keep/secret', 'C /tmp', 'D /keep/setuid']);
    ufs.podman('commit', '-q', 'one', 'of-one');
    // Kept owners are what a container without the map sees.
    assert.equal(ufs.runImage('of-one', 'busybox', 'stat', '-c', '%n %u:%g %a', '/keep/secret', '/tmp/new', '/tmp/d/in'), '/keep/secret 7:8 600\n/tmp/new 0:0 644\n/tmp/d/in 0:0 644\n');
    assert.equal(ufs.podman('run', '--rm', ...one, 'of-one', 'cat', '/keep/secret'), 'secret\nmore\n');
    ufs.podman('rm', 'one');
  });

  test('force_mask=700: on disk all is the user\'s and nobody else gets in, inside and in images it is as without', async () => {
    const mask = new Podman(podman.now.bench, 'mask', { rootless: true, mountProgram: podman.now.program, storage: ['overlay.force_mask=700'] });
    try {
      mask.podman('import', '-q', '-c', 'ENV PATH=/bin', 'context/rootfs.tar', 'imported');
      const work = (each: Podman): string => each.podman('run', '--name', 'masked', 'imported', ...sh(`${AS_ROOT}; mkdir -m 1777 /keep/sticky; rm -rf /gone; chown 8:9 /keep/secret; ln lower hard; ln -s a soft; chown -h 3:4 soft; busybox stat -c "%n %u:%g %a" /keep/*`))
        // podman itself drops these bits as it unpacks, and keeps no mode of the root.
        .replace(/keep\/setuid 1000:1001 6755/g, 'keep/setuid 1000:1001 755').replace(/^\. .*\n/, '');
      assert.equal(work(mask), work(podman.now.ufs));
      assert.match(mask.sh(`cd "$(podman inspect -f '{{.GraphDriver.Data.UpperDir}}' masked)"; find . ! -user 0 ! -type l; find . -perm /077 ! -type l ! -perm 755 | sort; stat -c '%a %u:%g' keep/secret; getfattr --only-values -n user.containers.override_stat keep/secret`), /^700? 0:0\n8:9:0400$|^600 0:0\n8:9:0400$/);
      for (const each of [mask, podman.now.ufs]) each.podman('commit', '-q', 'masked', 'masked-image');
      mask.podman('save', '-q', '-o', `${mask.directory}/tmp/saved`, 'masked-image');
      podman.now.bench.sh(`cp ${mask.directory}/tmp/saved saved; chmod 644 saved`);
      podman.now.native.podman('load', '-q', '-i', 'saved');
      // Of what the image has, this container changed /tmp: with the mode that podman unpacked it with.
      assert.deepEqual(podman.now.tree(podman.now.native, 'masked-image'), podman.now.tree(podman.now.ufs, 'masked-image').map((line) => line.replace(/^tmp drwxrwxrwt/, 'tmp drwxrwxrwx')));
    } finally {
      await podman.now.endsClean(mask);
      await mask.close();
    }
  });

  test('when all is removed nothing is left', async () => {
    await podman.now.endsClean();
  });
});

// podman 4.3.1 maps owners twice where root has a mount program: layers mapped by the kernel are given to the mount program with the same map once more.
describe('owners in containers of root\'s podman with a map: on ufs they are what they are on fuse-overlayfs', { skip: needsPodman || needsProgram('fuse-overlayfs') }, () => {
  let theirs: Podman;
  const podman = PodmanOnUfs.during({ rootless: false }, ({ bench, ufs, native }) => {
    theirs = new Podman(bench, 'theirs', { mountProgram: bench.sh('command -v fuse-overlayfs').trim() });
    for (const each of [ufs, theirs, native]) each.podman('import', '-q', '-c', 'ENV PATH=/bin', 'context/rootfs.tar', 'imported');
  });
  const map = (ids: string): string[] => [`--uidmap=${ids}`, `--gidmap=${ids}`];
  const WORK = 'cd /; busybox stat -c "%n %u:%g %a" . keep/* bin/busybox; cat keep/secret; echo new >tmp/new; echo more >>keep/lower; chown 5:6 keep/sparse; busybox stat -c "%n %u:%g %a" tmp/new keep/lower keep/sparse';
  const OWNERS = ['/', '/bin/busybox', '/keep/lower', '/keep/secret', '/keep/setuid', '/keep/sparse', '/tmp', '/tmp/new'];
  /** What a container sees and says, what is on disk then, and what the image it is committed to has, without a map. */
  const seen = (each: Podman, ids: string): { inside: string; onDisk: string; committed: string } => {
    const { out, err } = each.try('run', '--name', 'mapped', ...map(ids), 'imported', 'busybox', 'sh', '-c', WORK);
    const onDisk = each.sh(`cd "$(podman inspect -f '{{.GraphDriver.Data.UpperDir}}' mapped)"; find . -printf '%p %U:%G %m\\n' | sort`);
    each.podman('commit', '-q', 'mapped', 'of-mapped');
    const committed = each.runImage('of-mapped', 'busybox', 'stat', '-c', '%n %u:%g', ...OWNERS);
    each.podman('rm', 'mapped');
    each.podman('rmi', 'of-mapped');
    return { inside: `${out}${err}`, onDisk, committed };
  };
  const same = (ids: string): ReturnType<typeof seen> => {
    const ours = seen(podman.now.ufs, ids);
    assert.deepEqual(ours, seen(theirs, ids));
    return ours;
  };

  test('a map that moves nothing: as on overlayfs, too', () => {
    const { inside } = same('0:0:65536');
    assert.equal(inside, seen(podman.now.native, '0:0:65536').inside);
    assert.match(inside, /keep\/secret 7:8 400\n/);
  });

  test('a map onto some of its own ids: what is in the image is shown moved, by podman', () => {
    const { inside } = same('0:10:3000');
    assert.match(inside, /keep\/secret 17:18 400\n/);
    assert.match(inside, /tmp\/new 0:0 644\n/);
  });

  test('a map onto other ids: nothing in the image belongs to an id of the container, so podman can\'t set it up', () => {
    for (const each of [podman.now.ufs, theirs]) {
      const { code, err } = each.try('run', '--rm', ...map('0:100000:65536'), 'imported', 'busybox', 'true');
      assert.equal(code, 126);
      assert.match(err, /runc create failed: .*error mounting .*\/merged\/\S+: permission denied/);
    }
  });

  test('a single id: all is the container\'s, and kept as that of who made it', () => {
    const { inside, onDisk, committed } = same('0:100000:1');
    assert.match(inside, /keep\/secret 0:0 400\n/);
    assert.match(onDisk, /\.\/tmp\/new 100000:100000 644\n/);
    assert.match(committed, /\/keep\/secret 7:8\n[^]*\/tmp\/new 100000:100000\n/);
  });

  test('when all is removed nothing is left', async () => {
    theirs.podman('rmi', '-af');
    await podman.now.endsClean();
  });
});
