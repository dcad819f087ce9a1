import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { renameAt } from '../../fs/host/at.ts';
import { AT_FDCWD, FUSE_SUPER_MAGIC, RENAME_WHITEOUT } from '../../fs/host/constants.ts';
import { fallocate, statfs } from '../../fs/host/file.ts';
import { clearUmask, mknodAt } from '../../fs/host/make.ts';
import { S_IFCHR } from '../../fs/stat.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { directory, fails, file, link, names, node, permissions, stat, text, withFile, writeFixture } from './case.ts';
import type { Fixture } from './case.ts';
import { mountable } from './lowers.ts';
import type { LowerKind, Mountable } from './lowers.ts';

const FALLOC_FL_COLLAPSE_RANGE = 8;
const FALLOC_FL_INSERT_RANGE = 32;
const OLD: Fixture = { a: file('a'), b: file('b'), sub: directory(), 'sub/c': file('c') };
const inside = (name: string, fixture: Fixture): Fixture => Object.fromEntries(Object.entries(fixture).map(([at, entry]) => [`${name}/${at}`, entry]));
const hiding = (xattr: string): Fixture[string] => directory({ xattrs: { [xattr]: Buffer.from('y') } });

const lowest: Fixture = {
  ...Object.fromEntries(['aufs', 'aufs-opaque', 'again', 'trusted', 'user', 'fuse-overlayfs', 'merged', 'removed'].flatMap((name) => [[name, directory()], ...Object.entries(inside(name, OLD))])),
  private: directory({ mode: 0o700 }), 'private/deep': directory({ mode: 0o711 }), 'private/deep/f': file('x'),
  big: file('start', { size: 1 << 30 }), one: file('linked'), two: link('one'), three: link('one'),
};
const top: Fixture = {
  aufs: directory(), 'aufs/.wh.a': file('', { mode: 0 }), 'aufs/.wh.sub': file(), 'aufs-opaque': directory(), 'aufs-opaque/.wh..wh..opq': file(), 'aufs-opaque/new': file('new'),
  merged: directory(), 'merged/new': file('new'),
};
/** Marks of overlayfs, which archives of layers don't have. */
const overlayMarks: Fixture = {
  trusted: hiding('trusted.overlay.opaque'), 'trusted/new': file('new'), user: hiding('user.overlay.opaque'), 'user/new': file('new'),
  'fuse-overlayfs': hiding('user.fuseoverlayfs.opaque'), 'fuse-overlayfs/new': file('new'), removed: node(S_IFCHR),
};

