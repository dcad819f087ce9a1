import assert from 'node:assert/strict';
import fs from 'node:fs';
import { openAt } from '../../../fs/host/at.ts';
import { AT_FDCWD, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_PATH, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from '../../../fs/host/constants.ts';
import { copyFileRange, fallocate, lseek } from '../../../fs/host/file.ts';
import { mknodAt } from '../../../fs/host/make.ts';
import { S_IFCHR, S_IFIFO, S_IFREG, S_IFSOCK } from '../../../fs/stat.ts';
import { as, directory, fails, file, names, node, stat, symlink, text, withFile } from '../case.ts';
import type { Fixture, PosixCases } from '../case.ts';
import { setTimes, syncFileSystem, truncatePath, UTIME_NOW, UTIME_OMIT } from '../system.ts';

const U = 54_321;
const G = 54_322;
const LONG = 'n'.repeat(256);
const some: Fixture = { f: file('content'), d: directory(), 'd/in': file(), l: symlink('f'), loop: symlink('loop'), p: node(S_IFIFO) };

/** Each call fails as said, and all of them leave the directory as it was. */
function refused(calls: (dir: string) => [code: string, call: () => unknown][]): { fixture: Fixture; run(dir: string): void } {
  return {
    fixture: some,
    run(dir) {
      for (const [code, call] of calls(dir)) fails(code, call);
      assert.deepEqual(names(dir), ['d', 'f', 'l', 'loop', 'p']);
      assert.deepEqual([text(`${dir}/f`), names(`${dir}/d`), stat(`${dir}/f`).nlink], ['content', ['in'], 1n]);
    },
  };
}

export const errorCases: PosixCases = {
  'truncate: EINVAL, ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP, EFBIG': refused((dir) => [
    ['EINVAL', () => truncatePath(`${dir}/f`, -1)], ['EINVAL', () => truncatePath(`${dir}/p`, 0)], ['ENOENT', () => truncatePath(`${dir}/none`, 0)],
    ['ENOTDIR', () => truncatePath(`${dir}/f/x`, 0)], ['EISDIR', () => truncatePath(`${dir}/d`, 0)], ['ENAMETOOLONG', () => truncatePath(`${dir}/${LONG}`, 0)],
    ['ELOOP', () => truncatePath(`${dir}/loop`, 0)], ['EFBIG', () => truncatePath(`${dir}/f`, 2 ** 60)],
  ]),
  'mknod: EEXIST, ENOENT, ENOTDIR, ENAMETOOLONG': refused((dir) => [S_IFREG, S_IFIFO, S_IFSOCK].flatMap((type): [string, () => void][] => [
    ...['f', 'd', 'l', 'loop', 'p'].map((name): [string, () => void] => ['EEXIST', () => mknodAt(AT_FDCWD, `${dir}/${name}`, type | 0o644)]),
    ['ENOENT', () => mknodAt(AT_FDCWD, `${dir}/none/x`, type | 0o644)], ['ENOTDIR', () => mknodAt(AT_FDCWD, `${dir}/f/x`, type | 0o644)],
    ['ENAMETOOLONG', () => mknodAt(AT_FDCWD, `${dir}/${LONG}`, type | 0o644)],
  ])),
  'mknod of a device by a user is EPERM': {
    root: true,
    fixture: { d: directory({ mode: 0o777 }) },
    run(dir) {
      as(U, G, () => {
        fails('EPERM', () => mknodAt(AT_FDCWD, `${dir}/d/null`, S_IFCHR | 0o666, 1, 3));
        mknodAt(AT_FDCWD, `${dir}/d/fifo`, S_IFIFO | 0o600);
      });
      assert.deepEqual(names(`${dir}/d`), ['fifo']);
    },
  },
  'mkdir: ENAMETOOLONG, ELOOP': refused((dir) => [['ENAMETOOLONG', () => fs.mkdirSync(`${dir}/${LONG}`)], ['ELOOP', () => fs.mkdirSync(`${dir}/loop/x`)]]),
  'link: ENAMETOOLONG, ELOOP, EXDEV, and EEXIST for what was just named': refused((dir) => [
    ['ENAMETOOLONG', () => fs.linkSync(`${dir}/f`, `${dir}/${LONG}`)], ['ENAMETOOLONG', () => fs.linkSync(`${dir}/${LONG}`, `${dir}/x`)],
    ['ELOOP', () => fs.linkSync(`${dir}/f`, `${dir}/loop/x`)], ['EXDEV', () => fs.linkSync('/proc/self/status', `${dir}/x`)],
    ['EEXIST', () => fs.linkSync(`${dir}/f`, `${dir}/f`)], ['EEXIST', () => fs.linkSync(`${dir}/f`, `${dir}/loop`)],
  ]),
  'symlink: ENOTDIR, ENOENT, ENAMETOOLONG, ELOOP': refused((dir) => [
    ['ENOTDIR', () => fs.symlinkSync('x', `${dir}/f/x`)], ['ENOENT', () => fs.symlinkSync('x', `${dir}/none/x`)],
    ['ENAMETOOLONG', () => fs.symlinkSync('x', `${dir}/${LONG}`)], ['ELOOP', () => fs.symlinkSync('x', `${dir}/loop/x`)],
  ]),
  'unlink: ENAMETOOLONG, ELOOP, EISDIR with a slash behind': refused((dir) => [
    ['ENAMETOOLONG', () => fs.unlinkSync(`${dir}/${LONG}`)], ['ELOOP', () => fs.unlinkSync(`${dir}/loop/x`)], ['EISDIR', () => fs.unlinkSync(`${dir}/d/`)],
  ]),
  'rmdir: ENOTDIR below a file, ENAMETOOLONG, ELOOP': refused((dir) => [
    ['ENOTDIR', () => fs.rmdirSync(`${dir}/f/x`)], ['ENAMETOOLONG', () => fs.rmdirSync(`${dir}/${LONG}`)], ['ELOOP', () => fs.rmdirSync(`${dir}/loop/x`)],
  ]),
  'rename: ENAMETOOLONG, ELOOP, EXDEV, EINVAL onto "."': refused((dir) => [
    ['ENAMETOOLONG', () => fs.renameSync(`${dir}/f`, `${dir}/${LONG}`)], ['ELOOP', () => fs.renameSync(`${dir}/f`, `${dir}/loop/x`)],
    ['EXDEV', () => fs.renameSync(`${dir}/f`, '/dev/shm/../../proc/x')], ['EBUSY', () => fs.renameSync(`${dir}/d`, `${dir}/d/.`)], ['EBUSY', () => fs.renameSync(`${dir}/d/.`, `${dir}/x`)],
  ]),
  'readlink, stat, chmod, chown: ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP': refused((dir) => ([
    (name) => fs.readlinkSync(name), (name) => fs.statSync(name), (name) => fs.chmodSync(name, 0), (name) => fs.chownSync(name, 0, 0), (name) => fs.accessSync(name),
  ] as ((name: string) => unknown)[]).flatMap((call): [string, () => unknown][] => [
    ['ENOENT', () => call(`${dir}/none`)], ['ENOTDIR', () => call(`${dir}/f/x`)], ['ENAMETOOLONG', () => call(`${dir}/${LONG}`)], ['ELOOP', () => call(`${dir}/loop/x`)],
  ])),
  'utimensat: ENOENT, EINVAL for nanoseconds over a second, and nothing for two times left out': refused((dir) => {
    const before = stat(`${dir}/f`);
    setTimes(`${dir}/f`, UTIME_OMIT, UTIME_OMIT);
    assert.deepEqual([stat(`${dir}/f`).atimeNs, stat(`${dir}/f`).mtimeNs, stat(`${dir}/f`).ctimeNs], [before.atimeNs, before.mtimeNs, before.ctimeNs]);
    return [['ENOENT', () => setTimes(`${dir}/none`, 0, 0)], ['EINVAL', () => setTimes(`${dir}/f`, 1_000_000_000, 0)], ['EINVAL', () => setTimes(`${dir}/f`, 0, -1)]];
  }),
  'utimensat by who may write, but doesn\'t own: both times to now, nothing else': {
    root: true,
    fixture: { f: file('', { mode: 0o666 }) },
    run(dir) {
      as(U, G, () => {
        fails('EPERM', () => setTimes(`${dir}/f`, UTIME_NOW, UTIME_OMIT));
        fails('EPERM', () => setTimes(`${dir}/f`, UTIME_OMIT, UTIME_NOW));
        fails('EPERM', () => setTimes(`${dir}/f`, 5, 5));
        setTimes(`${dir}/f`, UTIME_NOW, UTIME_NOW);
        setTimes(`${dir}/f`, UTIME_OMIT, UTIME_OMIT);
      });
    },
  },
  'lseek: ENXIO behind the end, EINVAL for what is negative or unknown': {
    fixture: { f: file('0123456789') },
    run(dir) {
      withFile(`${dir}/f`, 'r', (fd) => {
        fails('ENXIO', () => lseek(fd, 10, SEEK_DATA));
        fails('ENXIO', () => lseek(fd, 10, SEEK_HOLE));
        fails('ENXIO', () => lseek(fd, 11, SEEK_DATA));
        fails('EINVAL', () => lseek(fd, -1, SEEK_SET));
        fails('EINVAL', () => lseek(fd, -11, SEEK_END));
        fails('EINVAL', () => lseek(fd, 0, 99));
        assert.deepEqual([lseek(fd, 3, SEEK_DATA), lseek(fd, 3, SEEK_HOLE), lseek(fd, -1, SEEK_END), lseek(fd, 5, SEEK_END)], [3, 10, 9, 15]);
      });
    },
  },
  'fallocate: EBADF read-only, EINVAL for no length, EOPNOTSUPP for a hole that changes the size, ENODEV for a directory': {
    fixture: { f: file('x'), d: directory() },
    run(dir) {
      withFile(`${dir}/f`, 'r', (fd) => fails('EBADF', () => fallocate(fd, 0, 0, 10)));
      withFile(`${dir}/f`, 'r+', (fd) => {
        fails('EINVAL', () => fallocate(fd, 0, 0, 0));
        fails('EINVAL', () => fallocate(fd, 0, -1, 10));
        fails('EOPNOTSUPP', () => fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
        fails('EFBIG', () => fallocate(fd, FALLOC_FL_KEEP_SIZE, 2 ** 62, 2 ** 62));
      });
      assert.equal(text(`${dir}/f`), 'x');
    },
  },
  'copy_file_range: EBADF, EISDIR, EINVAL where ranges of one file overlap': {
    fixture: { f: file('0123456789'), g: file('x'), d: directory() },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (f) => withFile(`${dir}/g`, fs.constants.O_WRONLY | fs.constants.O_APPEND, (appending) => withFile(`${dir}/d`, 'r', (d) => {
        fails('EBADF', () => copyFileRange(f, 0, appending, 0, 5));
        fails('EBADF', () => copyFileRange(appending, 0, f, 0, 5));
        fails('EISDIR', () => copyFileRange(d, 0, f, 0, 5));
        fails('EINVAL', () => copyFileRange(f, 0, f, 2, 5));
        assert.equal(copyFileRange(f, 0, f, 5, 5), 5);
      })));
      withFile(`${dir}/f`, 'r', (reader) => withFile(`${dir}/g`, 'r', (other) => fails('EBADF', () => copyFileRange(reader, 0, other, 0, 5))));
      assert.deepEqual([text(`${dir}/f`), text(`${dir}/g`)], ['0123401234', 'x']);
    },
  },
  'a write further than files can be is EFBIG': {
    fixture: { f: file('x') },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (fd) => {
        // Where it is acknowledged in a cache, it must be told by a sync at the latest.
        fails('EFBIG', () => {
          fs.writeSync(fd, 'y', 2 ** 52);
          fs.fsyncSync(fd);
        });
        // It is told to the next syncfs(2) once more, whose ever that is.
        try {
          syncFileSystem(fd);
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, 'EFBIG');
        }
      });
      fs.truncateSync(`${dir}/f`, 1);
      assert.equal(text(`${dir}/f`), 'x');
    },
  },
  'descriptors opened by O_PATH stat and refuse to read, write, change mode or list xattrs': {
    fixture: some,
    run(dir) {
      for (const name of ['f', 'd', 'l', 'p']) {
        const fd = openAt(AT_FDCWD, `${dir}/${name}`, O_PATH);
        try {
          assert.equal(fs.fstatSync(fd, { bigint: true }).ino, stat(`${dir}/${name}`).ino);
          fails('EBADF', () => fs.readSync(fd, Buffer.alloc(1)));
          fails('EBADF', () => fs.fchmodSync(fd, 0));
        } finally {
          fs.closeSync(fd);
        }
      }
    },
  },
};
