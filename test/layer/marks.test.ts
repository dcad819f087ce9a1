import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { clearUmask } from '../../fs/host/make.ts';
import { isDirectory, isRegular, isSymlink, PERMISSIONS, S_IFMT } from '../../fs/stat.ts';
import { needsOverlayfs } from '../helpers/needs.ts';
import { Driver, Scratch } from '../union/driver.ts';

const needsRoot = process.geteuid?.() === 0 ? false : 'needs root: trusted.* xattrs, devices';
clearUmask();
const base = mkdtempSync(join(tmpdir(), 'ufs-marks-'));
after(() => execFileSync('rm', ['-rf', base]));

/** What a mark in a layer does to what is below it. */
interface Case {
  /** Shell script that fills the layer below. */
  below?: string;
  /** Fills the layer that has the mark. */
  marked: string;
  /** What is shown: "name/" for a directory, "name=content", "name->target"; other types as octal. */
  shown: string;
  /** What isn't, also not by name. */
  hidden?: string;
  /** Kernel overlayfs, mounted with these options, shows the same. */
  kernel?: string;
}

const BELOW = 'mkdir -p d/e; echo f >d/f; echo g >d/e/g; echo a >a';
const SAME = 'd/ d/e/ d/e/g=g d/f=f a=a';
const FOLLOWS = 'redirect_dir=follow,metacopy=on';

function opaque(xattr: string, kernel?: string): Case {
  return { marked: `mkdir d; echo n >d/n; setfattr -n ${xattr} -v y d`, shown: 'a=a d/ d/n=n', hidden: 'd/f d/e', ...(kernel === undefined ? {} : { kernel }) };
}

/** A file of a layer with owners in xattrs: one content, shown as `shown`. */
function owners(value: string, shown: string, xattr = 'user.containers.override_stat'): Case {
  return { below: ':', marked: `setfattr -n ${xattr} -v 3:4:0751 .; printf target >x; setfattr -n ${xattr} -v ${value} x`, shown };
}

