import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { as, directory, fails, file, node, stat, symlink, text, xattrs } from '../case.ts';
import type { PosixCases } from '../case.ts';
import { S_IFIFO } from '../../../fs/stat.ts';
import { withGroups, xattrLength, xattrListLength } from '../system.ts';
import { ACCESS, acl, DEFAULT, GROUP, GROUP_OBJ, ifSupported, MASK, OTHER, USER, USER_OBJ } from './acls.ts';

const U = 54_321;
const G = 54_322;

/** What a shell of a user without any capability says; `as` takes only those over files. */
function asStranger(script: string): string {
  return execFileSync('setpriv', [`--reuid=${U}`, `--regid=${G}`, '--clear-groups', 'sh', '-c', `exec 2>&1; ${script}; true`], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
}

export const xattrLimitCases: PosixCases = {
  'a value and a list tell their length for no room, and are ERANGE for too little': {
    fixture: { f: file('x', { xattrs: { 'user.a': Buffer.from('12345') } }) },
    run(dir) {
      const name = `${dir}/f`;
      assert.deepEqual([xattrLength(name, 'user.a', 0), xattrLength(name, 'user.a', 5), xattrLength(name, 'user.a', 100)], [5, 5, 5]);
      fails('ERANGE', () => xattrLength(name, 'user.a', 4));
      const length = xattrListLength(name, 0);
      assert.ok(length >= 'user.a\0'.length);
      assert.deepEqual([xattrListLength(name, length), xattrListLength(name, length + 100)], [length, length]);
      fails('ERANGE', () => xattrListLength(name, length - 1));
      fails('ENODATA', () => xattrLength(name, 'user.none', 0));
    },
  },
  'a value over 64 KiB is E2BIG': {
    fixture: { f: file('x') },
    run(dir) {
      fails('E2BIG', () => xattrs.set(`${dir}/f`, 'user.big', Buffer.alloc(65_537)));
      assert.deepEqual(xattrs.list(`${dir}/f`), []);
    },
  },
  'an xattr\'s name can have any byte and 255 of them, and needs something behind its class': {
    fixture: { f: file('x') },
    run(dir) {
      const long = `user.${'n'.repeat(250)}`;
      xattrs.set(`${dir}/f`, long, '1');
      xattrs.set(`${dir}/f`, 'user.a=b c\n', '2');
      assert.deepEqual(xattrs.list(`${dir}/f`), ['user.a=b c\n', long]);
      assert.equal(xattrs.get(`${dir}/f`, long)?.toString(), '1');
      fails('EINVAL', () => xattrs.set(`${dir}/f`, 'user.', '1'));
      fails('EOPNOTSUPP', () => xattrs.set(`${dir}/f`, 'system.unknown', '1'));
    },
  },
  'xattr calls on what isn\'t there are ENOENT, ENOTDIR': {
    fixture: { f: file() },
    run(dir) {
      fails('ENOENT', () => xattrLength(`${dir}/none`, 'user.a', 0));
      fails('ENOENT', () => xattrListLength(`${dir}/none`, 0));
      fails('ENOTDIR', () => xattrLength(`${dir}/f/x`, 'user.a', 0));
    },
  },
  'user xattrs on a fifo are EPERM, in a sticky directory of another too': {
    root: true,
    fixture: { p: node(S_IFIFO), t: directory({ mode: 0o1777 }) },
    run(dir) {
      fails('EPERM', () => xattrs.set(`${dir}/p`, 'user.a', 'b'));
      as(U, G, () => fails('EPERM', () => xattrs.set(`${dir}/t`, 'user.a', 'b')));
    },
  },
  'many xattrs are kept, each by itself': {
    fixture: { f: file('x', { xattrs: Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`user.${index}`, Buffer.from(`value ${index}`)])) }) },
    run(dir) {
      for (let index = 0; index < 20; index += 2) xattrs.remove(`${dir}/f`, `user.${index}`);
      xattrs.set(`${dir}/f`, 'user.1', 'changed');
      assert.deepEqual(xattrs.list(`${dir}/f`), Array.from({ length: 10 }, (_, index) => `user.${2 * index + 1}`).sort());
      assert.deepEqual([xattrs.get(`${dir}/f`, 'user.1')?.toString(), xattrs.get(`${dir}/f`, 'user.19')?.toString()], ['changed', 'value 19']);
    },
  },
  'security xattrs other than capabilities are kept, and root\'s to change': {
    hostRoot: true,
    fixture: { f: file('x', { mode: 0o666, xattrs: { 'security.note': Buffer.from('1') } }), l: symlink('f') },
    run(dir) {
      assert.match(asStranger(`getfattr --absolute-names --only-values -n security.note ${dir}/f; setfattr -n security.note -v 2 ${dir}/f`), /^1.*Operation not permitted\n$/s);
      xattrs.set(`${dir}/f`, 'security.note', '3');
      xattrs.set(`${dir}/l`, 'security.note', '4');
      assert.deepEqual([xattrs.get(`${dir}/f`, 'security.note')?.toString(), xattrs.get(`${dir}/l`, 'security.note')?.toString()], ['3', '4']);
    },
  },
  'trusted xattrs are neither told, shown nor set to those without rights': {
    hostRoot: true,
    fixture: { f: file('x', { mode: 0o666, xattrs: { 'trusted.mine': Buffer.from('1'), 'user.all': Buffer.from('2') } }) },
    run(dir) {
      assert.match(asStranger(`getfattr -n trusted.mine ${dir}/f`), /No such attribute/);
      assert.match(asStranger(`setfattr -n trusted.mine -v 2 ${dir}/f`), /Operation not permitted/);
      assert.deepEqual(asStranger(`getfattr -m - --absolute-names ${dir}/f`).trim().split('\n'), [`# file: ${dir}/f`, 'user.all']);
      assert.deepEqual(xattrs.list(`${dir}/f`), ['trusted.mine', 'user.all']);
    },
  },
  ...ifSupported('ACLs', {
    'what getfacl shows is what setfacl set, and chmod changes its mask': {
      root: true,
      fixture: { f: file('x', { mode: 0o640 }), d: directory() },
      run(dir) {
        const get = (name: string): string[] => execFileSync('getfacl', ['-cnpE', `${dir}/${name}`], { encoding: 'utf8' }).trim().split('\n');
        execFileSync('setfacl', ['-m', `u:${U}:rw,g:${G}:r`, `${dir}/f`]);
        assert.deepEqual(get('f'), ['user::rw-', `user:${U}:rw-`, 'group::r--', `group:${G}:r--`, 'mask::rw-', 'other::---']);
        fs.chmodSync(`${dir}/f`, 0o600);
        assert.equal(get('f')[4], 'mask::---');
        as(U, G, () => fails('EACCES', () => text(`${dir}/f`)));
        fs.chmodSync(`${dir}/f`, 0o644);
        as(U, G, () => assert.equal(text(`${dir}/f`), 'x'));
        execFileSync('setfacl', ['-d', '-m', `u:${U}:rwx`, `${dir}/d`]);
        assert.deepEqual(get('d').slice(3), ['default:user::rwx', `default:user:${U}:rwx`, 'default:group::r-x', 'default:mask::rwx', 'default:other::r-x']);
        fs.writeFileSync(`${dir}/d/in`, '', { mode: 0o600 });
        assert.deepEqual(get('d/in'), ['user::rw-', `user:${U}:rwx`, 'group::r-x', 'mask::---', 'other::---']);
        execFileSync('setfacl', ['-k', `${dir}/d`]);
        assert.equal(get('d').length, 3);
        execFileSync('setfacl', ['-b', `${dir}/f`]);
        assert.equal(get('f').length, 3);
      },
    },
    'an ACL lets a named group in, by a supplementary group too, and refuses a named user': {
      root: true,
      fixture: { f: file('x', { mode: 0o640, xattrs: { [ACCESS]: acl([USER_OBJ, 6], [USER, 0, U + 1], [GROUP_OBJ, 0], [GROUP, 4, G], [MASK, 4], [OTHER, 4]) } }) },
      run(dir) {
        as(U, G, () => assert.equal(text(`${dir}/f`), 'x'));
        as(U + 1, G, () => fails('EACCES', () => text(`${dir}/f`)));
        withGroups([1, G], () => as(U, G + 1, () => fails('EACCES', () => fs.appendFileSync(`${dir}/f`, 'y'))));
        withGroups([1], () => as(U, G + 1, () => assert.equal(text(`${dir}/f`), 'x')));
        as(U, 0, () => fails('EACCES', () => text(`${dir}/f`)));
      },
    },
    'a default ACL goes down through directories, past the umask, to all that is made': {
      root: true,
      fixture: { d: directory({ xattrs: { [DEFAULT]: acl([USER_OBJ, 7], [USER, 7, U], [GROUP_OBJ, 7], [MASK, 7], [OTHER, 1]) } }) },
      run(dir) {
        execFileSync('sh', ['-c', 'umask 077; mkdir a; mkdir a/b; : >a/b/f; mkfifo a/b/p; ln -s f a/b/l'], { cwd: `${dir}/d` });
        assert.deepEqual(xattrs.get(`${dir}/d/a/b`, DEFAULT), xattrs.get(`${dir}/d`, DEFAULT));
        assert.deepEqual(['a', 'a/b', 'a/b/f', 'a/b/p'].map((name) => stat(`${dir}/d/${name}`).mode & 0o777n), [0o771n, 0o771n, 0o660n, 0o660n]);
        assert.deepEqual(xattrs.get(`${dir}/d/a/b/f`, ACCESS), acl([USER_OBJ, 6], [USER, 7, U], [GROUP_OBJ, 7], [MASK, 6], [OTHER, 0]));
        assert.deepEqual(xattrs.list(`${dir}/d/a/b/l`), []);
        xattrs.remove(`${dir}/d/a`, DEFAULT);
        execFileSync('sh', ['-c', 'umask 077; mkdir a/c'], { cwd: `${dir}/d` });
        assert.deepEqual([xattrs.get(`${dir}/d/a/c`, DEFAULT), stat(`${dir}/d/a/c`).mode & 0o777n], [undefined, 0o700n]);
      },
    },
    'an ACL that is none is EINVAL, a default one of a file EACCES, and only the owner sets one': {
      root: true,
      fixture: { f: file('x', { mode: 0o666 }), d: directory() },
      run(dir) {
        const good = acl([USER_OBJ, 6], [USER, 4, U], [GROUP_OBJ, 0], [MASK, 4], [OTHER, 0]);
        fails('EINVAL', () => xattrs.set(`${dir}/f`, ACCESS, acl([USER_OBJ, 6], [USER, 4, U], [GROUP_OBJ, 0], [OTHER, 0])));
        fails('EINVAL', () => xattrs.set(`${dir}/f`, ACCESS, good.subarray(0, 15)));
        fails('EACCES', () => xattrs.set(`${dir}/f`, DEFAULT, good));
        as(U, G, () => fails('EPERM', () => xattrs.set(`${dir}/f`, ACCESS, good)));
        assert.deepEqual(xattrs.list(`${dir}/f`), []);
      },
    },
  }),
};
