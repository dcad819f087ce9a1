import assert from 'node:assert/strict';
import fs from 'node:fs';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, SEEK_DATA, SEEK_HOLE } from '../../../fs/host/constants.ts';
import { copyFileRange, fallocate, flock, LOCK_EX, LOCK_NB, lseek, statfs } from '../../../fs/host/file.ts';
import { hasCode } from '../../../fs/errno.ts';
import { directory, fails, file, stat, text, withFile } from '../case.ts';
import type { PosixCases } from '../case.ts';
import { MAP_SHARED, PROT_READ, PROT_WRITE, withMapping } from '../system.ts';

const MIB = 1 << 20;
/** Bytes that no shifted or repeated copy equals. */
const pattern = Buffer.from(Uint32Array.from({ length: 3 * MIB / 4 + 5 }, (_, index) => Math.imul(index, 2654435761)).buffer);

/** A file of 2 MiB without data. */
function seesWhatIsNotOnDisk(path: string): string | undefined {
  return withFile(path, 'r+', (fd) => {
    fs.writeSync(fd, Buffer.alloc(65536, 'x'), 0, 65536, MIB);
    if (lseek(fd, 0, SEEK_DATA) === 0) return 'the file system tells no holes';
    assert.equal(lseek(fd, 0, SEEK_DATA), MIB);
    assert.equal(lseek(fd, MIB, SEEK_HOLE), MIB + 65536);
    fs.writeSync(fd, 'beyond the end', 3 * MIB);
    assert.equal(lseek(fd, MIB + 65536, SEEK_DATA), 3 * MIB);
    fs.ftruncateSync(fd, 4 * MIB);
    fails('ENXIO', () => lseek(fd, 3 * MIB + 65536, SEEK_DATA));
    withMapping(fd, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, (bytes) => {
      bytes[3 * MIB + 262144] = 1;
      assert.equal(lseek(fd, 3 * MIB + 65536, SEEK_DATA), 3 * MIB + 262144);
    });
    return undefined;
  });
}

