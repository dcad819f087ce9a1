import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Bench, mountsBelow } from '../helpers/cli.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences, type TreeListing } from '../helpers/tree.ts';
import { OverlayProgram } from './overlay-program.ts';

const [PRIVILEGED, FUSE_OVERLAYFS, CONTAINERS] = ['security.fuseoverlayfs.override_stat', 'user.fuseoverlayfs.override_stat', 'user.containers.override_stat'];

/** What fuse-overlayfs can do with both values: with 1 it makes no symlinks and fifos. */
const WORK = `
  chown 5:6 owner; chmod 4751 mode; chmod 700 d; chown 11:12 d; echo new >new; chown 7:8 new; chmod 640 new; mkdir -m 1777 made; chown 1:2 made; echo in >made/in; chmod 600 made/in; chmod 2755 d/sub
  setfattr -n user.note -v 1 new; setfattr -n security.note -v 2 new; mv d/f d/g; rm gone; ln new linked; chown 13:14 linked`;
const MORE = 'chown 21:22 new; chmod 604 mode; echo more >>owner; mkdir d/more; chown 23:24 d/more; mv made made-too; chmod 711 d; cp -p owner made-too/copy';
const OTHER_TYPES = 'ln -s new link; chown -h 3:4 link; mkfifo -m 620 fifo; chown 5:6 fifo; mknod -m 604 null c 1 3';

