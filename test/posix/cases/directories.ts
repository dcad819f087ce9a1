import assert from 'node:assert/strict';
import fs from 'node:fs';
import { directory, fails, file, listed, names, node, permissions, setOldTime, stat, symlink, text } from '../case.ts';
import type { Fixture, PosixCases } from '../case.ts';
import { S_IFIFO } from '../../../fs/stat.ts';

const kinds: Fixture = { file: file('x'), directory: directory(), full: directory(), 'full/x': file(), symlink: symlink('file'), dangling: symlink('none'), fifo: node(S_IFIFO) };

export const directoryCases: PosixCases = {
  'mkdir of a name that is there is EEXIST, of any kind': {
    fixture: kinds,
    run(dir) {
      for (const name of names(dir)) fails('EEXIST', () => fs.mkdirSync(`${dir}/${name}`));
      assert.equal(names(dir).length, 6);
    },
  },
  'mkdir below nothing is ENOENT, below a file ENOTDIR': {
    fixture: { f: file() },
    run(dir) {
      fails('ENOENT', () => fs.mkdirSync(`${dir}/none/d`));
      fails('ENOTDIR', () => fs.mkdirSync(`${dir}/f/d`));
    },
  },
  'a new directory has its mode, is empty and listed': {
    run(dir) {
      fs.mkdirSync(`${dir}/d`, 0o1750);
      assert.equal(permissions(`${dir}/d`), 0o1750);
      assert.deepEqual(names(`${dir}/d`), []);
      assert.deepEqual(names(dir), ['d']);
      fs.mkdirSync(`${dir}/slash/`);
      assert.ok(fs.statSync(`${dir}/slash/`).isDirectory());
    },
  },
  'mkdir and rmdir update the times of the parent': {
    fixture: { p: directory(), 'p/d': directory() },
    run(dir) {
      let old = setOldTime(`${dir}/p`);
      fs.mkdirSync(`${dir}/p/new`);
      assert.ok(stat(`${dir}/p`).mtimeNs > old);
      old = setOldTime(`${dir}/p`);
      fs.rmdirSync(`${dir}/p/d`);
      assert.ok(stat(`${dir}/p`).mtimeNs > old);
    },
  },
  'rmdir: ENOENT, ENOTDIR, ENOTEMPTY, and done': {
    fixture: kinds,
    run(dir) {
      fails('ENOENT', () => fs.rmdirSync(`${dir}/none`));
      for (const name of ['file', 'symlink', 'dangling', 'fifo']) fails('ENOTDIR', () => fs.rmdirSync(`${dir}/${name}`));
      fails('ENOTEMPTY', () => fs.rmdirSync(`${dir}/full`));
      fs.rmdirSync(`${dir}/directory`);
      fails('ENOENT', () => fs.lstatSync(`${dir}/directory`));
      assert.deepEqual(names(dir), ['dangling', 'fifo', 'file', 'full', 'symlink']);
    },
  },
  'rmdir of "." is EINVAL, of ".." ENOTEMPTY': {
    fixture: { d: directory(), 'd/e': directory() },
    run(dir) {
      fails('EINVAL', () => fs.rmdirSync(`${dir}/d/.`));
      fails('ENOTEMPTY', () => fs.rmdirSync(`${dir}/d/e/..`));
    },
  },
  'a directory emptied name by name can be removed': {
    fixture: { d: directory(), 'd/f': file(), 'd/e': directory(), 'd/l': symlink('f') },
    run(dir) {
      fs.unlinkSync(`${dir}/d/f`);
      fails('ENOTEMPTY', () => fs.rmdirSync(`${dir}/d`));
      fs.rmdirSync(`${dir}/d/e`);
      fs.unlinkSync(`${dir}/d/l`);
      fs.rmdirSync(`${dir}/d`);
      assert.deepEqual(names(dir), []);
    },
  },
  'a directory removed and made again is empty, by listing and by name': {
    fixture: { d: directory(), 'd/f': file(), 'd/e': directory(), 'd/e/g': file() },
    run(dir) {
      fs.rmSync(`${dir}/d`, { recursive: true });
      fs.mkdirSync(`${dir}/d`);
      assert.deepEqual(names(`${dir}/d`), []);
      fails('ENOENT', () => fs.lstatSync(`${dir}/d/f`));
      fs.mkdirSync(`${dir}/d/e`);
      assert.deepEqual(names(`${dir}/d/e`), []);
      fails('ENOENT', () => fs.lstatSync(`${dir}/d/e/g`));
    },
  },
  'a directory in place of a removed file, and a file in place of a removed directory': {
    fixture: { f: file('x'), d: directory(), 'd/x': file() },
    run(dir) {
      fs.unlinkSync(`${dir}/f`);
      fs.mkdirSync(`${dir}/f`);
      fs.writeFileSync(`${dir}/f/in`, '1');
      fs.rmSync(`${dir}/d`, { recursive: true });
      fs.writeFileSync(`${dir}/d`, '2');
      assert.deepEqual(names(`${dir}/f`), ['in']);
      assert.equal(text(`${dir}/d`), '2');
      fs.rmSync(`${dir}/f`, { recursive: true });
      fs.unlinkSync(`${dir}/d`);
      assert.deepEqual(names(dir), []);
    },
  },
  'a listing gives each name once, with the type and inode number stat gives': {
    fixture: kinds,
    run(dir) {
      const entries = listed(dir);
      assert.deepEqual([...entries.keys()].sort(), ['dangling', 'directory', 'fifo', 'file', 'full', 'symlink']);
      for (const [name, { ino, type }] of entries) {
        assert.equal(BigInt(ino), stat(`${dir}/${name}`).ino, `inode of ${name}`);
        assert.equal(type, Number(stat(`${dir}/${name}`).mode) >> 12, `type of ${name}`);
      }
    },
  },
  'a listing shows what was made, renamed and removed since': {
    fixture: { a: file(), b: file(), c: directory() },
    run(dir) {
      names(dir);
      fs.unlinkSync(`${dir}/a`);
      fs.renameSync(`${dir}/b`, `${dir}/B`);
      fs.mkdirSync(`${dir}/d`);
      assert.deepEqual(names(dir), ['B', 'c', 'd']);
      fs.writeFileSync(`${dir}/a`, '');
      assert.deepEqual(names(dir), ['B', 'a', 'c', 'd']);
    },
  },
  'all of 1,000 names are listed once while they are removed': {
    fixture: Object.fromEntries([['many', directory()], ...Array.from({ length: 1000 }, (_, index) => [`many/name-${index}`, file()] as const)]),
    run(dir) {
      const seen = new Set<string>();
      const listing = fs.opendirSync(`${dir}/many`, { bufferSize: 64 });
      for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
        assert.ok(!seen.has(entry.name), entry.name);
        seen.add(entry.name);
        fs.unlinkSync(`${dir}/many/${entry.name}`);
      }
      listing.closeSync();
      assert.equal(seen.size, 1000);
      assert.deepEqual(names(`${dir}/many`), []);
      fs.rmdirSync(`${dir}/many`);
    },
  },
  'names made while a directory is listed don\'t disturb the others': {
    fixture: Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`n${index}`, file()] as const)),
    run(dir) {
      const seen: string[] = [];
      const listing = fs.opendirSync(dir, { bufferSize: 16 });
      for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
        if (!entry.name.startsWith('n')) continue;
        seen.push(entry.name);
        fs.writeFileSync(`${dir}/made-${seen.length}`, '');
      }
      listing.closeSync();
      assert.equal(new Set(seen).size, 300);
      assert.equal(seen.length, 300);
      assert.equal(names(dir).length, 600);
    },
  },
  'a removed directory that is still open makes no new names': {
    fixture: { d: directory() },
    run(dir) {
      const fd = fs.openSync(`${dir}/d`, 'r');
      try {
        fs.rmdirSync(`${dir}/d`);
        fails('ENOENT', () => fs.writeFileSync(`/proc/self/fd/${fd}/f`, ''));
        fails('ENOENT', () => fs.mkdirSync(`/proc/self/fd/${fd}/e`));
        assert.ok(fs.fstatSync(fd).isDirectory());
      } finally {
        fs.closeSync(fd);
      }
    },
  },
  'a tree is removed whole': {
    fixture: { t: directory(), 't/a': directory(), 't/a/b': directory(), 't/a/b/f': file(), 't/a/l': symlink('b'), 't/g': file() },
    run(dir) {
      fs.rmSync(`${dir}/t`, { recursive: true });
      assert.deepEqual(names(dir), []);
    },
  },
};