const CASES: Record<string, Case> = {
  'a device 0:0 hides a file': { marked: 'mkdir d; mknod d/f c 0 0', shown: 'd/ d/e/ d/e/g=g a=a', hidden: 'd/f', kernel: FOLLOWS },
  'a device 0:0 hides a directory': { marked: 'mknod d c 0 0', shown: 'a=a', hidden: 'd d/f', kernel: FOLLOWS },
  'a ".wh." file hides a file': { marked: 'mkdir d; : >d/.wh.f', shown: 'd/ d/e/ d/e/g=g a=a', hidden: 'd/f d/.wh.f' },
  'a ".wh." file hides a directory, whatever is in it': { marked: 'echo text >.wh.d', shown: 'a=a', hidden: 'd d/f .wh.d' },
  'a ".wh." directory hides a file': { marked: 'mkdir .wh.a', shown: 'd/ d/e/ d/e/g=g d/f=f', hidden: 'a .wh.a' },
  'an empty file with overlay.whiteout hides a name where its directory says opaque=x': { marked: 'mkdir d; : >d/f; setfattr -n trusted.overlay.opaque -v x d; setfattr -n trusted.overlay.whiteout d/f', shown: 'd/ d/e/ d/e/g=g a=a', hidden: 'd/f', kernel: FOLLOWS },
  'the same in user.*': { marked: 'mkdir d; : >d/f; setfattr -n user.overlay.opaque -v x d; setfattr -n user.overlay.whiteout d/f', shown: 'd/ d/e/ d/e/g=g a=a', hidden: 'd/f', kernel: 'userxattr' },
  'a file with overlay.whiteout that isn\'t empty is a file': { marked: 'mkdir d; setfattr -n trusted.overlay.opaque -v x d; echo t >d/f; setfattr -n trusted.overlay.whiteout d/f', shown: 'd/ d/e/ d/e/g=g d/f=t a=a', kernel: FOLLOWS },
  'an empty file with overlay.whiteout is a file where its directory says nothing': { marked: 'mkdir d; : >d/f; setfattr -n trusted.overlay.whiteout d/f', shown: 'd/ d/e/ d/e/g=g d/f= a=a' },
  'trusted.overlay.opaque hides all that is below a directory': opaque('trusted.overlay.opaque', FOLLOWS),
  'user.overlay.opaque does': opaque('user.overlay.opaque', 'userxattr'),
  'user.fuseoverlayfs.opaque does': opaque('user.fuseoverlayfs.opaque'),
  'a ".wh..wh..opq" file does': { marked: 'mkdir d; echo n >d/n; : >d/.wh..wh..opq', shown: 'a=a d/ d/n=n', hidden: 'd/f d/e d/.wh..wh..opq' },
  'any other value of opaque says nothing': { marked: 'mkdir d; setfattr -n trusted.overlay.opaque -v n d', shown: SAME, kernel: FOLLOWS },
  'a whiteout in an opaque directory changes nothing': { marked: 'mkdir d; setfattr -n trusted.overlay.opaque -v y d; mknod d/f c 0 0; : >d/.wh.e', shown: 'd/ a=a', hidden: 'd/f d/e d/.wh.e' },
  'a whiteout of a name nothing has changes nothing': { marked: 'mkdir d; mknod d/none c 0 0; : >d/.wh.nor; mknod b c 0 0', shown: SAME, hidden: 'd/none d/nor b' },
  'a device and a ".wh." file may stand for one name': { marked: 'mkdir d; mknod d/f c 0 0; : >d/.wh.f; mknod a c 0 0; : >.wh.a', shown: 'd/ d/e/ d/e/g=g', hidden: 'd/f a' },
  'a file beside its own ".wh." file shows': { marked: 'echo new >a; : >.wh.a', shown: 'd/ d/e/ d/e/g=g d/f=f a=new', hidden: '.wh.a' },
  'a directory beside its own ".wh." file replaces what is below': { marked: 'mkdir d; echo n >d/n; : >.wh.d', shown: 'a=a d/ d/n=n', hidden: 'd/f d/e' },
  'noise of aufs and fuse-overlayfs 1.10 is nothing': {
    marked: ': >.wh..wh.aufs; mkdir -p .wh..wh.plnk .wh..wh.orph d; echo 1 >.wh..wh.plnk/1.2; mknod .wh..opq c 0 0; : >d/.wh..opq', shown: SAME, hidden: '.wh..wh.aufs .wh..wh.plnk .wh..opq .opq ..opq d/.wh..opq',
  },
  'an absolute redirect says where a directory goes on': { marked: 'mkdir moved; echo n >moved/n; mknod d c 0 0; setfattr -n trusted.overlay.redirect -v /d moved', shown: 'a=a moved/ moved/e/ moved/e/g=g moved/f=f moved/n=n', hidden: 'd', kernel: FOLLOWS },
  'a relative one does, in its directory': { marked: 'mkdir -p d/x; mknod d/e c 0 0; setfattr -n trusted.overlay.redirect -v e d/x', shown: 'a=a d/ d/f=f d/x/ d/x/g=g', hidden: 'd/e', kernel: FOLLOWS },
  'a redirect in user.* does': { marked: 'mkdir -p q/moved; setfattr -n user.overlay.redirect -v /d/e q/moved', shown: `${SAME} q/ q/moved/ q/moved/g=g` },
  'a redirect to nothing, or out of the layers, shows nothing': { marked: 'mkdir x y; setfattr -n trusted.overlay.redirect -v /none x; setfattr -n user.overlay.redirect -v ../d y', shown: `${SAME} x/ y/` },
  'a metadata-only copy has the data of its name below': { marked: 'truncate -s 2 a; chmod 600 a; setfattr -n trusted.overlay.metacopy a', shown: 'd/ d/e/ d/e/g=g d/f=f a=a', kernel: FOLLOWS },
  'a metadata-only copy with a redirect has the data from there': {
    marked: 'mkdir d; for f in b d/h; do truncate -s 2 $f; setfattr -n trusted.overlay.metacopy $f; done; setfattr -n trusted.overlay.redirect -v /d/e/g b; setfattr -n trusted.overlay.redirect -v f d/h', shown: `${SAME} b=g d/h=f`, kernel: FOLLOWS,
  },
  'notes of overlayfs for itself are neither followed nor shown': {
    marked: `mkdir d; echo a >a; for m in impure origin uuid protattr; do setfattr -n trusted.overlay.$m -v y d; done; setfattr -n trusted.overlay.nlink -v U+1 a; setfattr -n user.fuseoverlayfs.origin -v /x a; setfattr -n trusted.overlay.upper -v y .`, shown: SAME,
  },
  'xattrs that overlayfs escaped are shown under their own names': {
    marked: 'mkdir d; setfattr -n trusted.overlay.overlay.opaque -v y d; setfattr -n trusted.overlay.overlay.overlay.x -v z d; setfattr -n user.mine -v 1 d',
    shown: 'a=a d/{trusted.overlay.opaque=y,trusted.overlay.overlay.x=z,user.mine=1} d/e/ d/e/g=g d/f=f', kernel: FOLLOWS,
  },
  'user.containers.override_stat says owner and mode': owners('5:6:4755', 'x[5:6:4755]=target'),
  'user.fuseoverlayfs.override_stat does, with the type in the mode': owners('5:6:100640', 'x[5:6:640]=target', 'user.fuseoverlayfs.override_stat'),
  'security.fuseoverlayfs.override_stat does': owners('5:6:0640', 'x[5:6:640]=target', 'security.fuseoverlayfs.override_stat'),
  'override_stat with a type: file': owners('5:6:0640:file', 'x[5:6:640]=target'),
  'override_stat with a type: symlink': owners('5:6:0777:symlink', 'x[5:6:777]->target'),
  'override_stat with a type: pipe': owners('5:6:0640:pipe', 'x[5:6:640]10000'),
  'override_stat with a type: socket': owners('5:6:0640:socket', 'x[5:6:640]140000'),
  'override_stat with a type: block device': owners('5:6:0640:block-8-1', 'x[5:6:640]60000(8,1)'),
  'override_stat with a type: character device': owners('5:6:0640:char-1-3', 'x[5:6:640]20000(1,3)'),
  'override_stat of a directory': { below: ':', marked: 'setfattr -n user.containers.override_stat -v 3:4:0751 .; mkdir x; setfattr -n user.containers.override_stat -v 5:6:2750:dir x', shown: 'x[5:6:2750]/' },
  'override_stat that isn\'t one is none': owners('nonsense', 'x[0:0:666]=target'),
  'user.containers.override_security.* is security.*': {
    below: ':', marked: 'setfattr -n user.containers.override_stat -v 0:0:0755 .; : >x; setfattr -n user.containers.override_security.some -v thing x; setfattr -n user.mine -v 1 x', shown: 'x{security.some=thing,user.mine=1}=',
  },
};

