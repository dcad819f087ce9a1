import assert from 'node:assert/strict';
import fs from 'node:fs';
import { copyFileRange, fallocate } from '../../../fs/host/file.ts';
import { as, directory, fails, file, permissions, stat, symlink, text, withFile, xattrs } from '../case.ts';
import type { Fixture, PosixCases } from '../case.ts';
import { accessAs, MAP_SHARED, PROT_READ, PROT_WRITE, withGroups, withMapping } from '../system.ts';

const U = 54_321;
const G = 54_322;
const OTHER = 54_399;
const { R_OK, W_OK, X_OK } = fs.constants;

/** CAP_NET_RAW, permitted and effective, as VFS_CAP_REVISION_2. */
const CAPABILITY = { 'security.capability': Buffer.from('0100000200200000000000000000000000000000', 'hex') };
/** One file and one directory for each mode. */
const everyMode: Fixture = Object.fromEntries(Array.from({ length: 8 }, (_, bits) => bits).flatMap((bits) => ['owner', 'group', 'other'].map((who, index) => {
  const shift = 6 - 3 * index;
  // What the others may is the opposite: only one class counts.
  return [`${who}-${bits}`, file('#!/bin/sh\n', { mode: 0o777 & ~(7 << shift) | (bits << shift), uid: who === 'owner' ? U : OTHER, gid: who === 'group' ? G : OTHER })] as const;
})));

