import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { hasCode } from '../../../fs/errno.ts';
import { statPath } from '../../../fs/host/at.ts';
import { FALLOC_FL_KEEP_SIZE } from '../../../fs/host/constants.ts';
import { fallocate, statfs } from '../../../fs/host/file.ts';
import { directory, fails, file, listed, names, node, stat, symlink, text, withFile } from '../case.ts';
import type { Fixture, PosixCases } from '../case.ts';
import { S_IFIFO } from '../../../fs/stat.ts';
import { syncFileSystem, truncatePath } from '../system.ts';

const FALLOC_FL_ZERO_RANGE = 16;
const kinds: Fixture = { f: file('x'), d: directory(), 'd/in': file(), l: symlink('f'), p: node(S_IFIFO), 'd/e': directory() };
const paths = ['f', 'd', 'd/in', 'l', 'p', 'd/e'];

export const attributeCases: PosixCases = {
  'st_dev is one for all, st_ino is d_ino, and both stay over changes and renames': {
    fixture: kinds,
    run(dir) {
      const device = stat(dir).dev;
      const before = new Map(paths.map((name) => [name, stat(`${dir}/${name}`)]));
      const check = (name: string, now: string): void => {
        const { dev, ino } = stat(`${dir}/${now}`);
        assert.deepEqual([dev, ino], [device, before.get(name)?.ino], now);
        const [parent, last] = now.includes('/') ? [`${dir}/${now.slice(0, now.lastIndexOf('/'))}`, now.slice(now.lastIndexOf('/') + 1)] : [dir, now];
        assert.equal(BigInt(listed(parent).get(last)?.ino ?? 0), ino, `d_ino of ${now}`);
      };
      for (const name of paths) check(name, name);
      assert.equal(new Set([...before.values()].map(({ ino }) => ino)).size, paths.length);
      fs.appendFileSync(`${dir}/f`, 'y');
      for (const name of ['f', 'd', 'd/in', 'p', 'd/e']) fs.chmodSync(`${dir}/${name}`, 0o700);
      fs.lutimesSync(`${dir}/l`, 1, 2);
      for (const name of paths) check(name, name);
      fs.renameSync(`${dir}/d`, `${dir}/D`);
      for (const name of ['f', 'l', 'p']) fs.renameSync(`${dir}/${name}`, `${dir}/D/e/${name}`);
      for (const name of ['d', 'd/in', 'd/e']) check(name, name.replace('d', 'D'));
      for (const name of ['f', 'l', 'p']) check(name, `D/e/${name}`);
    },
  },
  'a new file\'s birth time is told, and stays': {
    run(dir) {
      fs.writeFileSync(`${dir}/f`, 'x');
      const born = stat(`${dir}/f`).birthtimeNs;
      if (born === 0n) return 'the file system has no birth times';
      const now = BigInt(Date.now()) * 1_000_000n;
      assert.ok(born > now - 60_000_000_000n && born < now + 1_000_000_000n, `${born}`);
      fs.utimesSync(`${dir}/f`, 1000, 2000);
      fs.appendFileSync(`${dir}/f`, 'y');
      fs.renameSync(`${dir}/f`, `${dir}/g`);
      assert.equal(stat(`${dir}/g`).birthtimeNs, born);
      return undefined;
    },
  },
  'chattr +i forbids changes until chattr -i, and lsattr tells': {
    hostRoot: true,
    fixture: { f: file('x'), d: directory(), 'd/in': file() },
    run(dir) {
      try {
        execFileSync('chattr', ['+i', `${dir}/f`, `${dir}/d`], { stdio: ['ignore', 'pipe', 'pipe'] });
      } catch (error) {
        if (/not supported|Inappropriate/.test(String((error as { stderr?: Buffer }).stderr))) return 'the file system has no flags';
        throw error;
      }
      try {
        assert.match(execFileSync('lsattr', [`${dir}/f`], { encoding: 'utf8' }), /^-+i/);
        assert.match(execFileSync('lsattr', ['-d', `${dir}/d`], { encoding: 'utf8' }), /^-+i/);
        fails('EPERM', () => fs.openSync(`${dir}/f`, 'r+'));
        fails('EPERM', () => fs.chmodSync(`${dir}/f`, 0o600));
        fails('EPERM', () => truncatePath(`${dir}/f`, 0));
        fails('EPERM', () => fs.unlinkSync(`${dir}/f`));
        fails('EPERM', () => fs.renameSync(`${dir}/f`, `${dir}/g`));
        fails('EPERM', () => fs.linkSync(`${dir}/f`, `${dir}/g`));
        fails('EPERM', () => fs.writeFileSync(`${dir}/d/new`, ''));
        fails('EPERM', () => fs.unlinkSync(`${dir}/d/in`));
        assert.equal(text(`${dir}/f`), 'x');
      } finally {
        execFileSync('chattr', ['-i', `${dir}/f`, `${dir}/d`]);
      }
      fs.unlinkSync(`${dir}/f`);
      fs.unlinkSync(`${dir}/d/in`);
      assert.deepEqual(names(`${dir}/d`), []);
      return undefined;
    },
  },
  'chattr +a lets a file grow only': {
    hostRoot: true,
    fixture: { f: file('x') },
    run(dir) {
      try {
        execFileSync('chattr', ['+a', `${dir}/f`], { stdio: ['ignore', 'pipe', 'pipe'] });
      } catch (error) {
        if (/not supported|Inappropriate/.test(String((error as { stderr?: Buffer }).stderr))) return 'the file system has no flags';
        throw error;
      }
      try {
        fs.appendFileSync(`${dir}/f`, 'y');
        fails('EPERM', () => fs.openSync(`${dir}/f`, 'r+'));
        fails('EPERM', () => fs.unlinkSync(`${dir}/f`));
      } finally {
        execFileSync('chattr', ['-a', `${dir}/f`]);
      }
      assert.equal(text(`${dir}/f`), 'xy');
      return undefined;
    },
  },
  'statfs through any file is that of the file system, syncfs works': {
    fixture: kinds,
    run(dir) {
      const { type, nameMax, blocks } = statfs(dir);
      for (const name of ['f', 'd', 'p', 'd/e']) assert.deepEqual([statfs(`${dir}/${name}`).type, statfs(`${dir}/${name}`).nameMax, statfs(`${dir}/${name}`).blocks], [type, nameMax, blocks]);
      withFile(`${dir}/f`, 'r', (fd) => syncFileSystem(fd));
      withFile(`${dir}/d`, 'r', (fd) => syncFileSystem(fd));
    },
  },
  'a sparse file has the blocks it needs': {
    fixture: { sparse: file('start', { size: 1 << 24 }) },
    run(dir) {
      assert.ok(Number(stat(`${dir}/sparse`).blocks) * 512 < 100_000);
    },
  },
  'st_blocks is what is written, and st_blksize a power of two': {
    fixture: { f: file('x'.repeat(100_000)), empty: file() },
    run(dir) {
      const of = (name: string): number => Number(stat(`${dir}/${name}`).blocks) * 512;
      assert.ok(of('f') >= 100_000 && of('f') < 200_000, `${of('f')}`);
      assert.equal(of('empty'), 0);
      const { blksize } = stat(`${dir}/f`);
      assert.ok(blksize >= 512n && (blksize & (blksize - 1n)) === 0n);
    },
  },
  'fallocate zeroes a range, with the size kept or not': {
    fixture: { f: file('x'.repeat(8192)) },
    run(dir) {
      return withFile(`${dir}/f`, 'r+', (fd) => {
        try {
          fallocate(fd, FALLOC_FL_ZERO_RANGE, 100, 100);
        } catch (error) {
          if (hasCode(error, 'EOPNOTSUPP')) return 'the file system zeroes no ranges';
          throw error;
        }
        fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 8000, 1000);
        assert.equal(fs.fstatSync(fd).size, 8192);
        fallocate(fd, FALLOC_FL_ZERO_RANGE, 8000, 1000);
        assert.equal(fs.fstatSync(fd).size, 9000);
        const bytes = fs.readFileSync(fd);
        assert.deepEqual([bytes[99], bytes[100], bytes[199], bytes[200], bytes[7999], bytes[8000], bytes[8999]], [120, 0, 0, 120, 120, 0, 0]);
        return undefined;
      });
    },
  },
  'a device is read and written, and its place is no matter': {
    hostRoot: true,
    fixture: { null: node(0o020000, 1, 3), zero: node(0o020000, 1, 5), d: directory() },
    run(dir) {
      fs.renameSync(`${dir}/zero`, `${dir}/d/zero`);
      fs.writeFileSync(`${dir}/null`, 'gone');
      assert.equal(text(`${dir}/null`), '');
      withFile(`${dir}/d/zero`, 'r', (fd) => {
        const bytes = Buffer.alloc(10, 1);
        assert.equal(fs.readSync(fd, bytes), 10);
        assert.ok(bytes.equals(Buffer.alloc(10)));
      });
      fs.chmodSync(`${dir}/null`, 0);
      assert.deepEqual([statPath(`${dir}/null`).rdevMajor, statPath(`${dir}/null`).rdevMinor], [1, 3]);
    },
  },
  'a program open for writing can\'t be run, one that runs not be truncated, and both may be renamed and removed': {
    async run(dir) {
      fs.copyFileSync('/bin/sleep', `${dir}/program`);
      fs.chmodSync(`${dir}/program`, 0o755);
      withFile(`${dir}/program`, 'r+', () => fails('ETXTBSY', () => execFileSync(`${dir}/program`, ['0'])));
      const child = spawn(`${dir}/program`, ['100']);
      await new Promise((resolve, reject) => child.on('spawn', resolve).on('error', reject));
      try {
        fails('ETXTBSY', () => truncatePath(`${dir}/program`, 0));
        fails('ETXTBSY', () => fs.openSync(`${dir}/program`, 'w'));
        fs.chmodSync(`${dir}/program`, 0o711);
        fs.renameSync(`${dir}/program`, `${dir}/renamed`);
        fails('ETXTBSY', () => fs.openSync(`${dir}/renamed`, 'r+'));
        assert.equal(fs.readlinkSync(`/proc/${child.pid}/exe`), `${dir}/renamed`);
        fs.unlinkSync(`${dir}/renamed`);
        fs.writeFileSync(`${dir}/renamed`, 'new');
      } finally {
        child.kill('SIGKILL');
        await new Promise((resolve) => child.on('exit', resolve));
      }
    },
  },
  'a program there runs, is ETXTBSY meanwhile, and is written afterwards': {
    fixture: { sleep: file(fs.readFileSync('/bin/sleep'), { mode: 0o755 }) },
    async run(dir) {
      const child = spawn(`${dir}/sleep`, ['100']);
      await new Promise((resolve, reject) => child.on('spawn', resolve).on('error', reject));
      try {
        fails('ETXTBSY', () => fs.openSync(`${dir}/sleep`, 'r+'));
        assert.ok(fs.readFileSync(`${dir}/sleep`).equals(fs.readFileSync('/bin/sleep')));
      } finally {
        child.kill('SIGKILL');
        await new Promise((resolve) => child.on('exit', resolve));
      }
      fs.appendFileSync(`${dir}/sleep`, 'more');
      execFileSync(`${dir}/sleep`, ['0']);
    },
  },
};
