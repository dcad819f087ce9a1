import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { clearUmask } from '../../fs/host/make.ts';
import { mountsBelow } from '../helpers/cli.ts';
import { mountUnion } from '../helpers/mount.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences, type TreeListing } from '../helpers/tree.ts';

// Layers on file systems that have no xattrs and no ACLs, or can't be written: what they can't hold is left out, and all else works.

const base = mkdtempSync(join(tmpdir(), 'ufs-plain-'));
clearUmask();
after(() => {
  for (const at of mountsBelow(base)) execFileSync('umount', ['-l', at]);
  execFileSync('rm', ['-rf', base]);
});

const TREE = `
  mkdir -p d/sub moved/deep opaque gone plain; for f in d/f d/sub/g moved/x moved/deep/y opaque/h gone/i plain/j file again renamed; do echo "lower $f" >$f; done
  ln -s file link; mkfifo fifo; ln file hard; chmod 4755 d/f; chown 3:4 d/sub/g; touch -d '2001-02-03 04:05:06.123456789' file`;
const WORK = `
  echo more >>d/f; chmod 640 file; chown 5:6 again; touch -d '1999-09-09 09:09:09.000000009' d/sub/g; rm -r gone; rm -r opaque; mkdir opaque; echo n >opaque/n; mv moved went; mv went/deep/y went/z; mv renamed d/renamed
  rm again; mkdir again; ln d/f d/linked; mkdir new; mv new newer; echo in >newer/in; rm -r plain; echo file >plain; ln -s x d/l; mknod d/null c 1 3; echo both >>hard; rm link; mkdir link`;
/** On file systems with xattrs and ACLs. */
const RICH = 'setfattr -n user.a -v b d/f; setfattr -n trusted.c -v d moved; setfacl -m u:7:r d/sub/g; setfacl -d -m u:8:rwx plain';

interface FileSystem {
  skip?: string | false;
  /** Mounts one with what a directory holds on another. */
  mount: (from: string, at: string) => void;
  canBeUpper: boolean;
  keepsNumbers?: boolean;
}

function image(program: string, make: (from: string, to: string) => string[], type: string): FileSystem {
  return {
    skip: needsProgram(program), canBeUpper: false,
    mount: (from, at) => {
      execFileSync(program, make(from, `${at}.image`), { stdio: 'ignore' });
      execFileSync('mount', ['-t', type, '-o', 'loop,ro', `${at}.image`, at]);
    },
  };
}

const FILE_SYSTEMS: Record<string, FileSystem> = {
  // It has none at all, where tmpfs has some.
  ramfs: {
    canBeUpper: true,
    mount: (from, at) => {
      execFileSync('mount', ['-t', 'ramfs', 'ramfs', at]);
      execFileSync('cp', ['-a', '--no-preserve=xattr', `${from}/.`, at], { stdio: 'ignore' });
    },
  },
  tmpfs: {
    canBeUpper: true, keepsNumbers: true,
    mount: (from, at) => {
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', at]);
      execFileSync('cp', ['-a', `${from}/.`, at]);
    },
  },
  'squashfs without xattrs': image('mksquashfs', (from, to) => [from, to, '-no-xattrs', '-noappend'], 'squashfs'),
  'erofs without xattrs': image('mkfs.erofs', (from, to) => ['-x-1', to, from], 'erofs'),
};

const plain = { ignoreXattrs: /./, mtime: false };
let count = 0;

function directory(script = ''): string {
  const path = join(base, String(count++));
  mkdirSync(path);
  sh(path, script);
  return path;
}

function sh(at: string, script: string): string {
  return execFileSync('/bin/bash', ['-euc', script], { cwd: at }).toString();
}

function on(fileSystem: FileSystem, script = ''): string {
  const [from, at] = [directory(script), directory()];
  fileSystem.mount(from, at);
  return at;
}

async function mounted<T>(options: Parameters<typeof mountUnion>[0], use: (path: string) => T): Promise<T> {
  const mount = await mountUnion(options);
  try {
    return use(mount.path);
  } finally {
    await mount.close();
  }
}

function same(left: TreeListing, right: TreeListing): void {
  assert.ok(left.size > 15);
  assert.deepEqual(treeDifferences(left, right), []);
}

for (const [name, fileSystem] of Object.entries(FILE_SYSTEMS)) {
  describe(name, { skip: needsRootAndFuse || fileSystem.skip }, () => {
    test('as lower: is shown, and copied up', async () => {
      const [lower, upper, expected] = [on(fileSystem, TREE), directory(), directory(`${TREE}\n${WORK}`)];
      same(listTree(lower, { ...plain, mtime: true }), await mounted({ lowers: [lower] }, (at) => listTree(at, { ...plain, mtime: true })));
      const tree = await mounted({ lowers: [lower], upper }, (at) => {
        sh(at, WORK);
        return listTree(at, plain);
      });
      same(listTree(expected, plain), tree);
      same(tree, await mounted({ lowers: [lower], upper }, (at) => listTree(at, plain)));
    });

    test('as upper: holds what is changed in a lower that has xattrs and ACLs, also over a remount', { skip: fileSystem.canBeUpper ? false : 'can\'t be written' }, async () => {
      const [lower, top, expected] = [directory(`${TREE}\n${RICH}`), on(fileSystem), directory(`${TREE}\n${WORK}`)];
      sh(top, 'mkdir upper work');
      const options = { lowers: [lower], upper: join(top, 'upper'), work: join(top, 'work'), how: { metacopy: true } };
      const tree = await mounted(options, (at) => {
        sh(at, WORK);
        return listTree(at, plain);
      });
      const noMasks = (listing: TreeListing): TreeListing => new Map([...listing].filter(([path]) => path !== 'd/sub/g' && path !== 'plain'));
      same(noMasks(listTree(expected, plain)), noMasks(tree));
      const noLinks = (listing: TreeListing): TreeListing => new Map([...listing].filter(([path]) => path !== 'file' && path !== 'hard'));
      const again = await mounted(options, (at) => listTree(at, plain));
      // Which inode number a file had is in an xattr: without, two names of a lower file have two after a remount, and one content.
      same(fileSystem.keepsNumbers ? tree : noLinks(tree), fileSystem.keepsNumbers ? again : noLinks(again));
      // What is known of hard links is in the work directory.
      same(noLinks(tree), noLinks(await mounted({ lowers: [join(top, 'upper'), lower] }, (at) => listTree(at, plain))));
    });

    test('between others: merges, and hides what its ".wh." files say', async () => {
      const [lowest, middle, top] = [directory(`${TREE}\n${RICH}`), on(fileSystem, 'mkdir -p d opaque; : >.wh.gone; : >opaque/.wh..wh..opq; echo m >d/m'), directory('mkdir d; echo t >d/t')];
      const shown = await mounted({ lowers: [top, middle, lowest] }, (at) => sh(at, 'ls -d d/* opaque/* gone 2>/dev/null || :; getfattr -n user.a --only-values d/f'));
      assert.equal(shown, 'd/f\nd/m\nd/sub\nd/t\nb');
    });
  });
}
