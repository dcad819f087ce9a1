import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { utimensAt } from '../../../fs/host/attributes.ts';
import { AT_FDCWD } from '../../../fs/host/constants.ts';
import { as, directory, fails, file, permissions, stat, symlink, text, withFile } from '../case.ts';
import type { PosixCases } from '../case.ts';

const U = 54_321;
const G = 54_322;
const OTHER = 54_399;

export const permissionCases: PosixCases = {
  'chmod sets all twelve bits of files and directories, and keeps the type': {
    fixture: { f: file('x'), d: directory() },
    run(dir) {
      for (const mode of [0o7777, 0o1000, 0o4711, 0o2750, 0, 0o644]) {
        for (const name of ['f', 'd']) {
          fs.chmodSync(`${dir}/${name}`, mode);
          assert.equal(permissions(`${dir}/${name}`), mode);
        }
      }
      assert.equal(text(`${dir}/f`), 'x');
      assert.ok(fs.lstatSync(`${dir}/d`).isDirectory());
    },
  },
  'chown sets each owner alone, and keeps content, times and mode': {
    root: true,
    fixture: { f: file('x', { mode: 0o640, mtime: { sec: 5, nsec: 6 } }) },
    run(dir) {
      fs.chownSync(`${dir}/f`, U, -1 >>> 0);
      fs.chownSync(`${dir}/f`, -1 >>> 0, G);
      const now = stat(`${dir}/f`);
      assert.deepEqual([now.uid, now.gid, now.mode & 0o7777n, now.mtimeNs], [BigInt(U), BigInt(G), 0o640n, 5_000_000_006n]);
      assert.equal(text(`${dir}/f`), 'x');
    },
  },
  'owners over 2^31 are kept': {
    hostRoot: true,
    fixture: { f: file() },
    run(dir) {
      fs.chownSync(`${dir}/f`, 4_000_000_000, 3_000_000_000);
      assert.deepEqual([stat(`${dir}/f`).uid, stat(`${dir}/f`).gid], [4_000_000_000n, 3_000_000_000n]);
    },
  },
  'what a user makes is the user\'s': {
    root: true,
    fixture: { d: directory({ mode: 0o777 }), 'd/f': file() },
    run(dir) {
      as(U, G, () => {
        fs.writeFileSync(`${dir}/d/file`, 'x');
        fs.mkdirSync(`${dir}/d/dir`);
        fs.symlinkSync('x', `${dir}/d/symlink`);
      });
      for (const name of ['file', 'dir', 'symlink']) {
        assert.deepEqual([stat(`${dir}/d/${name}`).uid, stat(`${dir}/d/${name}`).gid], [BigInt(U), BigInt(G)], name);
      }
    },
  },
  'what is made in a setgid directory has its group, a directory the bit too': {
    root: true,
    fixture: { d: directory({ mode: 0o2777, gid: G }) },
    run(dir) {
      as(U, OTHER, () => {
        fs.writeFileSync(`${dir}/d/file`, 'x');
        fs.mkdirSync(`${dir}/d/dir`, 0o755);
        fs.symlinkSync('x', `${dir}/d/symlink`);
      });
      for (const name of ['file', 'dir', 'symlink']) assert.equal(stat(`${dir}/d/${name}`).gid, BigInt(G), name);
      assert.equal(permissions(`${dir}/d/dir`), 0o2755);
      assert.equal(permissions(`${dir}/d/file`) & 0o2000, 0);
    },
  },
  'an executable setgid file made by a stranger to the directory\'s group loses the bit': {
    root: true,
    fixture: { d: directory({ mode: 0o2777, gid: G }) },
    run(dir) {
      as(U, OTHER, () => fs.closeSync(fs.openSync(`${dir}/d/f`, 'w', 0o2775)));
      assert.equal(permissions(`${dir}/d/f`), 0o775);
    },
  },
  'the umask is taken from the mode of what is made': {
    fixture: { d: directory() },
    run(dir) {
      execFileSync('sh', ['-c', 'umask 027; : > f; mkdir d/e; mkfifo p'], { cwd: dir });
      assert.deepEqual([permissions(`${dir}/f`), permissions(`${dir}/d/e`), permissions(`${dir}/p`)], [0o640, 0o750, 0o640]);
    },
  },
  'strangers can\'t read, write, or look through what its mode forbids': {
    root: true,
    fixture: { f: file('x', { mode: 0o600 }), ro: file('x', { mode: 0o644 }), d: directory({ mode: 0o700 }), 'd/f': file('x', { mode: 0o666 }), x: directory({ mode: 0o711 }), 'x/f': file('y') },
    run(dir) {
      as(U, G, () => {
        fails('EACCES', () => fs.openSync(`${dir}/f`, 'r'));
        fails('EACCES', () => fs.openSync(`${dir}/ro`, 'r+'));
        fails('EACCES', () => fs.truncateSync(`${dir}/ro`, 0));
        fails('EACCES', () => fs.statSync(`${dir}/d/f`));
        fails('EACCES', () => fs.readdirSync(`${dir}/x`));
        assert.equal(text(`${dir}/x/f`), 'y');
        assert.equal(text(`${dir}/ro`), 'x');
      });
    },
  },
  'strangers can\'t make, remove or rename in a directory that isn\'t theirs': {
    root: true,
    fixture: { d: directory(), 'd/f': file(), 'd/e': directory(), mine: directory({ uid: U }), 'mine/g': file() },
    run(dir) {
      as(U, G, () => {
        fails('EACCES', () => fs.writeFileSync(`${dir}/d/new`, ''));
        fails('EACCES', () => fs.mkdirSync(`${dir}/d/new`));
        fails('EACCES', () => fs.symlinkSync('x', `${dir}/d/new`));
        fails('EACCES', () => fs.unlinkSync(`${dir}/d/f`));
        fails('EACCES', () => fs.rmdirSync(`${dir}/d/e`));
        fails('EACCES', () => fs.renameSync(`${dir}/d/f`, `${dir}/mine/f`));
        fails('EACCES', () => fs.renameSync(`${dir}/mine/g`, `${dir}/d/g`));
        fs.unlinkSync(`${dir}/mine/g`);
      });
    },
  },
  'only the owner changes mode and times, nobody gives files away': {
    root: true,
    fixture: { f: file('x', { mode: 0o666 }), ro: file('x'), mine: file('x', { uid: U, gid: G }) },
    run(dir) {
      as(U, G, () => {
        fails('EPERM', () => fs.chmodSync(`${dir}/f`, 0o600));
        fails('EPERM', () => fs.chownSync(`${dir}/f`, U, G));
        fails('EPERM', () => fs.chownSync(`${dir}/mine`, OTHER, G));
        fails('EPERM', () => fs.utimesSync(`${dir}/f`, 1, 1));
        fails('EACCES', () => utimensAt(AT_FDCWD, `${dir}/ro`, 'now', 'now'));
        utimensAt(AT_FDCWD, `${dir}/f`, 'now', 'now');
        fs.chmodSync(`${dir}/mine`, 0o600);
        fs.utimesSync(`${dir}/mine`, 1, 1);
      });
      assert.equal(permissions(`${dir}/mine`), 0o600);
    },
  },
  'in a sticky directory only owners remove and rename': {
    root: true,
    fixture: { t: directory({ mode: 0o1777 }), 't/mine': file('', { uid: U }), 't/other': file('', { uid: OTHER }), 't/d': directory({ uid: OTHER }) },
    run(dir) {
      as(U, G, () => {
        fails('EPERM', () => fs.unlinkSync(`${dir}/t/other`));
        fails('EPERM', () => fs.renameSync(`${dir}/t/other`, `${dir}/t/x`));
        fails('EPERM', () => fs.renameSync(`${dir}/t/mine`, `${dir}/t/other`));
        fails('EPERM', () => fs.rmdirSync(`${dir}/t/d`));
        fs.renameSync(`${dir}/t/mine`, `${dir}/t/x`);
        fs.unlinkSync(`${dir}/t/x`);
      });
    },
  },
  'the owner of a read-only directory and file may still change their modes': {
    root: true,
    fixture: { d: directory({ uid: U, mode: 0o555 }), 'd/f': file('x', { uid: U, mode: 0 }) },
    run(dir) {
      as(U, G, () => {
        fails('EACCES', () => fs.writeFileSync(`${dir}/d/new`, ''));
        fails('EACCES', () => fs.readFileSync(`${dir}/d/f`));
        fs.chmodSync(`${dir}/d/f`, 0o400);
        assert.equal(text(`${dir}/d/f`), 'x');
        fs.chmodSync(`${dir}/d`, 0o755);
        fs.unlinkSync(`${dir}/d/f`);
      });
    },
  },
  'a user with write permission changes a file that root owns': {
    root: true,
    fixture: { f: file('old', { mode: 0o666 }), d: directory(), 'd/f': file('old', { mode: 0o662 }) },
    run(dir) {
      as(U, G, () => {
        fs.writeFileSync(`${dir}/f`, 'new');
        fs.appendFileSync(`${dir}/d/f`, ' and new');
      });
      assert.deepEqual([text(`${dir}/f`), text(`${dir}/d/f`)], ['new', 'old and new']);
      assert.deepEqual([stat(`${dir}/f`).uid, permissions(`${dir}/d/f`)], [0n, 0o662]);
    },
  },
  'a write by a user clears setuid and setgid': {
    root: true,
    fixture: { f: file('x', { mode: 0o6777 }) },
    run(dir) {
      as(U, G, () => withFile(`${dir}/f`, 'r+', (fd) => fs.writeSync(fd, 'y')));
      assert.equal(permissions(`${dir}/f`), 0o777);
    },
  },
  'truncation by a user clears setuid and setgid': {
    root: true,
    fixture: { f: file('x', { mode: 0o6777 }), g: file('x', { mode: 0o6777 }) },
    run(dir) {
      as(U, G, () => {
        fs.truncateSync(`${dir}/f`, 0);
        fs.closeSync(fs.openSync(`${dir}/g`, 'w'));
      });
      assert.deepEqual([permissions(`${dir}/f`), permissions(`${dir}/g`)], [0o777, 0o777]);
    },
  },
  'a write by root keeps setuid and setgid': {
    hostRoot: true,
    fixture: { f: file('x', { mode: 0o6755 }) },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (fd) => fs.writeSync(fd, 'y'));
      assert.equal(permissions(`${dir}/f`), 0o6755);
    },
  },
  'chown clears setuid and setgid of programs, and not of directories': {
    root: true,
    fixture: { f: file('x', { mode: 0o6755 }), d: directory({ mode: 0o6755 }) },
    run(dir) {
      fs.chownSync(`${dir}/f`, U, G);
      fs.chownSync(`${dir}/d`, U, G);
      assert.deepEqual([permissions(`${dir}/f`), permissions(`${dir}/d`)], [0o755, 0o6755]);
    },
  },
  'chmod by an owner outside the file\'s group clears setgid': {
    root: true,
    fixture: { f: file('x', { uid: U, gid: OTHER }) },
    run(dir) {
      as(U, G, () => fs.chmodSync(`${dir}/f`, 0o2755));
      assert.equal(permissions(`${dir}/f`), 0o755);
    },
  },
  'a script runs by its execute bit, and not without': {
    fixture: { run: file('#!/bin/sh\necho ran "$1"\n', { mode: 0o755 }), l: symlink('run') },
    run(dir) {
      assert.equal(execFileSync(`${dir}/run`, ['well'], { encoding: 'utf8' }), 'ran well\n');
      assert.equal(execFileSync(`${dir}/l`, ['too'], { encoding: 'utf8' }), 'ran too\n');
      fs.chmodSync(`${dir}/run`, 0o644);
      fails('EACCES', () => execFileSync(`${dir}/run`));
    },
  },
  'a running program is ETXTBSY for writers, and free afterwards': {
    async run(dir) {
      fs.copyFileSync('/bin/sleep', `${dir}/program`);
      fs.chmodSync(`${dir}/program`, 0o755);
      const child = spawn(`${dir}/program`, ['100']);
      await new Promise((resolve, reject) => child.on('spawn', resolve).on('error', reject));
      try {
        fails('ETXTBSY', () => fs.openSync(`${dir}/program`, 'r+'));
      } finally {
        child.kill('SIGKILL');
        await new Promise((resolve) => child.on('exit', resolve));
      }
      withFile(`${dir}/program`, 'r+', (fd) => fs.writeSync(fd, 'x'));
    },
  },
};