describe('owners and modes in xattrs, by ufs-overlay and by fuse-overlayfs', { skip: needsRootAndFuse || needsProgram('fuse-overlayfs') || needsProgram('setfattr') }, () => {
  let bench: Bench;
  let program: OverlayProgram;
  before(() => {
    bench = new Bench();
    program = new OverlayProgram(bench);
    bench.sh('mkdir -p m l/d/sub; cd l; for f in owner mode gone d/f d/sub/f; do echo $f >$f; done; chown 3:4 owner d/f; chmod 751 d');
  });
  after(async () => {
    await program.ended();
    bench.close();
  });

  type Mount = (options: string) => void;
  const ufs: Mount = (options) => program.mount(options, 'm');
  const fuseOverlayfs: Mount = (options) => void bench.sh(`fuse-overlayfs -o ${options} m 2>/dev/null`);
  /** The tree that is shown after some work in it; where fuse-overlayfs 1.10 shows its own xattr, it isn't told. */
  const shown = (mount: Mount, options: string, work = ''): TreeListing => {
    mount(options);
    try {
      bench.sh(`cd m; ${work}`);
      const tree = listTree(bench.path('m'), { ignoreXattrs: /\.override_stat$|^user\.containers\.override_security\.|^security\.(selinux|note)$/ });
      // Links of files with several names are counted otherwise there.
      return new Map([...tree].map(([path, line]) => [path, line.replace(/ nlink \d+( inode of \S+)?/, '')]));
    } finally {
      bench.sh('umount m');
    }
  };
  const same = (left: TreeListing, right: TreeListing): void => {
    assert.ok(left.size >= 10);
    assert.deepEqual(treeDifferences(left, right), []);
  };
  const fresh = (name: string): string => {
    bench.sh(`rm -rf ${name} w; mkdir ${name} w`);
    return `lowerdir=l,upperdir=${name},workdir=w`;
  };
  const xattr = (name: string, path: string): string => bench.sh(`getfattr --only-values -h -n ${name} ${path}`);

  for (const [value, written] of [['1', PRIVILEGED], ['2', CONTAINERS]] as const) {
    test(`xattr_permissions=${value}: what ufs-overlay writes is root's on disk, with owners in ${written}, and fuse-overlayfs shows it`, () => {
      const layers = `${fresh('ours')},xattr_permissions=${value}`;
      const tree = shown(ufs, layers, `${WORK}; ${OTHER_TYPES}`);
      assert.equal(bench.sh("cd ours; find . -type f -o -type d | xargs stat -c '%u:%g' | sort -u"), '0:0\n');
      assert.deepEqual(['.', 'owner', 'mode', 'd', 'new', 'made'].map((path) => xattr(written, `ours/${path}`)), value === '1'
        ? ['0:0:40755', '5:6:100644', '0:0:104751', '11:12:40700', '13:14:100640', '1:2:41777'] : ['0:0:0755', '5:6:0644', '0:0:4751', '11:12:0700', '13:14:0640', '1:2:1777']);
      same(tree, shown(ufs, layers));
      same(tree, shown(ufs, 'lowerdir=ours:l'));
      same(tree, shown(fuseOverlayfs, 'lowerdir=ours:l'));
      if (value === '1') same(tree, shown(fuseOverlayfs, layers));
    });

    test(`xattr_permissions=${value}: ufs-overlay shows what fuse-overlayfs wrote, goes on with it, and so does fuse-overlayfs`, () => {
      const layers = `${fresh('theirs')},xattr_permissions=${value}`;
      const tree = shown(fuseOverlayfs, layers, WORK);
      same(tree, shown(ufs, layers));
      same(tree, shown(ufs, 'lowerdir=theirs:l'));
      const changed = shown(ufs, layers, MORE);
      assert.match(xattr(value === '1' ? PRIVILEGED : FUSE_OVERLAYFS, 'theirs/d/more'), /^23:24:40755$/);
      same(changed, shown(fuseOverlayfs, layers));
      same(shown(fuseOverlayfs, layers, 'chown 31:32 d/more; rm -r made-too; chmod 777 owner'), shown(ufs, layers));
    });
  }

  test('the xattr of a layer\'s root is the one that counts for its files; where that has several, what fuse-overlayfs goes by', () => {
    const names = [PRIVILEGED, FUSE_OVERLAYFS, CONTAINERS];
    for (const root of [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]]) {
      bench.sh('rm -rf mixed; mkdir -p mixed/d; for n in $(seq 8); do echo $n >mixed/f$n; done');
      for (const index of root) bench.sh(`setfattr -n ${names[index]} -v ${index + 1}0:0:0755 mixed`);
      for (const index of [0, 1, 2]) bench.sh(`setfattr -n ${names[index]} -v ${index + 1}:${index + 1}:060${index} mixed/f*; setfattr -n ${names[index]} -v ${index + 1}:${index + 1}:070${index} mixed/d`);
      const tree = shown(ufs, 'lowerdir=mixed');
      same(tree, shown(fuseOverlayfs, 'lowerdir=mixed'));
      const first = (root[0] as number) + 1;
      assert.match(tree.get('f1') ?? '', new RegExp(`\\b${first}:${first}\\b`));
    }
  });

  test('security.* are as they are with 1, and nobody sees or changes the xattr itself', () => {
    ufs(`${fresh('ours')},xattr_permissions=1`);
    bench.sh('cd m; echo f >f; chown 5:6 f; setfattr -n security.note -v 1 f; setcap cap_net_raw+ep f; test "$(getfattr -m - f | sort | xargs)" = "# file: f security.capability security.note"; ! setfattr -n security.fuseoverlayfs.override_stat -v 0:0:0777 f 2>/dev/null; ! setfattr -x security.fuseoverlayfs.override_stat f 2>/dev/null; stat -c %u:%g f; cd ..; umount m');
    assert.equal(bench.sh('getfattr -m - ours/f | grep security | sort | xargs'), 'security.capability security.fuseoverlayfs.override_stat security.note\n');
    assert.equal(xattr(PRIVILEGED, 'ours/f'), '5:6:100644');
  });

  test('1 is refused where security.* can\'t be set, in a user namespace; 2 isn\'t', () => {
    const inNamespace = (value: string): string => `unshare -Urm env XDG_RUNTIME_DIR=${bench.path('run')} ${program.command} -f -o ${fresh('ours')},xattr_permissions=${value} m`;
    const { code, err } = bench.run('/bin/bash', ['-c', inNamespace('1')]);
    assert.equal(code, 1);
    assert.equal(err, `ufs-overlay: Cannot mount on "${bench.path('m')}": Cannot keep owners in security.fuseoverlayfs.override_stat: only root outside of user namespaces can set that, others user.containers.override_stat (EPERM)\n`);
    assert.deepEqual(mountsBelow(bench.directory), []);
    const shownThere = `${inNamespace('2').replace(' -f ', ' ')} && touch m/f && chown 0:0 m/f && umount m`;
    bench.sh(`unshare -Urm sh -c '${shownThere.replace('unshare -Urm ', '')}'`);
    assert.equal(xattr(CONTAINERS, 'ours/f'), '0:0:0644');
  });

  test('another value is refused, as by fuse-overlayfs', () => {
    const { code, err } = program.run('-o', `${fresh('ours')},xattr_permissions=3`, 'm');
    assert.equal(code, 1);
    assert.match(err, /^ufs-overlay: Cannot mount on "m": xattr_permissions=3 isn't 0, 1 \(.*\) or 2 \(.*\)\n$/);
  });
});
