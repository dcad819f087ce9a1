import assert from 'node:assert/strict';
import fs from 'node:fs';
import { renameAt } from '../../../fs/host/at.ts';
import { AT_FDCWD, RENAME_EXCHANGE } from '../../../fs/host/constants.ts';
import { copyFileRange, fallocate } from '../../../fs/host/file.ts';
import { mknodAt } from '../../../fs/host/make.ts';
import { S_IFIFO } from '../../../fs/stat.ts';
import { directory, file, link, passTime, stat, symlink, text, withFile, xattrs } from '../case.ts';
import type { Fixture, PosixCase, PosixCases } from '../case.ts';

const then = { mtime: { sec: 1_000_000_000, nsec: 123_456_789 } };
const fixture: Fixture = {
  d: directory(), 'd/f': file('content', { ...then, xattrs: { 'user.there': Buffer.from('1') } }), 'd/linked': link('d/f'), 'd/e': directory(then), 'd/e/in': file(), 'd/l': symlink('f'),
  'd/empty': directory(), 'd/g': file('other', then), q: directory(), 'q/t': file('target'),
};

/** Which of mtime ("m") and ctime ("c") move, by name as it is before and as it is after; every other time of these stays. */
type Moves = Record<string, '' | 'c' | 'mc'>;

function moves(act: (dir: string) => void, expected: Moves, after: Record<string, string> = {}): PosixCase {
  return {
    fixture,
    run(dir) {
      // Looked at by name, and by reading, as a program before would have.
      text(`${dir}/d/f`);
      const before = new Map(Object.keys(expected).map((name) => [name, stat(`${dir}/${name}`)]));
      passTime();
      act(dir);
      passTime();
      for (const [name, wanted] of Object.entries(expected)) {
        const [was, now] = [before.get(name) as fs.BigIntStats, stat(`${dir}/${after[name] ?? name}`)];
        const moved = `${now.mtimeNs > was.mtimeNs ? 'm' : ''}${now.ctimeNs > was.ctimeNs ? 'c' : ''}`;
        assert.equal(moved, wanted, `of ${name}`);
        if (!wanted.includes('m')) assert.equal(now.mtimeNs, was.mtimeNs, `mtime of ${name}`);
        if (wanted === '') assert.equal(now.ctimeNs, was.ctimeNs, `ctime of ${name}`);
        if (wanted === 'c' && !now.isDirectory()) assert.equal(now.atimeNs, was.atimeNs, `atime of ${name}`);
      }
    },
  };
}

const opened = (name: string, flags: string | number, use: (fd: number) => void) => (dir: string): void => withFile(`${dir}/${name}`, flags, use);