export const privilegeCases: PosixCases = {
  'owner, group and others may what their three bits say, and only these': {
    root: true,
    fixture: everyMode,
    run(dir) {
      for (const who of ['owner', 'group', 'other']) {
        for (let bits = 0; bits < 8; bits++) {
          const name = `${dir}/${who}-${bits}`;
          as(U, G, () => {
            for (const [mode, open] of [[R_OK, 'r'], [W_OK, fs.constants.O_WRONLY], [X_OK, undefined]] as const) {
              const allowed = (bits & mode) !== 0;
              if (allowed) accessAs(name, mode);
              else fails('EACCES', () => accessAs(name, mode));
              if (open === undefined) continue;
              if (allowed) fs.closeSync(fs.openSync(name, open));
              else fails('EACCES', () => fs.openSync(name, open));
            }
          });
        }
      }
    },
  },
  'access by root: all but running what nobody may run': {
    root: true,
    fixture: { f: file('', { mode: 0 }), x: file('', { mode: 0o001 }), d: directory({ mode: 0 }) },
    run(dir) {
      accessAs(`${dir}/f`, R_OK | W_OK);
      fails('EACCES', () => accessAs(`${dir}/f`, X_OK));
      accessAs(`${dir}/x`, X_OK);
      accessAs(`${dir}/d`, R_OK | W_OK | X_OK);
    },
  },
  'a directory is listed by r, looked through by x, changed by w and x': {
    root: true,
    fixture: Object.fromEntries(Array.from({ length: 8 }, (_, bits) => bits).flatMap((bits) => [[`${bits}`, directory({ mode: bits, uid: OTHER, gid: OTHER })], [`${bits}/f`, file('x')]])),
    run(dir) {
      for (let bits = 0; bits < 8; bits++) {
        as(U, G, () => {
          const check = (allowed: boolean, act: () => unknown): void => (allowed ? void act() : fails('EACCES', act));
          check((bits & 4) !== 0, () => fs.readdirSync(`${dir}/${bits}`));
          check((bits & 1) !== 0, () => fs.statSync(`${dir}/${bits}/f`));
          check((bits & 3) === 3, () => fs.writeFileSync(`${dir}/${bits}/new`, ''));
          check((bits & 3) === 3, () => fs.renameSync(`${dir}/${bits}/f`, `${dir}/${bits}/g`));
          check((bits & 3) === 3, () => fs.unlinkSync(`${dir}/${bits}/${(bits & 3) === 3 ? 'g' : 'f'}`));
        });
      }
    },
  },
  'supplementary groups count as the group': {
    root: true,
    fixture: { f: file('x', { mode: 0o640, gid: G }), d: directory({ mode: 0o770, gid: G }), s: directory({ mode: 0o2770, gid: G }) },
    run(dir) {
      as(U, OTHER, () => fails('EACCES', () => text(`${dir}/f`)));
      withGroups([1, G, 2], () => as(U, OTHER, () => {
        assert.equal(text(`${dir}/f`), 'x');
        fails('EACCES', () => fs.appendFileSync(`${dir}/f`, 'y'));
        fs.writeFileSync(`${dir}/d/mine`, '', { mode: 0o2755 });
        fs.chownSync(`${dir}/d/mine`, U, G);
        fails('EPERM', () => fs.chownSync(`${dir}/d/mine`, U, 3));
        fs.chmodSync(`${dir}/d/mine`, 0o2755);
        fs.closeSync(fs.openSync(`${dir}/s/member`, 'w', 0o2775));
      }));
      assert.deepEqual([permissions(`${dir}/d/mine`), stat(`${dir}/d/mine`).gid], [0o2755, BigInt(G)]);
      // Who belongs to the directory's group may make setgid programs there.
      assert.deepEqual([permissions(`${dir}/s/member`), stat(`${dir}/s/member`).gid], [0o2775, BigInt(G)]);
    },
  },
  'setuid, setgid and capabilities go with each way to change data': {
    root: true,
    fixture: Object.fromEntries(['write', 'truncate', 'open', 'fallocate'].flatMap((way) => [
      [way, file('content', { mode: 0o6777 })], [`${way}-capable`, file('content', { mode: 0o777, xattrs: CAPABILITY })],
    ])),
    run(dir) {
      const ways: Record<string, (name: string) => void> = {
        write: (name) => withFile(name, 'r+', (fd) => fs.writeSync(fd, 'x')),
        truncate: (name) => fs.truncateSync(name, 3),
        open: (name) => withFile(name, 'w', () => undefined),
        fallocate: (name) => withFile(name, 'r+', (fd) => fallocate(fd, 0, 0, 1000)),
      };
      for (const [way, change] of Object.entries(ways)) {
        as(U, G, () => {
          change(`${dir}/${way}`);
          change(`${dir}/${way}-capable`);
        });
        assert.equal(permissions(`${dir}/${way}`), 0o777, way);
        assert.equal(xattrs.get(`${dir}/${way}-capable`, 'security.capability'), undefined, `capability after ${way}`);
      }
    },
  },
  'copy_file_range by a user clears setuid and setgid of the target': {
    root: true,
    fixture: { from: file('content'), to: file('content', { mode: 0o6777 }) },
    run(dir) {
      as(U, G, () => withFile(`${dir}/from`, 'r', (from) => withFile(`${dir}/to`, 'r+', (to) => copyFileRange(from, 0, to, 3, 4))));
      assert.deepEqual([permissions(`${dir}/to`), text(`${dir}/to`)], [0o777, 'concont']);
    },
  },
  'chown clears setuid although nothing changes, also by root': {
    root: true,
    fixture: { f: file('x', { mode: 0o4755 }), mine: file('x', { mode: 0o6755, uid: U, gid: G }), l: symlink('f') },
    run(dir) {
      fs.lchownSync(`${dir}/l`, 0, 0);
      assert.equal(permissions(`${dir}/f`), 0o4755);
      const { uid, gid } = fs.statSync(`${dir}/f`);
      fs.chownSync(`${dir}/f`, uid, gid);
      as(U, G, () => fs.chownSync(`${dir}/mine`, U, G));
      assert.deepEqual([permissions(`${dir}/f`), permissions(`${dir}/mine`)], [0o755, 0o755]);
    },
  },
  'chmod, link, rename and reading keep setuid, setgid and capabilities': {
    root: true,
    fixture: { f: file('x', { mode: 0o6711, xattrs: CAPABILITY }) },
    run(dir) {
      fs.chmodSync(`${dir}/f`, 0o6755);
      fs.linkSync(`${dir}/f`, `${dir}/g`);
      fs.renameSync(`${dir}/g`, `${dir}/h`);
      fs.utimesSync(`${dir}/h`, 1, 1);
      text(`${dir}/h`);
      withFile(`${dir}/h`, 'r+', () => undefined);
      assert.equal(permissions(`${dir}/f`), 0o6755);
      assert.deepEqual(xattrs.get(`${dir}/h`, 'security.capability'), CAPABILITY['security.capability']);
    },
  },
  'a write through a mapping is allowed by the open, not by the mode at that time': {
    root: true,
    fixture: { f: file('x'.repeat(4096), { mode: 0o666 }) },
    run(dir) {
      const fd = as(U, G, () => fs.openSync(`${dir}/f`, 'r+'));
      fs.chmodSync(`${dir}/f`, 0o400);
      try {
        as(U, G, () => withMapping(fd, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, (bytes) => void (bytes[0] = 121)));
        as(U, G, () => fs.writeSync(fd, 'z', 1));
      } finally {
        fs.closeSync(fd);
      }
      assert.equal(text(`${dir}/f`).slice(0, 3), 'yzx');
    },
  },
  'who owns a sticky directory removes what others have there': {
    root: true,
    fixture: { t: directory({ mode: 0o1777, uid: U }), 't/other': file('', { uid: OTHER }), 't/d': directory({ uid: OTHER }) },
    run(dir) {
      as(U, G, () => {
        fs.unlinkSync(`${dir}/t/other`);
        fs.rmdirSync(`${dir}/t/d`);
      });
    },
  },
  'setgid goes down through directories made in directories': {
    root: true,
    fixture: { d: directory({ mode: 0o2777, gid: G }) },
    run(dir) {
      as(U, OTHER, () => {
        fs.mkdirSync(`${dir}/d/a/b/c`, { recursive: true });
        fs.writeFileSync(`${dir}/d/a/b/c/f`, '');
      });
      assert.deepEqual(['a', 'a/b', 'a/b/c'].map((name) => permissions(`${dir}/d/${name}`) & 0o2000), [0o2000, 0o2000, 0o2000]);
      assert.equal(stat(`${dir}/d/a/b/c/f`).gid, BigInt(G));
    },
  },
};
