import assert from 'node:assert/strict';
import fs from 'node:fs';
import { fails, file, passTime, setOldTime, stat, text, withFile } from '../case.ts';
import type { PosixCases } from '../case.ts';
import { MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, withMapping } from '../system.ts';

const PAGE = 4096;
const content = 'a'.repeat(2 * PAGE);
const at = (bytes: Uint8Array, offset: number): string => String.fromCharCode(bytes[offset] as number);
const put = (bytes: Uint8Array, offset: number, letter: string): void => void (bytes[offset] = letter.charCodeAt(0));

export const mappingCases: PosixCases = {
  'what is written to a shared mapping is read at once, and there for who opens the file after': {
    fixture: { f: file(content) },
    run(dir) {
      withFile(`${dir}/f`, 'r', (before) => withFile(`${dir}/f`, 'r+', (fd) => withMapping(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, (bytes, sync) => {
        put(bytes, 5, 'b');
        put(bytes, PAGE, 'c');
        for (const reader of [before, fd]) {
          const seen = Buffer.alloc(2 * PAGE);
          fs.readSync(reader, seen, 0, 2 * PAGE, 0);
          assert.deepEqual([at(seen, 5), at(seen, PAGE)], ['b', 'c']);
        }
        sync();
      })));
      assert.equal(text(`${dir}/f`), `aaaaab${'a'.repeat(PAGE - 6)}c${'a'.repeat(PAGE - 1)}`);
    },
  },
  'a shared mapping sees what is written to the file': {
    fixture: { f: file(content) },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (fd) => withMapping(fd, PAGE, PROT_READ, MAP_SHARED, (bytes) => {
        assert.equal(at(bytes, 0), 'a');
        fs.writeSync(fd, 'b', 0);
        assert.equal(at(bytes, 0), 'b');
        withFile(`${dir}/f`, 'r+', (other) => fs.writeSync(other, 'c', 1));
        assert.equal(at(bytes, 1), 'c');
      }));
    },
  },
  'a mapping made while the file was open for reading alone sees what is written later': {
    fixture: { f: file(content) },
    run(dir) {
      withFile(`${dir}/f`, 'r', (fd) => withMapping(fd, 2 * PAGE, PROT_READ, MAP_SHARED, (bytes) => {
        assert.equal(at(bytes, 0), 'a');
        withFile(`${dir}/f`, 'r+', (writer) => {
          fs.writeSync(writer, 'b', 0);
          fs.writeSync(writer, 'c', PAGE);
        });
        assert.deepEqual([at(bytes, 0), at(bytes, PAGE)], ['b', 'c']);
      }));
    },
  },
  'two mappings of a file, one for reading made before, show the same': {
    fixture: { f: file(content) },
    run(dir) {
      withFile(`${dir}/f`, 'r', (reader) => withMapping(reader, PAGE, PROT_READ, MAP_SHARED, (read) => {
        assert.equal(at(read, 7), 'a');
        withFile(`${dir}/f`, 'r+', (fd) => withMapping(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, (written) => {
          put(written, 7, 'z');
          assert.equal(at(read, 7), 'z');
        }));
      }));
    },
  },
  'what is written to a private mapping stays there': {
    fixture: { f: file(content) },
    run(dir) {
      withFile(`${dir}/f`, 'r', (fd) => withMapping(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, (bytes) => {
        put(bytes, 0, 'b');
        assert.equal(at(bytes, 0), 'b');
      }));
      assert.equal(text(`${dir}/f`), content);
    },
  },
  'a mapping outlives its descriptor, its name, and what takes the name': {
    fixture: { f: file(content), g: file('b'.repeat(PAGE)) },
    run(dir) {
      const fd = fs.openSync(`${dir}/f`, 'r+');
      withMapping(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, (bytes, sync) => {
        fs.closeSync(fd);
        fs.renameSync(`${dir}/g`, `${dir}/f`);
        put(bytes, 0, 'c');
        sync();
        assert.deepEqual([at(bytes, 0), at(bytes, 1)], ['c', 'a']);
        fs.unlinkSync(`${dir}/f`);
        assert.equal(at(bytes, PAGE - 1), 'a');
      });
    },
  },
  'a mapping of a file opened for reading can\'t be written to': {
    fixture: { f: file(content) },
    run(dir) {
      withFile(`${dir}/f`, 'r', (fd) => fails('EACCES', () => withMapping(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, () => undefined)));
      withFile(`${dir}/f`, fs.constants.O_WRONLY, (fd) => fails('EACCES', () => withMapping(fd, PAGE, PROT_READ, MAP_SHARED, () => undefined)));
    },
  },
  'a write to a mapping updates mtime and ctime, once it is synced': {
    fixture: { f: file(content) },
    run(dir) {
      const old = setOldTime(`${dir}/f`);
      const { ctimeNs } = stat(`${dir}/f`);
      passTime();
      withFile(`${dir}/f`, 'r+', (fd) => withMapping(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, (bytes, sync) => {
        put(bytes, 0, 'b');
        sync();
        assert.ok(fs.fstatSync(fd, { bigint: true }).mtimeNs > old);
      }));
      assert.ok(stat(`${dir}/f`).mtimeNs > old);
      assert.ok(stat(`${dir}/f`).ctimeNs > ctimeNs);
    },
  },
  'a lengthened file shows its new part in a mapping made before': {
    fixture: { f: file('a'.repeat(PAGE)) },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (fd) => withMapping(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, (bytes) => {
        fs.ftruncateSync(fd, 2 * PAGE);
        assert.equal(bytes[PAGE], 0);
        put(bytes, PAGE + 1, 'n');
      }));
      assert.equal(text(`${dir}/f`), `${'a'.repeat(PAGE)}\0n${'\0'.repeat(PAGE - 2)}`);
    },
  },
};