export const dataCases: PosixCases = {
  'a file of 3 MiB is read whole, in pieces, and behind its end': {
    fixture: { f: file(pattern) },
    run(dir) {
      assert.ok(fs.readFileSync(`${dir}/f`).equals(pattern));
      withFile(`${dir}/f`, 'r', (fd) => {
        const bytes = Buffer.alloc(5000);
        for (const offset of [1, 4095, MIB - 7, 2 * MIB + 1]) {
          assert.equal(fs.readSync(fd, bytes, 0, 5000, offset), 5000);
          assert.ok(bytes.equals(pattern.subarray(offset, offset + 5000)), `at ${offset}`);
        }
        assert.equal(fs.readSync(fd, bytes, 0, 5000, pattern.length - 10), 10);
        assert.equal(fs.readSync(fd, bytes, 0, 5000, pattern.length + 10), 0);
      });
    },
  },
  'writes at odd places of a big file change just these bytes': {
    fixture: { f: file(pattern) },
    run(dir) {
      const wanted = Buffer.from(pattern);
      withFile(`${dir}/f`, 'r+', (fd) => {
        for (const offset of [0, 4093, MIB - 3, 2 * MIB + 11]) {
          fs.writeSync(fd, 'PATCHED', offset);
          wanted.write('PATCHED', offset);
        }
        assert.ok(fs.readFileSync(fd).equals(wanted));
      });
      assert.ok(fs.readFileSync(`${dir}/f`).equals(wanted));
    },
  },
  'a file shortened and lengthened reads zeros where it was cut': {
    fixture: { f: file('0123456789') },
    run(dir) {
      fs.truncateSync(`${dir}/f`, 4);
      fs.truncateSync(`${dir}/f`, 8);
      assert.equal(text(`${dir}/f`), '0123\0\0\0\0');
      withFile(`${dir}/f`, 'r+', (fd) => {
        fs.ftruncateSync(fd, 2);
        fs.writeSync(fd, 'x', 5);
      });
      assert.equal(text(`${dir}/f`), '01\0\0\0x');
    },
  },
  'truncate: ENOENT, EISDIR': {
    fixture: { d: directory() },
    run(dir) {
      fails('ENOENT', () => fs.truncateSync(`${dir}/none`, 0));
      fails('EISDIR', () => fs.truncateSync(`${dir}/d`, 0));
    },
  },
  'a file over 4 GiB is written and read at its end': {
    run(dir) {
      const size = 5 * 1024 * MIB;
      withFile(`${dir}/f`, 'w+', (fd) => {
        fs.ftruncateSync(fd, size);
        fs.writeSync(fd, 'end', size - 3);
        fs.writeSync(fd, 'and on', size);
        const bytes = Buffer.alloc(9);
        fs.readSync(fd, bytes, 0, 9, size - 3);
        assert.equal(bytes.toString(), 'endand on');
      });
      assert.equal(fs.statSync(`${dir}/f`).size, size + 6);
      assert.ok(fs.statSync(`${dir}/f`).blocks * 512 < MIB);
      // Whoever reads all that cases leave behind shouldn't read this.
      fs.unlinkSync(`${dir}/f`);
    },
  },
  'a sparse file stays sparse when it is changed': {
    fixture: { f: file('start', { size: 16 * MIB }) },
    run(dir) {
      fs.appendFileSync(`${dir}/f`, 'end');
      const now = fs.statSync(`${dir}/f`);
      assert.equal(now.size, 16 * MIB + 3);
      assert.ok(now.blocks * 512 < MIB, `${now.blocks} blocks`);
      const bytes = Buffer.alloc(5);
      withFile(`${dir}/f`, 'r', (fd) => fs.readSync(fd, bytes, 0, 5, 0));
      assert.equal(bytes.toString(), 'start');
    },
  },
  'SEEK_DATA and SEEK_HOLE find data and holes': {
    fixture: { f: file('', { size: 2 * MIB }) },
    run(dir) {
      return withFile(`${dir}/f`, 'r+', (fd) => {
        fs.writeSync(fd, Buffer.alloc(65536, 'x'), 0, 65536, MIB);
        fs.fsyncSync(fd);
        if (lseek(fd, 0, SEEK_DATA) === 0) return 'the file system tells no holes';
        assert.equal(lseek(fd, 0, SEEK_DATA), MIB);
        assert.equal(lseek(fd, MIB, SEEK_HOLE), MIB + 65536);
        assert.equal(lseek(fd, 0, SEEK_HOLE), 0);
        fails('ENXIO', () => lseek(fd, 2 * MIB, SEEK_DATA));
      });
    },
  },
  'SEEK_DATA and SEEK_HOLE find what was only just written, or put in a mapping': {
    // What is setuid is never passed through.
    fixture: { f: file('', { size: 2 * MIB }), setuid: file('', { size: 2 * MIB, mode: 0o4755 }) },
    run: (dir) => seesWhatIsNotOnDisk(`${dir}/f`) ?? seesWhatIsNotOnDisk(`${dir}/setuid`),
  },
  'fallocate lengthens, keeps the size if told, and punches holes': {
    fixture: { f: file('x'.repeat(16384)) },
    run(dir) {
      return withFile(`${dir}/f`, 'r+', (fd) => {
        try {
          fallocate(fd, 0, 0, 32768);
        } catch (error) {
          if (hasCode(error, 'EOPNOTSUPP')) return 'the file system has no fallocate';
          throw error;
        }
        assert.equal(fs.fstatSync(fd).size, 32768);
        fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536);
        assert.equal(fs.fstatSync(fd).size, 32768);
        fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 4096, 4096);
        const bytes = fs.readFileSync(fd);
        assert.deepEqual([bytes[4095], bytes[4096], bytes[8191], bytes[8192], bytes[20000]], [120, 0, 0, 120, 0]);
      });
    },
  },
  'copy_file_range copies within and between files': {
    fixture: { a: file('0123456789'), b: file('abcdefghij') },
    run(dir) {
      withFile(`${dir}/a`, 'r', (from) => withFile(`${dir}/b`, 'r+', (to) => {
        assert.equal(copyFileRange(from, 2, to, 4, 3), 3);
        assert.equal(copyFileRange(from, 8, to, 9, 100), 2);
        assert.equal(copyFileRange(from, 10, to, 0, 100), 0);
      }));
      assert.equal(text(`${dir}/b`), 'abcd234hi89');
      fs.copyFileSync(`${dir}/b`, `${dir}/c`);
      assert.equal(text(`${dir}/c`), 'abcd234hi89');
      assert.equal(text(`${dir}/a`), '0123456789');
    },
  },
  'a lock (flock) holds against another descriptor until it is closed': {
    fixture: { f: file() },
    run(dir) {
      withFile(`${dir}/f`, 'r', (second) => {
        withFile(`${dir}/f`, 'r+', (first) => {
          flock(first, LOCK_EX);
          fails('EAGAIN', () => flock(second, LOCK_EX | LOCK_NB));
        });
        flock(second, LOCK_EX | LOCK_NB);
      });
    },
  },
  'the file system tells its size, and names of 255 bytes': {
    run(dir) {
      const now = statfs(dir);
      assert.equal(now.nameMax, 255);
      assert.ok(now.blocks > 0 && now.freeBlocks <= now.blocks && now.availableBlocks <= now.freeBlocks && now.blockSize >= 512);
    },
  },
  'what is written is there for who opens the file after, stat tells the size at once': {
    fixture: { f: file('x') },
    run(dir) {
      withFile(`${dir}/f`, 'a', (fd) => {
        for (let turn = 1; turn <= 20; turn++) {
          fs.writeSync(fd, 'y'.repeat(1000));
          assert.equal(stat(`${dir}/f`).size, 1n + 1000n * BigInt(turn));
          assert.equal(text(`${dir}/f`).length, 1 + 1000 * turn);
        }
      });
    },
  },
};
