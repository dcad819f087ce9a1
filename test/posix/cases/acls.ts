import assert from 'node:assert/strict';
import fs from 'node:fs';
import { hasCode } from '../../../fs/errno.ts';
import { as, directory, fails, file, permissions, text, xattrs } from '../case.ts';
import type { PosixCase, PosixCases } from '../case.ts';

const U = 54_321;
const G = 54_322;

/** Entries of a POSIX ACL as its xattr has them (linux/posix_acl_xattr.h). */
export function acl(...entries: [tag: number, permissions: number, id?: number][]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2, 0);
  for (const [index, [tag, bits, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * index);
    bytes.writeUInt16LE(bits, 6 + 8 * index);
    bytes.writeUInt32LE(id ?? 0xffffffff, 8 + 8 * index);
  }
  return bytes;
}

export const [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER] = [1, 2, 4, 8, 16, 32] as const;
export const ACCESS = 'system.posix_acl_access';
export const DEFAULT = 'system.posix_acl_default';

/** Cases that are skipped where the file system below knows no such thing. */
export function ifSupported(what: string, cases: PosixCases): PosixCases {
  const guarded = ({ run, ...definition }: PosixCase): PosixCase => ({
    ...definition,
    async run(dir) {
      try {
        return await run(dir);
      } catch (error) {
        if (hasCode(error, 'EOPNOTSUPP')) return `the file system has no ${what}`;
        throw error;
      }
    },
  });
  return Object.fromEntries(Object.entries(cases).map(([title, definition]) => [title, guarded(definition)]));
}

export const aclCases: PosixCases = ifSupported('ACLs', {
  'an ACL lets a named user in, and shows in the group bits': {
    root: true,
    fixture: { f: file('x', { mode: 0o600 }) },
    run(dir) {
      as(U, G, () => fails('EACCES', () => text(`${dir}/f`)));
      const value = acl([USER_OBJ, 6], [USER, 4, U], [GROUP_OBJ, 0], [MASK, 4], [OTHER, 0]);
      xattrs.set(`${dir}/f`, ACCESS, value);
      assert.deepEqual(xattrs.get(`${dir}/f`, ACCESS), value);
      assert.equal(permissions(`${dir}/f`), 0o640);
      as(U, G, () => {
        assert.equal(text(`${dir}/f`), 'x');
        fails('EACCES', () => fs.appendFileSync(`${dir}/f`, 'y'));
      });
      as(U + 1, G, () => fails('EACCES', () => text(`${dir}/f`)));
    },
  },
  'an ACL there before is obeyed, and kept over changes of the file': {
    root: true,
    fixture: { f: file('x', { mode: 0o600, xattrs: { [ACCESS]: acl([USER_OBJ, 6], [USER, 6, U], [GROUP_OBJ, 0], [MASK, 6], [OTHER, 0]) } }) },
    run(dir) {
      as(U, G, () => fs.appendFileSync(`${dir}/f`, 'y'));
      fs.renameSync(`${dir}/f`, `${dir}/g`);
      as(U, G, () => assert.equal(text(`${dir}/g`), 'xy'));
      fs.chmodSync(`${dir}/g`, 0o600);
      as(U, G, () => fails('EACCES', () => text(`${dir}/g`)));
    },
  },
  'a default ACL is inherited by what is made in the directory': {
    root: true,
    fixture: { d: directory({ xattrs: { [DEFAULT]: acl([USER_OBJ, 7], [USER, 6, U], [GROUP_OBJ, 5], [MASK, 7], [OTHER, 0]) } }) },
    run(dir) {
      fs.writeFileSync(`${dir}/d/f`, 'x', { mode: 0o666 });
      fs.mkdirSync(`${dir}/d/e`, 0o777);
      assert.deepEqual(xattrs.get(`${dir}/d/e`, DEFAULT), xattrs.get(`${dir}/d`, DEFAULT));
      assert.deepEqual(xattrs.get(`${dir}/d/f`, ACCESS), acl([USER_OBJ, 6], [USER, 6, U], [GROUP_OBJ, 5], [MASK, 6], [OTHER, 0]));
      assert.equal(permissions(`${dir}/d/f`), 0o660);
      as(U, G, () => fs.appendFileSync(`${dir}/d/f`, 'y'));
    },
  },
  'a removed ACL leaves the mode': {
    root: true,
    fixture: { f: file('x') },
    run(dir) {
      xattrs.set(`${dir}/f`, ACCESS, acl([USER_OBJ, 6], [USER, 4, U], [GROUP_OBJ, 0], [MASK, 4], [OTHER, 0]));
      xattrs.remove(`${dir}/f`, ACCESS);
      assert.equal(xattrs.get(`${dir}/f`, ACCESS), undefined);
      as(U, G, () => fails('EACCES', () => text(`${dir}/f`)));
    },
  },
});
