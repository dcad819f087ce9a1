import assert from 'node:assert/strict';
import fs from 'node:fs';
import { utimensAt, utimensFd } from '../../../fs/host/attributes.ts';
import { AT_FDCWD } from '../../../fs/host/constants.ts';
import { directory, file, passTime, setOldTime, stat, symlink, withFile } from '../case.ts';
import type { PosixCases } from '../case.ts';

const mtime = { sec: 1_234_567_890, nsec: 987_654_321 };
const mtimeNs = 1_234_567_890_987_654_321n;

export const timeCases: PosixCases = {
  'mtimes are there to the nanosecond': {
    fixture: { f: file('x', { mtime }), d: directory({ mtime }) },
    run(dir) {
      assert.equal(stat(`${dir}/f`).mtimeNs, mtimeNs);
      assert.equal(stat(`${dir}/d`).mtimeNs, mtimeNs);
    },
  },
  'a change of mode or owner keeps the mtime and updates the ctime': {
    fixture: { f: file('x', { mtime }), d: directory({ mtime }) },
    run(dir) {
      for (const name of [`${dir}/f`, `${dir}/d`]) {
        const { ctimeNs } = stat(name);
        passTime();
        fs.chmodSync(name, 0o711);
        const changed = stat(name);
        assert.equal(changed.mtimeNs, mtimeNs);
        assert.ok(changed.ctimeNs > ctimeNs);
      }
    },
  },
  'atime and mtime are set apart, to the nanosecond, each alone too': {
    fixture: { f: file('x'), d: directory(), l: symlink('f') },
    run(dir) {
      for (const name of ['f', 'd', 'l']) {
        const at = `${dir}/${name}`;
        utimensAt(AT_FDCWD, at, { sec: 100, nsec: 1 }, { sec: 200, nsec: 999_999_999 });
        assert.deepEqual([stat(at).atimeNs, stat(at).mtimeNs], [100_000_000_001n, 200_999_999_999n]);
        utimensAt(AT_FDCWD, at, undefined, { sec: 300, nsec: 2 });
        assert.deepEqual([stat(at).atimeNs, stat(at).mtimeNs], [100_000_000_001n, 300_000_000_002n]);
        utimensAt(AT_FDCWD, at, { sec: 400, nsec: 3 }, undefined);
        assert.deepEqual([stat(at).atimeNs, stat(at).mtimeNs], [400_000_000_003n, 300_000_000_002n]);
      }
    },
  },
  'times before 1970 and after 2038 are kept': {
    fixture: { f: file('x') },
    run(dir) {
      utimensAt(AT_FDCWD, `${dir}/f`, { sec: -5, nsec: 500_000_000 }, { sec: 2 ** 32 + 7, nsec: 1 });
      assert.deepEqual([stat(`${dir}/f`).atimeNs, stat(`${dir}/f`).mtimeNs], [-4_500_000_000n, 4_294_967_303_000_000_001n]);
    },
  },
  'times set to now are now': {
    fixture: { f: file('x', { mtime }) },
    run(dir) {
      const before = BigInt(Date.now()) * 1_000_000n - 20_000_000n;
      utimensAt(AT_FDCWD, `${dir}/f`, 'now', 'now');
      assert.ok(stat(`${dir}/f`).mtimeNs >= before);
      assert.ok(stat(`${dir}/f`).atimeNs >= before);
    },
  },
  'times are set through a descriptor, and kept when it is closed': {
    fixture: { f: file('x') },
    run(dir) {
      withFile(`${dir}/f`, 'r+', (fd) => {
        fs.writeSync(fd, 'y');
        utimensFd(fd, { sec: 1, nsec: 2 }, { sec: 3, nsec: 4 });
        assert.equal(fs.fstatSync(fd, { bigint: true }).mtimeNs, 3_000_000_004n);
      });
      assert.equal(stat(`${dir}/f`).mtimeNs, 3_000_000_004n);
    },
  },
  'writing updates mtime and ctime': {
    fixture: { f: file('x', { mtime }) },
    run(dir) {
      const { ctimeNs } = stat(`${dir}/f`);
      passTime();
      withFile(`${dir}/f`, 'r+', (fd) => {
        fs.writeSync(fd, 'y');
        assert.ok(fs.fstatSync(fd, { bigint: true }).mtimeNs > mtimeNs);
      });
      const now = stat(`${dir}/f`);
      assert.ok(now.mtimeNs > mtimeNs);
      assert.ok(now.ctimeNs > ctimeNs);
    },
  },
  'opening for writing alone keeps the mtime': {
    fixture: { f: file('x', { mtime }) },
    run(dir) {
      withFile(`${dir}/f`, 'r+', () => undefined);
      withFile(`${dir}/f`, 'a', () => undefined);
      assert.equal(stat(`${dir}/f`).mtimeNs, mtimeNs);
    },
  },
  'truncating updates the mtime, also to 0 and to more': {
    fixture: { f: file('content') },
    run(dir) {
      for (const size of [3, 100, 0]) {
        const old = setOldTime(`${dir}/f`);
        fs.truncateSync(`${dir}/f`, size);
        assert.ok(stat(`${dir}/f`).mtimeNs > old, `truncate to ${size}`);
      }
    },
  },
  'each way to make a name updates the parent\'s mtime and ctime': {
    fixture: { d: directory(), f: file() },
    run(dir) {
      const ways: (() => void)[] = [
        () => fs.writeFileSync(`${dir}/d/file`, ''), () => fs.mkdirSync(`${dir}/d/directory`), () => fs.symlinkSync('x', `${dir}/d/symlink`),
        () => fs.linkSync(`${dir}/f`, `${dir}/d/link`), () => fs.renameSync(`${dir}/d/file`, `${dir}/d/renamed`),
      ];
      for (const way of ways) {
        const old = setOldTime(`${dir}/d`);
        way();
        assert.ok(stat(`${dir}/d`).mtimeNs > old, String(way));
        assert.ok(stat(`${dir}/d`).ctimeNs > old, String(way));
      }
    },
  },
  'what happens inside a file or a sub-directory leaves the parent\'s mtime': {
    fixture: { d: directory(), 'd/f': file('x'), 'd/e': directory() },
    run(dir) {
      const old = setOldTime(`${dir}/d`);
      fs.appendFileSync(`${dir}/d/f`, 'y');
      fs.chmodSync(`${dir}/d/f`, 0o600);
      fs.writeFileSync(`${dir}/d/e/g`, '');
      assert.equal(stat(`${dir}/d`).mtimeNs, old);
    },
  },
};
