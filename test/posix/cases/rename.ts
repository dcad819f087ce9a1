import assert from 'node:assert/strict';
import fs from 'node:fs';
import { renameAt } from '../../../fs/host/at.ts';
import { AT_FDCWD, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../../fs/host/constants.ts';
import { S_IFIFO } from '../../../fs/stat.ts';
import { directory, fails, file, link, names, node, passTime, setOldTime, stat, symlink, text, withFile } from '../case.ts';
import type { Fixture, PosixCase, PosixCases } from '../case.ts';

/** Fixtures of each kind a name can be of, under a name. */
export const KINDS: Record<string, (name: string) => Fixture> = {
  nothing: () => ({}),
  file: (name) => ({ [name]: file(`content of ${name}`) }),
  symlink: (name) => ({ [name]: symlink(`${name} points here`) }),
  fifo: (name) => ({ [name]: node(S_IFIFO) }),
  'an empty directory': (name) => ({ [name]: directory({ mode: 0o750 }) }),
  'a full directory': (name) => ({ [name]: directory(), [`${name}/in`]: file(name), [`${name}/sub`]: directory(), [`${name}/sub/deep`]: file('deep') }),
};

/** What rename(2) says of one kind onto another; undefined: it is done. */
function expected(source: string, target: string): string | undefined {
  const isDirectory = (kind: string): boolean => kind.endsWith('directory');
  if (target === 'nothing') return undefined;
  if (!isDirectory(source)) return isDirectory(target) ? 'EISDIR' : undefined;
  if (!isDirectory(target)) return 'ENOTDIR';
  return target === 'a full directory' ? 'ENOTEMPTY' : undefined;
}

/** What is at a name, with everything below it. */
export function describe(name: string): string {
  const now = fs.lstatSync(name, { bigint: true, throwIfNoEntry: false });
  if (now === undefined) return 'nothing';
  const of = `${now.ino} ${now.mode.toString(8)}`;
  if (now.isFile()) return `${of} ${text(name)}`;
  if (now.isSymbolicLink()) return `${of} ${fs.readlinkSync(name)}`;
  return now.isDirectory() ? `${of} ${names(name).map((child) => `${child}: ${describe(`${name}/${child}`)}`).join(', ')}` : of;
}

function matrix(source: string, target: string): PosixCase {
  return {
    fixture: { p: directory(), q: directory(), ...KINDS[source]('p/s'), ...KINDS[target]('q/t') },
    run(dir) {
      const [from, to] = [`${dir}/p/s`, `${dir}/q/t`];
      const before = [describe(from), describe(to)];
      const code = expected(source, target);
      if (code === undefined) {
        fs.renameSync(from, to);
        assert.deepEqual([describe(from), describe(to)], ['nothing', before[0]]);
        assert.deepEqual([names(`${dir}/p`), names(`${dir}/q`)], [[], ['t']]);
      } else {
        fails(code, () => fs.renameSync(from, to));
        assert.deepEqual([describe(from), describe(to)], before);
        assert.deepEqual([names(`${dir}/p`), names(`${dir}/q`)], [['s'], ['t']]);
      }
    },
  };
}

const tree: Fixture = { d: directory(), 'd/f': file('f'), 'd/e': directory(), 'd/e/g': file('g'), 'd/e/l': symlink('g') };

export const renameCases: PosixCases = {
  'rename of nothing is ENOENT, so is a missing parent of the target': {
    fixture: { f: file() },
    run(dir) {
      fails('ENOENT', () => fs.renameSync(`${dir}/none`, `${dir}/x`));
      fails('ENOENT', () => fs.renameSync(`${dir}/f`, `${dir}/none/x`));
      fails('ENOTDIR', () => fs.renameSync(`${dir}/f`, `${dir}/f/x`));
    },
  },
  'rename of a file to a name with a slash behind is ENOTDIR': {
    fixture: { f: file() },
    run(dir) {
      fails('ENOTDIR', () => fs.renameSync(`${dir}/f`, `${dir}/x/`));
    },
  },
  'rename of a directory into itself is EINVAL': {
    fixture: tree,
    run(dir) {
      fails('EINVAL', () => fs.renameSync(`${dir}/d`, `${dir}/d/x`));
      fails('EINVAL', () => fs.renameSync(`${dir}/d`, `${dir}/d/e/x`));
      fails('ENOTEMPTY', () => fs.renameSync(`${dir}/d/e`, `${dir}/d`));
    },
  },
  'rename of a name onto itself, or onto another name of its file, does nothing': {
    fixture: { a: file('x'), b: link('a'), d: directory() },
    run(dir) {
      fs.renameSync(`${dir}/a`, `${dir}/a`);
      fs.renameSync(`${dir}/d`, `${dir}/d`);
      fs.renameSync(`${dir}/a`, `${dir}/b`);
      assert.deepEqual(names(dir), ['a', 'b', 'd']);
      assert.equal(stat(`${dir}/a`).nlink, 2n);
    },
  },
  'rename keeps a file\'s mtime, mode and inode, and updates the parents': {
    fixture: { p: directory(), 'p/f': file('x', { mode: 0o4711, mtime: { sec: 1_111_111_111, nsec: 222_222_222 } }), q: directory() },
    run(dir) {
      const before = stat(`${dir}/p/f`);
      const old = setOldTime(`${dir}/p`);
      setOldTime(`${dir}/q`);
      fs.renameSync(`${dir}/p/f`, `${dir}/q/g`);
      const after = stat(`${dir}/q/g`);
      assert.deepEqual([after.mtimeNs, after.mode, after.ino], [before.mtimeNs, before.mode, before.ino]);
      assert.ok(stat(`${dir}/p`).mtimeNs > old);
      assert.ok(stat(`${dir}/q`).mtimeNs > old);
    },
  },
  'rename updates the ctime of what is renamed': {
    fixture: { f: file('x'), d: directory() },
    run(dir) {
      const before = [stat(`${dir}/f`).ctimeNs, stat(`${dir}/d`).ctimeNs];
      passTime();
      fs.renameSync(`${dir}/f`, `${dir}/g`);
      fs.renameSync(`${dir}/d`, `${dir}/e`);
      assert.ok(stat(`${dir}/g`).ctimeNs > before[0]);
      assert.ok(stat(`${dir}/e`).ctimeNs >= before[1]);
    },
  },
  'a renamed directory has all its content, at any depth, and keeps its inodes': {
    fixture: tree,
    run(dir) {
      const before = describe(`${dir}/d`);
      fs.renameSync(`${dir}/d`, `${dir}/moved`);
      assert.equal(describe(`${dir}/moved`), before);
      assert.equal(describe(`${dir}/d`), 'nothing');
      fails('ENOENT', () => text(`${dir}/d/f`));
      fs.writeFileSync(`${dir}/moved/e/g`, 'changed');
      assert.equal(text(`${dir}/moved/e/l`), 'changed');
    },
  },
  'a new directory of a renamed one\'s old name is empty': {
    fixture: tree,
    run(dir) {
      fs.renameSync(`${dir}/d`, `${dir}/moved`);
      fs.mkdirSync(`${dir}/d`);
      assert.deepEqual(names(`${dir}/d`), []);
      fails('ENOENT', () => fs.lstatSync(`${dir}/d/f`));
      fs.writeFileSync(`${dir}/d/f`, 'new');
      assert.equal(text(`${dir}/moved/f`), 'f');
      fs.rmSync(`${dir}/d`, { recursive: true });
      assert.equal(text(`${dir}/moved/e/g`), 'g');
    },
  },
  'directories renamed round in a circle come back whole': {
    fixture: { ...tree, x: directory(), 'x/y': file('y') },
    run(dir) {
      const before = [describe(`${dir}/d`), describe(`${dir}/x`)];
      for (let turn = 0; turn < 3; turn++) {
        fs.renameSync(`${dir}/d`, `${dir}/tmp`);
        fs.renameSync(`${dir}/x`, `${dir}/d`);
        fs.renameSync(`${dir}/tmp`, `${dir}/x`);
      }
      assert.deepEqual([describe(`${dir}/x`), describe(`${dir}/d`)], before);
      assert.deepEqual(names(dir), ['d', 'x']);
    },
  },
  'a directory renamed into one that was renamed is found below both new names': {
    fixture: { ...tree, x: directory(), 'x/y': directory(), 'x/y/z': file('z') },
    run(dir) {
      fs.renameSync(`${dir}/d`, `${dir}/D`);
      fs.renameSync(`${dir}/x/y`, `${dir}/D/e/Y`);
      fs.renameSync(`${dir}/D`, `${dir}/x/D`);
      assert.equal(text(`${dir}/x/D/e/Y/z`), 'z');
      assert.deepEqual(names(`${dir}/x/D/e`), ['Y', 'g', 'l']);
      assert.deepEqual(names(`${dir}/x`), ['D']);
      fs.rmSync(`${dir}/x`, { recursive: true });
      assert.deepEqual(names(dir), []);
    },
  },
  'a file replaced by rename and then removed is gone': {
    fixture: { a: file('a'), b: file('b') },
    run(dir) {
      fs.renameSync(`${dir}/a`, `${dir}/b`);
      fs.unlinkSync(`${dir}/b`);
      assert.deepEqual(names(dir), []);
      fails('ENOENT', () => fs.lstatSync(`${dir}/b`));
      fails('ENOENT', () => fs.lstatSync(`${dir}/a`));
    },
  },
  'a directory replaced by rename shows only the new content': {
    fixture: { ...tree, x: directory(), 'x/old': file() },
    run(dir) {
      fs.unlinkSync(`${dir}/x/old`);
      fs.renameSync(`${dir}/d`, `${dir}/x`);
      assert.deepEqual(names(`${dir}/x`), ['e', 'f']);
      fails('ENOENT', () => fs.lstatSync(`${dir}/x/old`));
    },
  },
  'the usual way to replace a file (write aside, sync, rename) leaves the new content': {
    fixture: { f: file('old', { mode: 0o600 }) },
    run(dir) {
      for (let turn = 0; turn < 5; turn++) {
        withFile(`${dir}/f.tmp`, 'wx', (fd) => {
          fs.writeSync(fd, `new ${turn}`);
          fs.fsyncSync(fd);
        });
        fs.renameSync(`${dir}/f.tmp`, `${dir}/f`);
        assert.equal(text(`${dir}/f`), `new ${turn}`);
      }
      assert.deepEqual(names(dir), ['f']);
    },
  },
  'renaming one of two hard links over the other name of a third file keeps counts right': {
    fixture: { a: file('x'), b: link('a'), c: file('y'), d: link('c') },
    run(dir) {
      fs.renameSync(`${dir}/a`, `${dir}/c`);
      assert.equal(stat(`${dir}/b`).nlink, 2n);
      assert.equal(stat(`${dir}/c`).ino, stat(`${dir}/b`).ino);
      assert.equal(stat(`${dir}/d`).nlink, 1n);
      assert.equal(text(`${dir}/d`), 'y');
    },
  },
  'RENAME_NOREPLACE refuses a target that is there': {
    fixture: { a: file('a'), b: file('b'), d: directory() },
    run(dir) {
      fails('EEXIST', () => renameAt(AT_FDCWD, `${dir}/a`, AT_FDCWD, `${dir}/b`, RENAME_NOREPLACE));
      fails('EEXIST', () => renameAt(AT_FDCWD, `${dir}/a`, AT_FDCWD, `${dir}/d`, RENAME_NOREPLACE));
      renameAt(AT_FDCWD, `${dir}/a`, AT_FDCWD, `${dir}/c`, RENAME_NOREPLACE);
      assert.deepEqual(names(dir), ['b', 'c', 'd']);
    },
  },
  'RENAME_EXCHANGE needs both names, and neither below the other': {
    fixture: { a: file('a'), d: directory(), 'd/e': directory() },
    run(dir) {
      fails('ENOENT', () => renameAt(AT_FDCWD, `${dir}/a`, AT_FDCWD, `${dir}/none`, RENAME_EXCHANGE));
      fails('EINVAL', () => renameAt(AT_FDCWD, `${dir}/d`, AT_FDCWD, `${dir}/d/e`, RENAME_EXCHANGE));
      fails('EINVAL', () => renameAt(AT_FDCWD, `${dir}/a`, AT_FDCWD, `${dir}/d`, RENAME_EXCHANGE | RENAME_NOREPLACE));
    },
  },
};

for (const source of Object.keys(KINDS).filter((kind) => kind !== 'nothing')) {
  for (const target of Object.keys(KINDS)) {
    renameCases[`rename of ${source} onto ${target} is ${expected(source, target) ?? 'done'}`] = matrix(source, target);
  }
}
