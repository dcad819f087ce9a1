import assert from 'node:assert/strict';
import fs from 'node:fs';
import { XATTR_CREATE, XATTR_REPLACE } from '../../../fs/host/constants.ts';
import { as, directory, fails, file, link, passTime, stat, symlink, text, withFile, xattrs } from '../case.ts';
import type { PosixCases } from '../case.ts';

const U = 54_321;
const G = 54_322;

/** CAP_NET_RAW, permitted and effective, as VFS_CAP_REVISION_2. */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');

export const xattrCases: PosixCases = {
  'xattrs are set, replaced, listed and removed, on files and directories': {
    fixture: { f: file('x'), d: directory() },
    run(dir) {
      for (const name of [`${dir}/f`, `${dir}/d`]) {
        xattrs.set(name, 'user.one', 'first');
        xattrs.set(name, 'user.two', Buffer.from([0, 255, 0]));
        xattrs.set(name, 'user.one', 'other value');
        assert.deepEqual(xattrs.list(name), ['user.one', 'user.two']);
        assert.equal(xattrs.get(name, 'user.one')?.toString(), 'other value');
        assert.deepEqual(xattrs.get(name, 'user.two'), Buffer.from([0, 255, 0]));
        xattrs.remove(name, 'user.one');
        assert.deepEqual(xattrs.list(name), ['user.two']);
        assert.equal(xattrs.get(name, 'user.one'), undefined);
      }
      assert.equal(text(`${dir}/f`), 'x');
    },
  },
  'xattrs there before are read, and kept over changes of the file': {
    fixture: { f: file('x', { xattrs: { 'user.kept': Buffer.from('value') } }), g: link('f') },
    run(dir) {
      assert.equal(xattrs.get(`${dir}/f`, 'user.kept')?.toString(), 'value');
      fs.appendFileSync(`${dir}/f`, 'y');
      fs.chmodSync(`${dir}/f`, 0o600);
      fs.renameSync(`${dir}/f`, `${dir}/h`);
      for (const name of ['g', 'h']) assert.equal(xattrs.get(`${dir}/${name}`, 'user.kept')?.toString(), 'value');
    },
  },
  'xattrs of directories are kept over what happens in them, and renames': {
    fixture: { d: directory({ xattrs: { 'user.kept': Buffer.from('value') } }), 'd/f': file() },
    run(dir) {
      fs.writeFileSync(`${dir}/d/g`, '');
      fs.unlinkSync(`${dir}/d/f`);
      fs.renameSync(`${dir}/d`, `${dir}/e`);
      assert.deepEqual(xattrs.list(`${dir}/e`), ['user.kept']);
      xattrs.remove(`${dir}/e`, 'user.kept');
      assert.deepEqual(xattrs.list(`${dir}/e`), []);
    },
  },
  'XATTR_CREATE refuses what is there, XATTR_REPLACE what is not': {
    fixture: { f: file('x', { xattrs: { 'user.there': Buffer.from('1') } }) },
    run(dir) {
      fails('EEXIST', () => xattrs.set(`${dir}/f`, 'user.there', '2', XATTR_CREATE));
      fails('ENODATA', () => xattrs.set(`${dir}/f`, 'user.none', '2', XATTR_REPLACE));
      fails('ENODATA', () => xattrs.remove(`${dir}/f`, 'user.none'));
      xattrs.set(`${dir}/f`, 'user.there', '3', XATTR_REPLACE);
      xattrs.set(`${dir}/f`, 'user.new', '4', XATTR_CREATE);
      assert.equal(xattrs.get(`${dir}/f`, 'user.there')?.toString(), '3');
    },
  },
  'an empty value is a value, one of 2,000 bytes is kept whole': {
    fixture: { f: file('x') },
    run(dir) {
      const long = Buffer.from(Array.from({ length: 2000 }, (_, index) => index & 255));
      xattrs.set(`${dir}/f`, 'user.empty', '');
      xattrs.set(`${dir}/f`, 'user.long', long);
      assert.equal(xattrs.get(`${dir}/f`, 'user.empty')?.length, 0);
      assert.deepEqual(xattrs.get(`${dir}/f`, 'user.long'), long);
    },
  },
  'setting an xattr updates the ctime and keeps the mtime': {
    fixture: { f: file('x', { mtime: { sec: 7, nsec: 8 } }) },
    run(dir) {
      const { ctimeNs } = stat(`${dir}/f`);
      passTime();
      xattrs.set(`${dir}/f`, 'user.a', 'b');
      assert.ok(stat(`${dir}/f`).ctimeNs > ctimeNs);
      assert.equal(stat(`${dir}/f`).mtimeNs, 7_000_000_008n);
    },
  },
  'user xattrs on a symlink are EPERM, and none are listed': {
    fixture: { f: file(), l: symlink('f') },
    run(dir) {
      fails('EPERM', () => xattrs.set(`${dir}/l`, 'user.a', 'b'));
      assert.deepEqual(xattrs.list(`${dir}/l`), []);
      assert.deepEqual(xattrs.list(`${dir}/f`), []);
    },
  },
  'an xattr without a known class is refused, one with too long a name ERANGE': {
    fixture: { f: file() },
    run(dir) {
      fails('EOPNOTSUPP', () => xattrs.set(`${dir}/f`, 'noclass', 'b'));
      fails('ERANGE', () => xattrs.set(`${dir}/f`, `user.${'n'.repeat(251)}`, 'b'));
    },
  },
  'trusted xattrs are kept on files, directories and symlinks': {
    hostRoot: true,
    fixture: { f: file(), d: directory(), l: symlink('f') },
    run(dir) {
      for (const name of ['f', 'd', 'l']) {
        xattrs.set(`${dir}/${name}`, 'trusted.mine', 'v');
        assert.deepEqual(xattrs.list(`${dir}/${name}`).filter((xattr) => xattr.startsWith('trusted.')), ['trusted.mine']);
        assert.equal(xattrs.get(`${dir}/${name}`, 'trusted.mine')?.toString(), 'v');
      }
    },
  },
  'user xattrs need the file\'s permissions': {
    root: true,
    fixture: { f: file('', { mode: 0o600, xattrs: { 'user.a': Buffer.from('b') } }), g: file('', { xattrs: { 'user.a': Buffer.from('b') } }) },
    run(dir) {
      as(U, G, () => {
        fails('EACCES', () => xattrs.get(`${dir}/f`, 'user.a'));
        fails('EACCES', () => xattrs.set(`${dir}/g`, 'user.a', 'c'));
        assert.equal(xattrs.get(`${dir}/g`, 'user.a')?.toString(), 'b');
      });
    },
  },
  'file capabilities are kept over renames, and lost by a write or a change of owner': {
    root: true,
    fixture: {
      kept: file('x', { mode: 0o755, xattrs: { 'security.capability': CAPABILITY } }), written: file('x', { mode: 0o755, xattrs: { 'security.capability': CAPABILITY } }),
      given: file('x', { mode: 0o755, xattrs: { 'security.capability': CAPABILITY } }),
    },
    run(dir) {
      fs.renameSync(`${dir}/kept`, `${dir}/renamed`);
      fs.chmodSync(`${dir}/renamed`, 0o700);
      assert.deepEqual(xattrs.get(`${dir}/renamed`, 'security.capability'), CAPABILITY);
      withFile(`${dir}/written`, 'r+', (fd) => fs.writeSync(fd, 'y'));
      assert.equal(xattrs.get(`${dir}/written`, 'security.capability'), undefined);
      fs.chownSync(`${dir}/given`, U, G);
      assert.equal(xattrs.get(`${dir}/given`, 'security.capability'), undefined);
    },
  },
};