/** Everything a mount shows, in the words of `Case.shown`. Owners and modes where the layer's root says that it keeps them. */
function shownBy(driver: Driver, withOwners: boolean): string[] {
  const all: string[] = [];
  const visit = (path: string): void => {
    const stat = driver.stat(path);
    if (path !== '') {
      const xattrs = driver.at(path, (id) => driver.fs.listxattr(id).sort().map((name) => `${name}=${driver.fs.getxattr(id, name).toString()}`));
      const owner = withOwners ? `[${stat.uid}:${stat.gid}:${(stat.mode & PERMISSIONS).toString(8)}]` : '';
      const rest = isDirectory(stat) ? '/' : isRegular(stat) ? `=${driver.read(path).trim()}` : isSymlink(stat) ? `->${driver.at(path, (id) => driver.fs.readlink(id))}`
        : `${(stat.mode & S_IFMT).toString(8)}${stat.rdevMajor === 0 ? '' : `(${stat.rdevMajor},${stat.rdevMinor})`}`;
      const text = xattrs.length === 0 ? '' : `{${xattrs.join()}}`;
      all.push(isDirectory(stat) ? `${path}${owner}/${text}` : `${path}${owner}${text}${rest}`);
    }
    if (isDirectory(stat)) for (const name of driver.names(path)) visit(path === '' ? name : `${path}/${name}`);
  };
  visit('');
  driver.dump();
  return all.sort();
}

