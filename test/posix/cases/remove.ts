import assert from 'node:assert/strict';
import fs from 'node:fs';
import { directory, fails, file, link, names, node, passTime, setOldTime, stat, symlink, text } from '../case.ts';
import type { PosixCases } from '../case.ts';
import { S_IFIFO } from '../../../fs/stat.ts';

export const removeCases: PosixCases = {
  'unlink removes files, symlinks and fifos, by listing and by name': {
    fixture: { a: file('x'), l: symlink('a'), dangling: symlink('none'), p: node(S_IFIFO), stays: file('y') },
    run(dir) {
      for (const name of ['a', 'l', 'dangling', 'p']) {
        fs.unlinkSync(`${dir}/${name}`);
        fails('ENOENT', () => fs.lstatSync(`${dir}/${name}`));
        fails('ENOENT', () => fs.unlinkSync(`${dir}/${name}`));
      }
      assert.deepEqual(names(dir), ['stays']);
    },
  },
  'unlink of a directory is EISDIR': {
    fixture: { d: directory(), 'd/f': file() },
    run(dir) {
      fails('EISDIR', () => fs.unlinkSync(`${dir}/d`));
      assert.deepEqual(names(`${dir}/d`), ['f']);
    },
  },
  'unlink below a file is ENOTDIR, of a file with a slash behind ENOTDIR': {
    fixture: { f: file() },
    run(dir) {
      fails('ENOTDIR', () => fs.unlinkSync(`${dir}/f/x`));
      fails('ENOTDIR', () => fs.unlinkSync(`${dir}/f/`));
    },
  },
  'unlink updates the parent\'s times': {
    fixture: { d: directory(), 'd/a': file() },
    run(dir) {
      const old = setOldTime(`${dir}/d`);
      fs.unlinkSync(`${dir}/d/a`);
      assert.ok(stat(`${dir}/d`).mtimeNs > old);
      assert.ok(stat(`${dir}/d`).ctimeNs > old);
    },
  },
  'unlink updates the ctime of a file that has other names': {
    fixture: { a: file(), b: link('a') },
    run(dir) {
      const { ctimeNs } = stat(`${dir}/b`);
      passTime();
      fs.unlinkSync(`${dir}/a`);
      assert.ok(stat(`${dir}/b`).ctimeNs > ctimeNs);
    },
  },
  'a removed name made again is a new file': {
    fixture: { f: file('old', { mode: 0o755 }) },
    run(dir) {
      for (let turn = 0; turn < 3; turn++) {
        fs.unlinkSync(`${dir}/f`);
        fails('ENOENT', () => fs.readFileSync(`${dir}/f`));
        fs.writeFileSync(`${dir}/f`, `new ${turn}`, { mode: 0o600 });
        assert.equal(text(`${dir}/f`), `new ${turn}`);
        assert.equal(fs.statSync(`${dir}/f`).mode & 0o777, 0o600);
      }
      assert.deepEqual(names(dir), ['f']);
    },
  },
  'a symlink is removed, not what it points to': {
    fixture: { d: directory(), 'd/f': file('x'), l: symlink('d') },
    run(dir) {
      fails('ENOTDIR', () => fs.unlinkSync(`${dir}/l/`));
      fs.unlinkSync(`${dir}/l`);
      assert.equal(text(`${dir}/d/f`), 'x');
    },
  },
};
