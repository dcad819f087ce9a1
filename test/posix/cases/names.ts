import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { close, linkAt, openAt, readlinkAt, renameAt, rmdirAt, statAt, unlinkAt } from '../../../fs/host/at.ts';
import { chmodAt } from '../../../fs/host/attributes.ts';
import { O_CREAT, O_RDWR, O_WRONLY } from '../../../fs/host/constants.ts';
import { listDirectory } from '../../../fs/host/directory.ts';
import { mkdirAt, symlinkAt } from '../../../fs/host/make.ts';
import { listXattr, setXattr } from '../../../fs/host/xattr.ts';
import { directory, fails, file, inNested, listed, names, stat, text } from '../case.ts';
import type { PosixCases } from '../case.ts';

const LONG = 'n'.repeat(255);
const bytes = (dir: string, name: string): Buffer => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, 'latin1')]);

export const nameCases: PosixCases = {
  'names of 255 bytes can be all that names can be': {
    fixture: { [LONG]: file('x'), d: directory(), [`d/${LONG}`]: directory() },
    run(dir) {
      assert.equal(text(`${dir}/${LONG}`), 'x');
      fs.writeFileSync(`${dir}/${LONG}`, 'y');
      fs.renameSync(`${dir}/${LONG}`, `${dir}/d/${LONG}/${LONG}`);
      assert.deepEqual(names(`${dir}/d/${LONG}`), [LONG]);
      fs.linkSync(`${dir}/d/${LONG}/${LONG}`, `${dir}/${LONG}`);
      fs.symlinkSync(LONG, `${dir}/d/${LONG.slice(1)}m`);
      fs.unlinkSync(`${dir}/${LONG}`);
      fs.rmSync(`${dir}/d/${LONG}`, { recursive: true });
      assert.deepEqual(names(dir), ['d']);
    },
  },
  'a name of 256 bytes is ENAMETOOLONG': {
    fixture: { f: file() },
    run(dir) {
      const name = `${dir}/${LONG}n`;
      fails('ENAMETOOLONG', () => fs.writeFileSync(name, ''));
      fails('ENAMETOOLONG', () => fs.mkdirSync(name));
      fails('ENAMETOOLONG', () => fs.lstatSync(name));
      fails('ENAMETOOLONG', () => fs.renameSync(`${dir}/f`, name));
      fails('ENAMETOOLONG', () => fs.unlinkSync(name));
    },
  },
  'a path over 4,095 bytes is ENAMETOOLONG': {
    run(dir) {
      fails('ENAMETOOLONG', () => fs.lstatSync(`${dir}/${'d/'.repeat(2048)}`));
    },
  },
  'names that are no UTF-8 keep their bytes': {
    fixture: { 'caf\xe9': file('x'), '\xff\xfe': directory(), '\xff\xfe/\x80': file('y') },
    run(dir) {
      assert.equal(text(bytes(dir, 'caf\xe9')), 'x');
      fs.writeFileSync(bytes(dir, 'caf\xe9'), 'changed');
      fs.renameSync(bytes(dir, 'caf\xe9'), bytes(dir, '\xff\xfe/\xc3'));
      fs.mkdirSync(bytes(dir, '\xc3\x28'));
      const list = (at: Buffer): string[] => fs.readdirSync(at, 'buffer').map((name) => name.toString('latin1')).sort();
      assert.deepEqual(list(Buffer.from(dir)), ['\xc3\x28', '\xff\xfe']);
      assert.deepEqual(list(bytes(dir, '\xff\xfe')), ['\x80', '\xc3']);
      fs.unlinkSync(bytes(dir, '\xff\xfe/\x80'));
      assert.deepEqual(list(bytes(dir, '\xff\xfe')), ['\xc3']);
    },
  },
  'names of UTF-8, spaces, newlines, quotes, backslashes and dots are like any other': {
    fixture: { '\xc3\xa4\xe2\x82\xac': file(), 'a b': file(), 'new\nline': file(), '"\'\\': file(), '...': file(), '-rf': file(), '.hidden': file(), ':,=': file() },
    run(dir) {
      const all = ['"\'\\', '-rf', '...', '.hidden', ':,=', 'a b', 'new\nline', 'ä€'];
      assert.deepEqual(names(dir), all);
      for (const name of all) {
        fs.renameSync(`${dir}/${name}`, `${dir}/${name}2`);
        fs.unlinkSync(`${dir}/${name}2`);
      }
      assert.deepEqual(names(dir), []);
    },
  },
  'names that differ by case, or by how an accent is written, are different': {
    fixture: { a: file('1'), A: file('2'), 'e\xcc\x81': file('3'), '\xc3\xa9': file('4') },
    run(dir) {
      assert.deepEqual(['a', 'A', 'e\u0301', '\u00e9'].map((name) => text(`${dir}/${name}`)), ['1', '2', '3', '4']);
      fs.unlinkSync(`${dir}/a`);
      assert.equal(text(`${dir}/A`), '2');
    },
  },
  'directories go deeper than a path can say': {
    run(dir) {
      const parts = Array.from({ length: 30 }, (_, index) => `${index}-`.padEnd(200, 'd'));
      inNested(dir, parts, (fd, name) => mkdirAt(fd, name, 0o755), (fd) => {
        close(openAt(fd, 'bottom', O_WRONLY | O_CREAT, 0o644));
        assert.equal(statAt(fd, 'bottom').size, 0);
        unlinkAt(fd, 'bottom');
      });
      for (let depth = parts.length; depth > 0; depth--) {
        const path = parts.slice(0, depth);
        inNested(dir, path.slice(0, -1), () => undefined, (fd) => rmdirAt(fd, path[depth - 1]));
      }
      assert.deepEqual(names(dir), []);
    },
  },
  'files far deeper than a path can say are written, renamed, linked, have xattrs, and go': {
    run(dir) {
      const parts = Array.from({ length: 25 }, (_, index) => `${index}-`.padEnd(250, 'd'));
      inNested(dir, parts, (fd, name) => mkdirAt(fd, name, 0o755), (fd) => {
        const file = openAt(fd, 'a', O_RDWR | O_CREAT, 0o644);
        fs.writeSync(file, 'deep');
        renameAt(fd, 'a', fd, 'b');
        linkAt(fd, 'b', fd, 'c');
        symlinkAt('b', fd, 'l');
        chmodAt(fd, 'b', 0o600);
        setXattr(file, 'user.deep', Buffer.from('1'));
        assert.deepEqual([statAt(fd, 'c').nlink, statAt(fd, 'c').mode & 0o777, statAt(fd, 'b').size, readlinkAt(fd, 'l'), listXattr(file)], [2, 0o600, 4, 'b', ['user.deep']]);
        assert.deepEqual(listDirectory(fd).map(({ name }) => name).sort(), ['b', 'c', 'l']);
        close(file);
        for (const name of ['b', 'c', 'l']) unlinkAt(fd, name);
      });
      execFileSync('rm', ['-rf', parts[0] as string], { cwd: dir });
      assert.deepEqual(names(dir), []);
    },
  },
  'names "." and ".." are there, and can\'t be made, renamed or removed': {
    fixture: { d: directory(), 'd/e': directory() },
    run(dir) {
      assert.deepEqual([...listed(`${dir}/d`).keys()], ['e']);
      assert.equal(stat(`${dir}/d/e/..`).ino, stat(`${dir}/d`).ino);
      assert.equal(stat(`${dir}/d/.`).ino, stat(`${dir}/d`).ino);
      for (const name of ['.', '..']) {
        fails('EEXIST', () => fs.mkdirSync(`${dir}/d/${name}`));
        fails('EBUSY', () => fs.renameSync(`${dir}/d/${name}`, `${dir}/x`));
        fails('EISDIR', () => fs.unlinkSync(`${dir}/d/${name}`));
      }
      fs.renameSync(`${dir}/d/e`, `${dir}/e`);
      assert.equal(stat(`${dir}/e/..`).ino, stat(dir).ino);
    },
  },
};