function shownByKernel(lowers: string[], options: string): string[] {
  const at = join(base, `mnt${count++}`);
  mkdirSync(at, { recursive: true });
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `ro,lowerdir=${lowers.join(':')},${options}`, at]);
  try {
    return execFileSync('/bin/bash', ['-ec', `find . -mindepth 1 | while read p; do
      x=$(getfattr -d -m - "$p" 2>/dev/null | grep = | sort | tr -d '"' | paste -sd,); [ -z "$x" ] || x="{$x}"
      if [ -d "$p" ]; then echo "\${p#./}/$x"; else echo "\${p#./}$x=$(cat "$p")"; fi; done`], { cwd: at }).toString().split('\n').filter((line) => line !== '').sort();
  } finally {
    execFileSync('umount', [at]);
  }
}

let count = 0;
function layer(script: string): string {
  const path = join(base, String(count++));
  mkdirSync(path);
  execFileSync('/bin/bash', ['-ec', script], { cwd: path });
  return path;
}

const ABOVE = 'echo top >top';
/** Layers of a stack, topmost first, and which of them is the upper. */
const POSITIONS: Record<string, (marked: () => string, below: () => string) => { lowers: string[]; upper?: string; more: string[] }> = {
  'in the upper': (marked, below) => ({ lowers: [below()], upper: marked(), more: [] }),
  'in the topmost lower': (marked, below) => ({ lowers: [marked(), below()], more: [] }),
  'in a middle lower': (marked, below) => ({ lowers: [layer(ABOVE), marked(), below()], more: ['top=top'] }),
};

for (const [title, { below = BELOW, marked, shown, hidden, kernel }] of Object.entries(CASES)) {
  describe(title, { skip: needsRoot }, () => {
    for (const [position, stack] of Object.entries(POSITIONS)) {
      test(position, () => {
        const { lowers, upper, more } = stack(() => layer(marked), () => layer(below));
        const withOwners = shown.includes('[');
        const scratch = new Scratch();
        const options = { lowers, upper: { directory: upper ?? scratch.upper, work: scratch.work } };
        const expected = [...shown.split(' '), ...more].sort();
        const check = (use: (driver: Driver) => void = () => undefined): void => {
          const driver = new Driver(scratch, options);
          try {
            assert.deepEqual(shownBy(driver, withOwners).filter((line) => !withOwners || !line.startsWith('top')), expected.filter((line) => !withOwners || line !== 'top=top'));
            for (const path of hidden?.split(' ') ?? []) assert.equal(driver.exists(path), false, path);
            use(driver);
          } finally {
            driver.unmount();
          }
        };
        check((driver) => {
          // What is hidden stays so when something else had its name.
          for (const path of hidden?.split(' ').filter((at) => !at.includes('.') && (!at.includes('/') || driver.exists(at.slice(0, at.lastIndexOf('/'))))) ?? []) {
            driver.mkdir(path);
            assert.deepEqual(driver.names(path), []);
            driver.rmdir(path);
            driver.create(path, 'new');
            assert.equal(driver.read(path), 'new');
            driver.unlink(path);
          }
        });
        check();
        scratch.remove();
      });
    }
    if (kernel !== undefined) {
      test('kernel overlayfs shows the same', { skip: needsOverlayfs }, () => {
        const [at, under] = [layer(marked), layer(below)];
        assert.deepEqual(shownByKernel([at, under], kernel), shown.split(' ').sort());
      });
    }
  });
}