export const timesMovedCases: PosixCases = {
  'times moved by chmod: the file\'s ctime': moves((dir) => fs.chmodSync(`${dir}/d/f`, 0o600), { 'd/f': 'c', 'd/linked': 'c', d: '', 'd/g': '' }),
  'times moved by chmod of a directory: its ctime': moves((dir) => fs.chmodSync(`${dir}/d/e`, 0o700), { 'd/e': 'c', d: '', 'd/e/in': '' }),
  'times moved by setting and removing xattrs: the file\'s ctime': moves((dir) => {
    xattrs.set(`${dir}/d/f`, 'user.a', 'b');
    xattrs.remove(`${dir}/d/f`, 'user.there');
  }, { 'd/f': 'c', d: '', 'd/g': '' }),
  'times moved by write, and by copy_file_range: the file\'s mtime and ctime': moves((dir) => {
    opened('d/f', 'r+', (fd) => fs.writeSync(fd, 'x'))(dir);
    withFile(`${dir}/q/t`, 'r', (from) => withFile(`${dir}/d/g`, 'r+', (to) => copyFileRange(from, 0, to, 0, 3)));
  }, { 'd/f': 'mc', 'd/linked': 'mc', 'd/g': 'mc', d: '', 'q/t': '' }),
  'times moved by truncate, also to the size it has: the file\'s mtime and ctime': moves((dir) => {
    fs.truncateSync(`${dir}/d/f`, 7);
    fs.truncateSync(`${dir}/d/g`, 1);
  }, { 'd/f': 'mc', 'd/g': 'mc', d: '' }),
  'times moved by fallocate: the file\'s mtime and ctime': moves(opened('d/f', 'r+', (fd) => fallocate(fd, 0, 0, 100)), { 'd/f': 'mc', d: '' }),
  'times moved by a write of nothing, an open and a sync: none': moves((dir) => {
    withFile(`${dir}/d/f`, 'r+', (fd) => {
      fs.writeSync(fd, Buffer.alloc(0));
      fs.fsyncSync(fd);
    });
    withFile(`${dir}/d/g`, 'a', () => undefined);
  }, { 'd/f': '', 'd/g': '', d: '' }),
  'times moved by reading: not mtime, not ctime': moves((dir) => {
    text(`${dir}/d/f`);
    fs.readlinkSync(`${dir}/d/l`);
    fs.readdirSync(`${dir}/d`);
  }, { 'd/f': '', 'd/l': '' }),
  'times moved by creat, mkdir, mknod and symlink: the parent\'s mtime and ctime': moves((dir) => {
    fs.writeFileSync(`${dir}/d/new`, '');
    fs.mkdirSync(`${dir}/d/e/new`);
    mknodAt(AT_FDCWD, `${dir}/q/new`, S_IFIFO | 0o600);
    fs.symlinkSync('x', `${dir}/d/empty/new`);
  }, { d: 'mc', 'd/e': 'mc', q: 'mc', 'd/empty': 'mc', 'd/e/in': '' }),
  'times moved by link: the parent\'s mtime and ctime, the file\'s ctime': moves((dir) => fs.linkSync(`${dir}/d/f`, `${dir}/q/new`), { q: 'mc', 'd/f': 'c', d: '' }),
  'times moved by unlink and rmdir: the parent\'s mtime and ctime': moves((dir) => {
    fs.unlinkSync(`${dir}/q/t`);
    fs.rmdirSync(`${dir}/d/empty`);
  }, { q: 'mc', d: 'mc', 'd/f': '', 'd/e': '' }),
  'times moved by rename: both parents\' mtime and ctime, the file\'s ctime': moves((dir) => fs.renameSync(`${dir}/d/g`, `${dir}/q/g`), { d: 'mc', q: 'mc', 'd/g': 'c', 'd/f': '' }, { 'd/g': 'q/g' }),
  'times moved by rename of a directory to another: as of a file, nothing in it': moves((dir) => fs.renameSync(`${dir}/d/e`, `${dir}/q/e`), { d: 'mc', q: 'mc', 'd/e': 'c', 'd/e/in': '' }, { 'd/e': 'q/e', 'd/e/in': 'q/e/in' }),
  'times moved by exchange: both parents\' mtime and ctime, both files\' ctime': moves(
    (dir) => renameAt(AT_FDCWD, `${dir}/d/g`, AT_FDCWD, `${dir}/q/t`, RENAME_EXCHANGE), { d: 'mc', q: 'mc', 'd/g': 'c', 'q/t': 'c' }, { 'd/g': 'q/t', 'q/t': 'd/g' }),
  'times moved by a rename onto another name of the same file: none': moves((dir) => fs.renameSync(`${dir}/d/f`, `${dir}/d/linked`), { d: '', 'd/f': '', 'd/linked': '' }),
  'times moved by calls that fail: none': moves((dir) => {
    for (const call of [
      () => fs.mkdirSync(`${dir}/d/f`), () => fs.rmdirSync(`${dir}/d`), () => fs.unlinkSync(`${dir}/d/none`), () => fs.renameSync(`${dir}/d/e`, `${dir}/d/f`),
      () => fs.linkSync(`${dir}/d/f`, `${dir}/d/g`), () => fs.symlinkSync('x', `${dir}/d/g`), () => xattrs.remove(`${dir}/d/g`, 'user.none'),
    ]) assert.throws(call);
  }, { d: '', 'd/f': '', 'd/g': '', 'd/e': '' }),
  'an atime that is set stays over changes and renames': {
    fixture,
    run(dir) {
      for (const name of ['d/f', 'd/e']) {
        fs.utimesSync(`${dir}/${name}`, 1_500_000_000, 1_600_000_000);
        fs.chmodSync(`${dir}/${name}`, 0o700);
        fs.renameSync(`${dir}/${name}`, `${dir}/q/moved`);
        assert.equal(stat(`${dir}/q/moved`).atimeNs, 1_500_000_000_000_000_000n, name);
        fs.rmSync(`${dir}/q/moved`, { recursive: true });
      }
    },
  },
};