// What a plain directory has no word for, and where other union file systems go wrong.
for (const lower of ['directories', 'image'] as const satisfies LowerKind[]) {
  describe(`a union, ${lower} below`, { skip: needsRootAndFuse }, () => {
    let base: string;
    let mount: Mountable;
    let dir: string;
    const again = async (): Promise<void> => {
      await mount.unmount();
      await mount.mount();
    };

    before(async () => {
      clearUmask();
      base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-posix-'));
      const [above, below] = ['top', 'lowest'].map((layer) => path.join(base, layer)) as [string, string];
      writeFixture(lowest, below);
      writeFixture(lower === 'image' ? top : { ...top, ...overlayMarks }, above);
      mount = await mountable(lower, [above, below], { base, passthrough: 'auto', transport: 'dev-fuse' });
      dir = await mount.mount();
    });
    after(async () => {
      await mount?.close();
      execFileSync('rm', ['-rf', base]);
    });

    /** By listing and by name. */
    const shows = (name: string, wanted: string[]): void => {
      assert.deepEqual(names(`${dir}/${name}`), wanted);
      for (const gone of ['a', 'b', 'sub', 'new'].filter((child) => !wanted.includes(child))) fails('ENOENT', () => fs.lstatSync(`${dir}/${name}/${gone}`));
    };

    test('hides what .wh. files name, and all below .wh..wh..opq, by listing and by name', () => {
      shows('aufs', ['b']);
      shows('aufs-opaque', ['new']);
    });

    test('hides what overlayfs and fuse-overlayfs mark', { skip: lower === 'image' ? 'archives of layers have other marks' : false }, () => {
      for (const name of ['trusted', 'user', 'fuse-overlayfs']) shows(name, ['new']);
      fails('ENOENT', () => fs.lstatSync(`${dir}/removed`));
      assert.ok(!names(dir).includes('removed'));
    });

    test('has no way to make a whiteout: RENAME_WHITEOUT is EINVAL, mknod of the device 0:0 EPERM', () => {
      fails('EINVAL', () => renameAt(AT_FDCWD, `${dir}/merged/new`, AT_FDCWD, `${dir}/merged/newer`, RENAME_WHITEOUT));
      fails('EPERM', () => mknodAt(AT_FDCWD, `${dir}/whiteout`, S_IFCHR | 0o600, 0, 0));
      assert.deepEqual(names(`${dir}/merged`), ['a', 'b', 'new', 'sub']);
    });

    test('moves no ranges within a file', () => {
      withFile(`${dir}/merged/new`, 'r+', (fd) => {
        for (const mode of [FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE]) fails('EOPNOTSUPP', () => fallocate(fd, mode, 0, 4096));
      });
    });

    test('is a FUSE file system to statfs, which is how podman asks whether something is mounted', () => {
      assert.equal(statfs(dir).type, FUSE_SUPER_MAGIC);
    });

    test('shows nothing old in a directory that was removed and made again, now and after a remount', async () => {
      fs.rmSync(`${dir}/again`, { recursive: true });
      fs.mkdirSync(`${dir}/again`);
      shows('again', []);
      await again();
      shows('again', []);
      fs.mkdirSync(`${dir}/again/sub`);
      assert.deepEqual(names(`${dir}/again/sub`), []);
    });

    test('renames a directory of all layers, with all of it, over a remount', async () => {
      fs.renameSync(`${dir}/merged`, `${dir}/elsewhere`);
      fails('ENOENT', () => fs.lstatSync(`${dir}/merged`));
      shows('elsewhere', ['a', 'b', 'new', 'sub']);
      await again();
      shows('elsewhere', ['a', 'b', 'new', 'sub']);
      assert.equal(text(`${dir}/elsewhere/sub/c`), 'c');
    });

    test('keeps closed what was closed: a copied up file\'s directories keep their modes, on disk too', () => {
      fs.appendFileSync(`${dir}/private/deep/f`, 'y');
      for (const root of [dir, mount.upper]) assert.deepEqual([permissions(`${root}/private`), permissions(`${root}/private/deep`)], [0o700, 0o711]);
    });

    test('removes a file of a layer without copying it', () => {
      fs.unlinkSync(`${dir}/big`);
      fails('ENOENT', () => fs.lstatSync(`${dir}/big`));
      const used = fs.readdirSync(mount.upper, { recursive: true }).map((name) => fs.lstatSync(path.join(mount.upper, String(name))).blocks);
      assert.ok(used.reduce((sum, blocks) => sum + blocks, 0) * 512 < 1 << 20);
    });

    test('keeps hard links of a layer one file, from the first stat, over copy-up and a remount', async () => {
      const all = (): unknown[] => ['one', 'two', 'three'].map((name) => [stat(`${dir}/${name}`).ino, stat(`${dir}/${name}`).nlink, text(`${dir}/${name}`)]);
      const { ino, nlink } = stat(`${dir}/two`);
      assert.equal(nlink, 3n);
      fs.appendFileSync(`${dir}/two`, '!');
      assert.deepEqual(all(), Array.from({ length: 3 }, () => [ino, 3n, 'linked!']));
      await again();
      assert.deepEqual(all(), Array.from({ length: 3 }, () => [ino, 3n, 'linked!']));
    });
  });
}
