import assert from 'node:assert/strict';
import fs from 'node:fs';
import { close, linkFd, statFd } from '../../../fs/host/at.ts';
import { O_DIRECTORY, O_NOFOLLOW, O_RDWR } from '../../../fs/host/constants.ts';
import { openTemporary } from '../../../fs/host/make.ts';
import { hasCode } from '../../../fs/errno.ts';
import { directory, fails, file, names, permissions, setOldTime, stat, symlink, text, withDirectory, withFile } from '../case.ts';
import type { PosixCases } from '../case.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_TRUNC, O_WRONLY } = fs.constants;

export const openCases: PosixCases = {
  'open of a missing name is ENOENT, also below a missing directory': {
    run(dir) {
      fails('ENOENT', () => fs.openSync(`${dir}/a`, 'r'));
      fails('ENOENT', () => fs.openSync(`${dir}/a/b`, 'w'));
    },
  },
  'a path through a file is ENOTDIR': {
    fixture: { f: file() },
    run(dir) {
      fails('ENOTDIR', () => fs.openSync(`${dir}/f/b`, 'r'));
      fails('ENOTDIR', () => fs.openSync(`${dir}/f/`, 'r'));
      fails('ENOTDIR', () => fs.lstatSync(`${dir}/f/.`));
    },
  },
  'open of a directory for writing or creating is EISDIR': {
    fixture: { d: directory() },
    run(dir) {
      fails('EISDIR', () => fs.openSync(`${dir}/d`, O_WRONLY));
      fails('EISDIR', () => fs.openSync(`${dir}/d`, O_RDONLY | O_CREAT));
      withFile(`${dir}/d`, O_RDONLY, (fd) => fails('EISDIR', () => fs.readSync(fd, Buffer.alloc(1))));
    },
  },
  'O_DIRECTORY on a file is ENOTDIR, O_NOFOLLOW on a symlink ELOOP': {
    fixture: { f: file(), l: symlink('f') },
    run(dir) {
      fails('ENOTDIR', () => fs.openSync(`${dir}/f`, O_DIRECTORY));
      fails('ELOOP', () => fs.openSync(`${dir}/l`, O_NOFOLLOW));
    },
  },
  'O_EXCL refuses what is there, a dangling symlink too': {
    fixture: { f: file('x'), d: directory(), l: symlink('nowhere') },
    run(dir) {
      for (const name of ['f', 'd', 'l']) fails('EEXIST', () => fs.openSync(`${dir}/${name}`, O_WRONLY | O_CREAT | O_EXCL));
      assert.equal(text(`${dir}/f`), 'x');
      fs.closeSync(fs.openSync(`${dir}/new`, O_WRONLY | O_CREAT | O_EXCL));
    },
  },
  'creating through a dangling symlink makes its target': {
    fixture: { l: symlink('target') },
    run(dir) {
      fs.writeFileSync(`${dir}/l`, 'x');
      assert.equal(text(`${dir}/target`), 'x');
      assert.ok(fs.lstatSync(`${dir}/l`).isSymbolicLink());
    },
  },
  'a created file is empty, has its mode, and is listed': {
    run(dir) {
      fs.closeSync(fs.openSync(`${dir}/f`, O_WRONLY | O_CREAT, 0o640));
      assert.equal(permissions(`${dir}/f`), 0o640);
      assert.equal(fs.statSync(`${dir}/f`).size, 0);
      assert.equal(fs.statSync(`${dir}/f`).nlink, 1);
      assert.deepEqual(names(dir), ['f']);
    },
  },
  'a file created read-only by its mode can be written through its descriptor': {
    run(dir) {
      const fd = fs.openSync(`${dir}/f`, O_WRONLY | O_CREAT, 0o400);
      fs.writeSync(fd, 'x');
      fs.closeSync(fd);
      assert.equal(text(`${dir}/f`), 'x');
    },
  },
  'O_TRUNC empties a file and updates its mtime': {
    fixture: { f: file('content') },
    run(dir) {
      const old = setOldTime(`${dir}/f`);
      const { ino } = stat(`${dir}/f`);
      withFile(`${dir}/f`, O_WRONLY | O_TRUNC, () => undefined);
      assert.equal(stat(`${dir}/f`).size, 0n);
      assert.ok(stat(`${dir}/f`).mtimeNs > old);
      assert.equal(stat(`${dir}/f`).ino, ino);
    },
  },
  'writing changes a part of a file and keeps the rest, its mode and inode': {
    fixture: { f: file('0123456789', { mode: 0o751 }) },
    run(dir) {
      const { ino } = stat(`${dir}/f`);
      withFile(`${dir}/f`, 'r+', (fd) => fs.writeSync(fd, 'XX', 3));
      assert.equal(text(`${dir}/f`), '012XX56789');
      assert.equal(permissions(`${dir}/f`), 0o751);
      assert.equal(stat(`${dir}/f`).ino, ino);
    },
  },
  'a descriptor opened for reading before sees what is written after': {
    fixture: { f: file('old content') },
    run(dir) {
      withFile(`${dir}/f`, 'r', (reader) => {
        const bytes = Buffer.alloc(11);
        fs.readSync(reader, bytes, 0, 11, 0);
        assert.equal(bytes.toString(), 'old content');
        withFile(`${dir}/f`, 'r+', (fd) => fs.writeSync(fd, 'new', 0));
        fs.readSync(reader, bytes, 0, 11, 0);
        assert.equal(bytes.toString(), 'new content');
        fs.appendFileSync(`${dir}/f`, ', and more');
        assert.equal(fs.fstatSync(reader).size, 21);
        assert.equal(fs.fstatSync(reader, { bigint: true }).ino, stat(`${dir}/f`).ino);
      });
    },
  },
  'a descriptor for reading refuses writes, one for writing refuses reads': {
    fixture: { f: file('x') },
    run(dir) {
      withFile(`${dir}/f`, 'r', (fd) => {
        fails('EBADF', () => fs.writeSync(fd, 'y'));
        fails('EINVAL', () => fs.ftruncateSync(fd, 0));
      });
      withFile(`${dir}/f`, O_WRONLY, (fd) => fails('EBADF', () => fs.readSync(fd, Buffer.alloc(1))));
      assert.equal(text(`${dir}/f`), 'x');
    },
  },
  'two appending descriptors never overwrite each other': {
    fixture: { f: file('start') },
    run(dir) {
      withFile(`${dir}/f`, O_WRONLY | O_APPEND, (a) => withFile(`${dir}/f`, O_WRONLY | O_APPEND, (b) => {
        for (let turn = 0; turn < 3; turn++) {
          fs.writeSync(a, 'a');
          fs.writeSync(b, 'b');
        }
      }));
      assert.equal(text(`${dir}/f`), 'startababab');
    },
  },
  'appending goes on after another truncated the file': {
    fixture: { f: file('long content') },
    run(dir) {
      withFile(`${dir}/f`, O_WRONLY | O_APPEND, (fd) => {
        fs.truncateSync(`${dir}/f`, 4);
        fs.writeSync(fd, '!');
      });
      assert.equal(text(`${dir}/f`), 'long!');
    },
  },
  'an unlinked open file can be read, written, and has no links': {
    fixture: { f: file('content') },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (fd) => {
        fs.unlinkSync(`${dir}/f`);
        assert.equal(fs.fstatSync(fd).nlink, 0);
        fs.writeSync(fd, 'C', 0);
        assert.equal(fs.readFileSync(fd, 'utf8').length > 0, true);
        const bytes = Buffer.alloc(7);
        fs.readSync(fd, bytes, 0, 7, 0);
        assert.equal(bytes.toString(), 'Content');
        assert.deepEqual(names(dir), []);
      });
    },
  },
  'an unlinked open file can be truncated, and change mode and times': {
    fixture: { f: file('content') },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (fd) => {
        fs.unlinkSync(`${dir}/f`);
        fs.ftruncateSync(fd, 3);
        fs.fchmodSync(fd, 0o600);
        fs.futimesSync(fd, 1000, 2000);
        const now = fs.fstatSync(fd);
        assert.deepEqual([now.size, now.mode & 0o7777, now.mtimeMs, now.nlink], [3, 0o600, 2_000_000, 0]);
      });
    },
  },
  'a file unlinked while open only for reading can be stat-ed and changed through it': {
    fixture: { f: file('content') },
    run(dir) {
      withFile(`${dir}/f`, 'r', (fd) => {
        fs.unlinkSync(`${dir}/f`);
        assert.deepEqual([fs.fstatSync(fd).nlink, fs.fstatSync(fd).size], [0, 7]);
        fs.fchmodSync(fd, 0o640);
        assert.equal(fs.fstatSync(fd).mode & 0o7777, 0o640);
        assert.equal(fs.readFileSync(fd, 'utf8'), 'content');
      });
    },
  },
  'a new file of the name of an unlinked open one is another file': {
    fixture: { f: file('old') },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (fd) => {
        const { ino } = fs.fstatSync(fd, { bigint: true });
        fs.unlinkSync(`${dir}/f`);
        fs.writeFileSync(`${dir}/f`, 'new!');
        assert.notEqual(stat(`${dir}/f`).ino, ino);
        fs.writeSync(fd, 'OLD', 0);
        assert.equal(text(`${dir}/f`), 'new!');
        assert.equal(fs.fstatSync(fd).size, 3);
      });
    },
  },
  'an open file renamed over goes on with its own content': {
    fixture: { f: file('old'), g: file('other') },
    run(dir) {
      withFile(`${dir}/f`, 'r', (fd) => {
        fs.renameSync(`${dir}/g`, `${dir}/f`);
        assert.equal(fs.readFileSync(fd, 'utf8'), 'old');
        assert.equal(text(`${dir}/f`), 'other');
        assert.equal(fs.fstatSync(fd).nlink, 0);
      });
    },
  },
  'an open file follows its rename': {
    fixture: { f: file('old') },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (fd) => {
        fs.renameSync(`${dir}/f`, `${dir}/g`);
        fs.writeSync(fd, 'OLD', 0);
        assert.equal(text(`${dir}/g`), 'OLD');
        assert.equal(fs.fstatSync(fd, { bigint: true }).ino, stat(`${dir}/g`).ino);
      });
    },
  },
  'a file without a name (O_TMPFILE) can be written and be given one': {
    run(dir) {
      return withDirectory(dir, (parent) => {
        let fd: number;
        try {
          fd = openTemporary(parent, O_RDWR, 0o640);
        } catch (error) {
          if (hasCode(error, 'EOPNOTSUPP')) return 'the file system has no O_TMPFILE';
          throw error;
        }
        try {
          fs.writeSync(fd, 'content');
          assert.deepEqual(names(dir), []);
          assert.equal(statFd(fd).nlink, 0);
          linkFd(fd, parent, 'f');
          assert.equal(text(`${dir}/f`), 'content');
          assert.equal(statFd(fd).nlink, 1);
          assert.equal(permissions(`${dir}/f`), 0o640);
        } finally {
          close(fd);
        }
      });
    },
  },
  'O_SYNC, fsync and fdatasync work on files, fsync on directories': {
    fixture: { f: file('x'), d: directory() },
    run(dir) {
      withFile(`${dir}/f`, fs.constants.O_SYNC | fs.constants.O_RDWR, (fd) => {
        fs.writeSync(fd, 'y');
        fs.fsyncSync(fd);
        fs.fdatasyncSync(fd);
      });
      withFile(`${dir}/f`, 'r', (fd) => fs.fsyncSync(fd));
      withFile(`${dir}/d`, 'r', (fd) => fs.fsyncSync(fd));
      assert.equal(text(`${dir}/f`), 'y');
    },
  },
};
