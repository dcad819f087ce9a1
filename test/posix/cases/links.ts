import assert from 'node:assert/strict';
import fs from 'node:fs';
import { directory, fails, file, link, listed, names, passTime, stat, symlink, text, withFile } from '../case.ts';
import type { PosixCases } from '../case.ts';

export const linkCases: PosixCases = {
  'names of one file have one inode, the true link count, and the same in a listing': {
    fixture: { a: file('x'), d: directory(), 'd/b': link('a'), c: link('a') },
    run(dir) {
      const all = [`${dir}/a`, `${dir}/d/b`, `${dir}/c`].map((name) => stat(name));
      assert.deepEqual(all.map(({ nlink }) => nlink), [3n, 3n, 3n]);
      assert.equal(new Set(all.map(({ ino }) => ino)).size, 1);
      assert.equal(BigInt(listed(`${dir}/d`).get('b')?.ino ?? 0), all[0].ino);
      assert.equal(BigInt(listed(dir).get('c')?.ino ?? 0), all[0].ino);
    },
  },
  'what is written through one name is read through the others': {
    fixture: { a: file('x'), d: directory(), 'd/b': link('a') },
    run(dir) {
      fs.writeFileSync(`${dir}/a`, 'longer content');
      assert.equal(text(`${dir}/d/b`), 'longer content');
      fs.appendFileSync(`${dir}/d/b`, '!');
      assert.equal(text(`${dir}/a`), 'longer content!');
      assert.equal(stat(`${dir}/a`).ino, stat(`${dir}/d/b`).ino);
      assert.equal(stat(`${dir}/a`).nlink, 2n);
    },
  },
  'mode, owner and times changed through one name show through the others': {
    fixture: { a: file('x'), b: link('a') },
    run(dir) {
      fs.chmodSync(`${dir}/a`, 0o611);
      fs.utimesSync(`${dir}/b`, 1000, 2000);
      assert.equal(stat(`${dir}/b`).mode & 0o7777n, 0o611n);
      assert.equal(stat(`${dir}/a`).mtimeMs, 2_000_000n);
      assert.deepEqual({ ...stat(`${dir}/a`) }, { ...stat(`${dir}/b`) });
    },
  },
  'removing one name leaves the others, one link fewer': {
    fixture: { a: file('x'), b: link('a'), c: link('a') },
    run(dir) {
      fs.unlinkSync(`${dir}/a`);
      assert.equal(stat(`${dir}/b`).nlink, 2n);
      fs.unlinkSync(`${dir}/c`);
      assert.equal(stat(`${dir}/b`).nlink, 1n);
      assert.equal(text(`${dir}/b`), 'x');
      assert.deepEqual(names(dir), ['b']);
    },
  },
  'a descriptor of one name sees links come and go': {
    fixture: { a: file('x'), b: link('a') },
    run(dir) {
      withFile(`${dir}/a`, 'r', (fd) => {
        fs.linkSync(`${dir}/b`, `${dir}/c`);
        assert.equal(fs.fstatSync(fd).nlink, 3);
        for (const name of names(dir)) fs.unlinkSync(`${dir}/${name}`);
        assert.equal(fs.fstatSync(fd).nlink, 0);
      });
    },
  },
  'link gives a file one more name, in another directory too': {
    fixture: { a: file('x', { mode: 0o640 }), d: directory() },
    run(dir) {
      const { ino, ctimeNs, mtimeNs } = stat(`${dir}/a`);
      passTime();
      fs.linkSync(`${dir}/a`, `${dir}/d/b`);
      const now = stat(`${dir}/d/b`);
      assert.deepEqual([now.ino, now.nlink, now.mtimeNs, stat(`${dir}/a`).nlink], [ino, 2n, mtimeNs, 2n]);
      assert.ok(now.ctimeNs > ctimeNs);
      fs.writeFileSync(`${dir}/d/b`, 'y');
      assert.equal(text(`${dir}/a`), 'y');
    },
  },
  'link: EEXIST, ENOENT, ENOTDIR, and EPERM for a directory': {
    fixture: { a: file('x'), b: file('y'), d: directory() },
    run(dir) {
      fails('EEXIST', () => fs.linkSync(`${dir}/a`, `${dir}/b`));
      fails('EEXIST', () => fs.linkSync(`${dir}/a`, `${dir}/d`));
      fails('ENOENT', () => fs.linkSync(`${dir}/none`, `${dir}/c`));
      fails('ENOENT', () => fs.linkSync(`${dir}/a`, `${dir}/none/c`));
      fails('ENOTDIR', () => fs.linkSync(`${dir}/a`, `${dir}/b/c`));
      fails('EPERM', () => fs.linkSync(`${dir}/d`, `${dir}/e`));
    },
  },
  'a symlink can have two names itself': {
    fixture: { l: symlink('target') },
    run(dir) {
      fs.linkSync(`${dir}/l`, `${dir}/m`);
      assert.equal(fs.readlinkSync(`${dir}/m`), 'target');
      assert.equal(stat(`${dir}/m`).ino, stat(`${dir}/l`).ino);
      assert.equal(stat(`${dir}/l`).nlink, 2n);
    },
  },
  'a linked, removed and linked again name is what it was linked to last': {
    fixture: { a: file('a'), b: file('b') },
    run(dir) {
      fs.unlinkSync(`${dir}/b`);
      fs.linkSync(`${dir}/a`, `${dir}/b`);
      assert.equal(text(`${dir}/b`), 'a');
      fs.unlinkSync(`${dir}/a`);
      fs.linkSync(`${dir}/b`, `${dir}/a`);
      assert.deepEqual([text(`${dir}/a`), stat(`${dir}/a`).nlink], ['a', 2n]);
    },
  },
  'symlinks keep any target, to the byte, and have its length as size': {
    run(dir) {
      for (const [index, target] of ['x', '/abs', '../..', 'a'.repeat(1000), 'with space\n', '.'].entries()) {
        fs.symlinkSync(target, `${dir}/${index}`);
        assert.equal(fs.readlinkSync(`${dir}/${index}`), target);
        assert.equal(fs.lstatSync(`${dir}/${index}`).size, target.length);
      }
      const bytes = Buffer.from([0xff, 0xfe, 0x80]);
      fs.symlinkSync(bytes, `${dir}/bytes`);
      assert.deepEqual(fs.readlinkSync(`${dir}/bytes`, 'buffer'), bytes);
    },
  },
  'symlink: EEXIST of any kind, ENOENT for an empty target, ENAMETOOLONG': {
    fixture: { f: file(), d: directory(), l: symlink('none') },
    run(dir) {
      for (const name of ['f', 'd', 'l']) fails('EEXIST', () => fs.symlinkSync('x', `${dir}/${name}`));
      fails('ENOENT', () => fs.symlinkSync('', `${dir}/e`));
      fails('ENAMETOOLONG', () => fs.symlinkSync('x'.repeat(4096), `${dir}/e`));
    },
  },
  'readlink of what is no symlink is EINVAL': {
    fixture: { f: file(), d: directory() },
    run(dir) {
      fails('EINVAL', () => fs.readlinkSync(`${dir}/f`));
      fails('EINVAL', () => fs.readlinkSync(`${dir}/d`));
      fails('ENOENT', () => fs.readlinkSync(`${dir}/none`));
    },
  },
  'paths go through symlinks, relative to where they are': {
    fixture: { d: directory(), 'd/e': directory(), 'd/e/f': file('x'), 'd/l': symlink('e'), up: symlink('d/e/../l/f') },
    run(dir) {
      assert.equal(text(`${dir}/d/l/f`), 'x');
      assert.equal(text(`${dir}/up`), 'x');
      fs.writeFileSync(`${dir}/up`, 'y');
      assert.equal(text(`${dir}/d/e/f`), 'y');
      fs.renameSync(`${dir}/d/e`, `${dir}/d/E`);
      fails('ENOENT', () => text(`${dir}/up`));
    },
  },
  'symlinks in a circle are ELOOP': {
    fixture: { a: symlink('b'), b: symlink('a'), self: symlink('self') },
    run(dir) {
      fails('ELOOP', () => fs.statSync(`${dir}/a`));
      fails('ELOOP', () => fs.openSync(`${dir}/self/x`, 'w'));
      assert.equal(fs.readlinkSync(`${dir}/a`), 'b');
    },
  },
  'a symlink has its own owner and times': {
    root: true,
    fixture: { f: file('x'), l: symlink('f') },
    run(dir) {
      fs.lchownSync(`${dir}/l`, 11, 12);
      fs.lutimesSync(`${dir}/l`, 1000, 2000);
      const [l, f] = [stat(`${dir}/l`), stat(`${dir}/f`)];
      assert.deepEqual([l.uid, l.gid, l.mtimeMs], [11n, 12n, 2_000_000n]);
      assert.notEqual(f.uid, 11n);
      assert.equal(fs.readlinkSync(`${dir}/l`), 'f');
    },
  },
};
