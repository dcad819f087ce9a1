import assert from 'node:assert/strict';
import fs from 'node:fs';
import { linkFd, openAt, renameAt, statFd, unlinkAt } from '../../../fs/host/at.ts';
import { AT_FDCWD, O_CREAT, O_WRONLY, RENAME_EXCHANGE } from '../../../fs/host/constants.ts';
import { fallocate } from '../../../fs/host/file.ts';
import { getXattr, listXattr, removeXattr, setXattr } from '../../../fs/host/xattr.ts';
import { directory, fails, file, link, names, stat, text, withDirectory, withFile } from '../case.ts';
import type { PosixCases } from '../case.ts';

const value = { 'user.there': Buffer.from('1') };

/** All that can be done to a file through a descriptor; opened for writing too: its data as well. */
function changeAll(fd: number, writable: boolean): void {
  fs.fchmodSync(fd, 0o604);
  fs.futimesSync(fd, 1000, 2000);
  setXattr(fd, 'user.new', Buffer.from('2'));
  assert.deepEqual([getXattr(fd, 'user.there')?.toString(), getXattr(fd, 'user.new')?.toString(), listXattr(fd).sort()], ['1', '2', ['user.new', 'user.there']]);
  removeXattr(fd, 'user.there');
  assert.deepEqual(listXattr(fd), ['user.new']);
  assert.deepEqual([fs.fstatSync(fd).mode & 0o7777, fs.fstatSync(fd).mtimeMs], [0o604, 2_000_000]);
  if (!writable) return;
  fs.ftruncateSync(fd, 3);
  fs.writeSync(fd, 'XYZ', 1);
  fallocate(fd, 0, 0, 6);
  fs.fsyncSync(fd);
  const bytes = Buffer.alloc(10);
  assert.equal(fs.readSync(fd, bytes, 0, 10, 0), 6);
  assert.equal(bytes.toString('latin1', 0, 6), 'cXYZ\0\0');
}

