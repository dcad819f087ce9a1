import assert from 'node:assert/strict';
import fs from 'node:fs';
import { close, linkFd, readlinkAt, statFd } from '../../../fs/host/at.ts';
import { FALLOC_FL_KEEP_SIZE, O_APPEND, O_CREAT, O_DIRECT, O_EXCL, O_NOATIME, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY } from '../../../fs/host/constants.ts';
import { fallocate, pread, pwrite } from '../../../fs/host/file.ts';
import { openTemporary } from '../../../fs/host/make.ts';
import { hasCode } from '../../../fs/errno.ts';
import { as, directory, fails, file, names, permissions, stat, symlink, text, withDirectory, withFile } from '../case.ts';
import type { PosixCases } from '../case.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE, setStatusFlags, withMapping } from '../system.ts';

const U = 54_321;
const G = 54_322;
const BLOCK = 4096;

export const openFlagCases: PosixCases = {
  'O_CREAT of a file that is there opens it, and keeps mode and content': {
    fixture: { f: file('content', { mode: 0o604 }), l: symlink('f') },
    run(dir) {
      for (const name of ['f', 'l']) fs.closeSync(fs.openSync(`${dir}/${name}`, O_RDWR | O_CREAT, 0o777));
      assert.deepEqual([text(`${dir}/f`), permissions(`${dir}/f`)], ['content', 0o604]);
    },
  },
  'O_CREAT needs no right to the directory where the file is there': {
    root: true,
    fixture: { d: directory(), 'd/f': file('x', { uid: U }) },
    run(dir) {
      as(U, G, () => {
        withFile(`${dir}/d/f`, O_WRONLY | O_CREAT, (fd) => fs.writeSync(fd, 'y'));
        fails('EACCES', () => fs.openSync(`${dir}/d/g`, O_WRONLY | O_CREAT));
      });
      assert.equal(text(`${dir}/d/f`), 'y');
    },
  },
  'O_CREAT of a name with a slash behind is EISDIR, O_NOFOLLOW of a dangling symlink ELOOP': {
    fixture: { l: symlink('none'), d: directory() },
    run(dir) {
      fails('EISDIR', () => fs.openSync(`${dir}/new/`, O_WRONLY | O_CREAT));
      fails('EISDIR', () => fs.openSync(`${dir}/d/`, O_WRONLY | O_CREAT));
      fails('ELOOP', () => fs.openSync(`${dir}/l`, O_WRONLY | O_CREAT | O_NOFOLLOW));
      assert.deepEqual(names(dir), ['d', 'l']);
    },
  },
  'O_TRUNC empties a file that is opened for reading too, and is EISDIR on a directory': {
    fixture: { f: file('content'), d: directory() },
    run(dir) {
      fails('EISDIR', () => fs.openSync(`${dir}/d`, O_WRONLY | O_TRUNC));
      withFile(`${dir}/f`, O_RDONLY | O_TRUNC, (fd) => {
        assert.equal(fs.fstatSync(fd).size, 0);
        fails('EBADF', () => fs.writeSync(fd, 'x'));
      });
      assert.equal(text(`${dir}/f`), '');
    },
  },
  'O_TRUNC shows at once to who has the file open': {
    fixture: { f: file('content') },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (fd) => {
        withFile(`${dir}/f`, O_WRONLY | O_TRUNC, () => assert.equal(fs.fstatSync(fd).size, 0));
        assert.equal(fs.readSync(fd, Buffer.alloc(10), 0, 10, 0), 0);
        fs.writeSync(fd, 'x', 3);
      });
      assert.equal(text(`${dir}/f`), '\0\0\0x');
    },
  },
  'O_APPEND appends whatever offset is given, also when it is set later': {
    fixture: { f: file('start'), g: file('start') },
    run(dir) {
      withFile(`${dir}/f`, O_RDWR | O_APPEND, (fd) => pwrite(fd, Buffer.from('A'), 0, 1, 0));
      assert.equal(text(`${dir}/f`), 'startA');
      withFile(`${dir}/g`, O_RDWR, (fd) => {
        setStatusFlags(fd, O_APPEND);
        pwrite(fd, Buffer.from('B'), 0, 1, 0);
      });
      assert.equal(text(`${dir}/g`), 'startB');
    },
  },
  'without O_APPEND, taken back from an open file, writes go to their offset': {
    fixture: { f: file('start') },
    run(dir) {
      withFile(`${dir}/f`, O_RDWR | O_APPEND, (fd) => {
        setStatusFlags(fd, 0);
        pwrite(fd, Buffer.from('S'), 0, 1, 0);
      });
      assert.equal(text(`${dir}/f`), 'Start');
    },
  },
  'O_DIRECT reads what was written through the cache, and writes what is read through it': {
    fixture: { f: file(Buffer.alloc(4 * BLOCK, 'a')) },
    run(dir) {
      let direct: number;
      try {
        direct = fs.openSync(`${dir}/f`, O_RDWR | O_DIRECT);
      } catch (error) {
        if (hasCode(error, 'EINVAL')) return 'the file system has no O_DIRECT';
        throw error;
      }
      try {
        withFile(`${dir}/f`, 'r+', (cached) => withMapping(-1, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (page) => {
          // In memory too it must be at a multiple of a block.
          const bytes = Buffer.from(page.buffer);
          fs.writeSync(cached, Buffer.alloc(BLOCK, 'b'), 0, BLOCK, BLOCK);
          assert.equal(pread(direct, bytes, 0, BLOCK, BLOCK), BLOCK);
          assert.ok(bytes.equals(Buffer.alloc(BLOCK, 'b')));
          bytes.fill('c');
          assert.equal(pwrite(direct, bytes, 0, BLOCK, 2 * BLOCK), BLOCK);
          const seen = Buffer.alloc(BLOCK);
          fs.readSync(cached, seen, 0, BLOCK, 2 * BLOCK);
          assert.ok(seen.equals(bytes));
          assert.equal(pread(direct, bytes, 0, BLOCK, 4 * BLOCK), 0);
        }));
      } finally {
        fs.closeSync(direct);
      }
      assert.equal(text(`${dir}/f`), ['a', 'b', 'c', 'a'].map((letter) => letter.repeat(BLOCK)).join(''));
      return undefined;
    },
  },
  'O_PATH with O_NOFOLLOW opens a symlink itself': {
    fixture: { l: symlink('target') },
    run(dir) {
      const fd = fs.openSync(`${dir}/l`, O_PATH | O_NOFOLLOW);
      try {
        assert.equal(readlinkAt(fd, ''), 'target');
        assert.ok(fs.fstatSync(fd).isSymbolicLink());
      } finally {
        fs.closeSync(fd);
      }
    },
  },
  'O_NOATIME is EPERM for who doesn\'t own the file': {
    root: true,
    fixture: { f: file('x'), mine: file('y', { uid: U }) },
    run(dir) {
      as(U, G, () => {
        fails('EPERM', () => fs.openSync(`${dir}/f`, O_RDONLY | O_NOATIME));
        withFile(`${dir}/mine`, O_RDONLY | O_NOATIME, (fd) => assert.equal(fs.readFileSync(fd, 'utf8'), 'y'));
      });
    },
  },
  'O_TMPFILE: ENOENT, ENOTDIR, EINVAL read-only, EACCES, and with O_EXCL it never gets a name': {
    root: true,
    fixture: { d: directory(), f: file() },
    run(dir) {
      return withTemporaryFiles(dir, () => {
        fails('ENOENT', () => fs.openSync(`${dir}/none`, O_TMPFILE | O_RDWR));
        fails('ENOTDIR', () => fs.openSync(`${dir}/f`, O_TMPFILE | O_RDWR));
        fails('EINVAL', () => fs.openSync(`${dir}/d`, O_TMPFILE | O_RDONLY));
        as(U, G, () => fails('EACCES', () => fs.openSync(`${dir}/d`, O_TMPFILE | O_RDWR)));
        withDirectory(`${dir}/d`, (parent) => {
          const fd = openTemporary(parent, O_RDWR | O_EXCL, 0o600);
          fails('ENOENT', () => linkFd(fd, parent, 'name'));
          close(fd);
        });
        assert.deepEqual(names(`${dir}/d`), []);
      });
    },
  },
  'O_TMPFILE gives the file its maker\'s owner, the setgid directory\'s group, and takes the umask': {
    root: true,
    fixture: { d: directory({ mode: 0o2777, gid: G }) },
    run(dir) {
      return withTemporaryFiles(dir, () => withDirectory(`${dir}/d`, (parent) => {
        const fd = as(U, G + 1, () => openTemporary(parent, O_RDWR, 0o666));
        fs.writeSync(fd, 'x');
        fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100);
        fails('EEXIST', () => linkFd(fd, parent, '.'));
        linkFd(fd, parent, 'a');
        linkFd(fd, parent, 'b');
        const now = statFd(fd);
        assert.deepEqual([now.uid, now.gid, now.nlink, now.size], [U, G, 2, 1]);
        assert.equal(BigInt(now.ino), stat(`${dir}/d/b`).ino);
        close(fd);
      }));
    },
  },
  'files without a name are many, each its own': {
    fixture: { d: directory() },
    run(dir) {
      return withTemporaryFiles(dir, () => withDirectory(`${dir}/d`, (parent) => {
        const fds = Array.from({ length: 10 }, () => openTemporary(parent, O_RDWR, 0o600));
        for (const [index, fd] of fds.entries()) fs.writeSync(fd, `file ${index}`);
        for (const [index, fd] of fds.entries()) {
          const bytes = Buffer.alloc(6);
          fs.readSync(fd, bytes, 0, 6, 0);
          assert.equal(bytes.toString(), `file ${index}`);
        }
        assert.equal(new Set(fds.map((fd) => statFd(fd).ino)).size, 10);
        for (const fd of fds) close(fd);
        fs.rmdirSync(`${dir}/d`);
      }));
    },
  },
};

/** Runs where O_TMPFILE is known; else the reason to skip. */
function withTemporaryFiles(dir: string, run: () => void): string | undefined {
  try {
    fs.closeSync(fs.openSync(dir, O_TMPFILE | O_RDWR));
  } catch (error) {
    if (hasCode(error, 'EOPNOTSUPP')) return 'the file system has no O_TMPFILE';
    throw error;
  }
  run();
  return undefined;
}