export const openFileCases: PosixCases = Object.fromEntries([
  ...(['r', 'r+'] as const).flatMap((flags): [string, PosixCases[string]][] => {
    const how = flags === 'r' ? 'for reading' : 'for writing';
    return [
      [`an unlinked file open ${how} changes mode, times, xattrs${flags === 'r' ? '' : ', size and data'}, and has no links`, {
        fixture: { f: file('content', { xattrs: value }) },
        run(dir) {
          withFile(`${dir}/f`, flags, (fd) => {
            fs.unlinkSync(`${dir}/f`);
            assert.equal(fs.fstatSync(fd).nlink, 0);
            changeAll(fd, flags === 'r+');
            assert.equal(fs.fstatSync(fd).nlink, 0);
            assert.deepEqual(names(dir), []);
          });
        },
      }],
      [`an unlinked file open ${how} changes owner, and gets no name again`, {
        root: true,
        fixture: { f: file('content') },
        run(dir) {
          withFile(`${dir}/f`, flags, (fd) => {
            fs.unlinkSync(`${dir}/f`);
            fs.fchownSync(fd, 5, 6);
            assert.deepEqual([fs.fstatSync(fd).uid, fs.fstatSync(fd).gid, fs.fstatSync(fd).nlink], [5, 6, 0]);
            withDirectory(dir, (parent) => fails('ENOENT', () => linkFd(fd, parent, 'again')));
            assert.deepEqual(names(dir), []);
          });
        },
      }],
      [`a file open ${how} that another was renamed over changes all by itself`, {
        fixture: { f: file('content', { xattrs: value }), g: file('other', { mode: 0o640, xattrs: value }) },
        run(dir) {
          withFile(`${dir}/f`, flags, (fd) => {
            fs.renameSync(`${dir}/g`, `${dir}/f`);
            const before = stat(`${dir}/f`);
            changeAll(fd, flags === 'r+');
            assert.deepEqual({ ...stat(`${dir}/f`) }, { ...before });
            assert.equal(text(`${dir}/f`), 'other');
          });
        },
      }],
      [`a file open ${how} that was renamed, with its directory too, is changed where it is now`, {
        fixture: { d: directory(), 'd/f': file('content', { xattrs: value }), e: directory() },
        run(dir) {
          withFile(`${dir}/d/f`, flags, (fd) => {
            fs.renameSync(`${dir}/d/f`, `${dir}/d/g`);
            fs.renameSync(`${dir}/d`, `${dir}/e/d`);
            changeAll(fd, flags === 'r+');
            const now = stat(`${dir}/e/d/g`);
            assert.deepEqual({ ...fs.fstatSync(fd, { bigint: true }) }, { ...now });
            assert.deepEqual([now.mode & 0o7777n, now.nlink], [0o604n, 1n]);
            assert.equal(text(`${dir}/e/d/g`), flags === 'r' ? 'content' : 'cXYZ\0\0');
          });
        },
      }],
      [`a file open ${how} that was exchanged with another is changed where it is now`, {
        fixture: { f: file('content', { xattrs: value }), g: file('other') },
        run(dir) {
          withFile(`${dir}/f`, flags, (fd) => {
            renameAt(AT_FDCWD, `${dir}/f`, AT_FDCWD, `${dir}/g`, RENAME_EXCHANGE);
            changeAll(fd, flags === 'r+');
            assert.equal(text(`${dir}/f`), 'other');
            assert.equal(fs.fstatSync(fd, { bigint: true }).ino, stat(`${dir}/g`).ino);
          });
        },
      }],
    ];
  }),
  ['a file open in a removed directory can be used as before', {
    fixture: { d: directory(), 'd/f': file('content', { xattrs: value }) },
    run(dir: string) {
      withFile(`${dir}/d/f`, 'r+', (fd) => {
        fs.rmSync(`${dir}/d`, { recursive: true });
        changeAll(fd, true);
      });
    },
  }],
  ['a name of a file that is open by another name goes, the file stays', {
    fixture: { a: file('content', { xattrs: value }), b: link('a') },
    run(dir: string) {
      withFile(`${dir}/a`, 'r+', (fd) => {
        fs.unlinkSync(`${dir}/a`);
        changeAll(fd, true);
        assert.equal(text(`${dir}/b`), 'cXYZ\0\0');
        assert.equal(stat(`${dir}/b`).nlink, 1n);
        withDirectory(dir, (parent) => linkFd(fd, parent, 'c'));
        assert.equal(stat(`${dir}/b`).nlink, 2n);
      });
    },
  }],
  ['every reader, opened before, between or after, sees each write of every writer', {
    fixture: { f: file('0000') },
    run(dir: string) {
      const readers: number[] = [];
      const writers: number[] = [];
      try {
        for (let turn = 0; turn < 4; turn++) {
          readers.push(fs.openSync(`${dir}/f`, 'r'));
          writers.push(fs.openSync(`${dir}/f`, 'r+'));
          for (const [index, writer] of writers.entries()) {
            const wanted = `${turn}${index}ab`;
            fs.writeSync(writer, wanted, 0);
            for (const reader of [...readers, ...writers]) {
              const bytes = Buffer.alloc(4);
              fs.readSync(reader, bytes, 0, 4, 0);
              assert.equal(bytes.toString(), wanted);
            }
          }
        }
      } finally {
        for (const fd of [...readers, ...writers]) fs.closeSync(fd);
      }
    },
  }],
  ['names are made, read and removed through a descriptor of a renamed directory', {
    fixture: { d: directory(), 'd/f': file('x'), e: directory() },
    run(dir: string) {
      withDirectory(`${dir}/d`, (fd) => {
        fs.renameSync(`${dir}/d`, `${dir}/e/d`);
        fs.closeSync(openAt(fd, 'new', O_WRONLY | O_CREAT, 0o644));
        unlinkAt(fd, 'f');
        renameAt(fd, 'new', fd, 'newer');
        assert.deepEqual(names(`${dir}/e/d`), ['newer']);
        assert.equal(BigInt(statFd(fd).ino), stat(`${dir}/e/d`).ino);
      });
    },
  }],
  ['a removed directory that is open has no entries, and changes mode and times', {
    fixture: { d: directory() },
    run(dir: string) {
      const fd = fs.openSync(`${dir}/d`, 'r');
      try {
        fs.rmdirSync(`${dir}/d`);
        assert.equal(fs.fstatSync(fd).nlink, 0);
        fs.fchmodSync(fd, 0o700);
        fs.futimesSync(fd, 1000, 2000);
        assert.deepEqual([fs.fstatSync(fd).mode & 0o7777, fs.fstatSync(fd).mtimeMs], [0o700, 2_000_000]);
        assert.deepEqual(fs.readdirSync(`/proc/self/fd/${fd}`), []);
      } finally {
        fs.closeSync(fd);
      }
    },
  }],
] as [string, PosixCases[string]][]);
