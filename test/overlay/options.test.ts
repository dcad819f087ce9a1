import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../../src/overlay/arguments.ts';
import { overlayMount } from '../../src/overlay/options.ts';
import type { MountSpec } from '../../src/mount/spec.ts';

const mount = (options: string): { spec: MountSpec; unknown: string[] } => overlayMount(options, '/m', '/cwd', { passthrough: 'auto', mount: {}, redirects: false });
const spec = (options: string): MountSpec => mount(`lowerdir=/l,${options}`).spec;

test('options and operands may stand in any order, -o may come several times and without a space', () => {
  const plain = { action: 'mount', debug: false, unknown: [] };
  assert.deepEqual(parseArguments(['-o', 'a,b', '/m']), { ...plain, options: 'a,b', target: '/m' });
  assert.deepEqual(parseArguments(['overlay', '/m', '-oa', '-o', 'b']), { ...plain, options: 'a,b', target: '/m' });
  assert.deepEqual(parseArguments(['-f', '/m', '-x', '--long', '-o', 'a']), { ...plain, options: 'a', target: '/m', unknown: ['-x', '--long'] });
  assert.deepEqual(parseArguments(['-d', '--', '-m']), { ...plain, debug: true, options: '', target: '-m' });
  for (const [word, action] of [['-V', 'version'], ['--version', 'version'], ['-h', 'help'], ['--help', 'help']] as const) assert.equal(parseArguments([word]).action, action);
  assert.throws(() => parseArguments(['/m', '-o']), { code: 'UFS_USAGE' });
});

test('directories are taken from the working directory, and may have colons, commas and backslashes in their names', () => {
  assert.deepEqual(mount('lowerdir=a:/b\\:c:d\\,e:f\\\\g').spec.lower, { kind: 'directories', paths: ['/cwd/a', '/b:c', '/cwd/d,e', '/cwd/f\\g'] });
  const lowers = Array.from({ length: 500 }, (_, index) => `l/${String(index).padStart(26, 'A')}`);
  assert.deepEqual(mount(`lowerdir=${lowers.join(':')}`).spec.lower, { kind: 'directories', paths: lowers.map((path) => `/cwd/${path}`) });
  for (const wrong of ['upperdir=/u,workdir=/w', 'lowerdir=', 'lowerdir=a::', 'lowerdir=/l,upperdir=/u']) assert.throws(() => mount(wrong), { code: 'UFS_USAGE' }, wrong);
});

test('what engines send is understood: empty words, contexts in quotes, maps that begin with a colon', () => {
  const sent = 'lowerdir=/l,upperdir=/u,workdir=/w,,volatile,uidmapping=:0:1:1002:1002:0:1:1003:1003:64534,gidmapping=0:5:1,context="system_u:object_r:container_file_t:s0:c1,c2",private,';
  const { spec: asked, unknown } = mount(sent);
  assert.deepEqual(unknown, []);
  assert.equal(asked.volatile, true);
  assert.deepEqual(asked.idMaps, {
    uid: [{ inside: 0, outside: 1, size: 1002 }, { inside: 1002, outside: 0, size: 1 }, { inside: 1003, outside: 1003, size: 64534 }], gid: [{ inside: 0, outside: 5, size: 1 }],
  });
  assert.deepEqual(asked.upper, { directory: '/u', work: '/w', metacopy: false, redirects: false });
  for (const wrong of ['uidmapping=1:2', 'gidmapping=a:b:c', 'uidmapping=0:0:99999999999', 'uidmapping=']) assert.throws(() => spec(wrong), { code: 'UFS_USAGE' }, wrong);
});

test('each option of fuse-overlayfs does what it says', () => {
  const cases: [string, Partial<MountSpec>][] = [
    ['ro', { mount: { readonly: true } }], ['nodev,nosuid,noexec', { mount: { nodev: true, nosuid: true, noexec: true } }], ['nosuid,suid,noatime,atime', { mount: { nosuid: false, noatime: false } }],
    ['squash_to_root', { squash: { uid: 0, gid: 0 } }], ['squash_to_uid=7', { squash: { uid: 7 } }], ['squash_to_uid=7,squash_to_gid=8', { squash: { uid: 7, gid: 8 } }],
    ['squash_to_root,squash_to_uid=7', { squash: { uid: 7, gid: 0 } }], ['squash_to_uid=7,squash_to_root', { squash: { uid: 7, gid: 0 } }],
    ['fsync=0', { volatile: true }], ['fsync=1', {}], ['writeback=0', { kernel: { writeback: false } }], ['noacl', { kernel: { acls: false } }], ['noxattrs=1', { kernel: { xattrs: false } }],
    ['noxattrs=0', {}], ['timeout=0', { kernel: { timeout: 0 } }], ['timeout=1.5,noacl', { kernel: { timeout: 1.5, acls: false } }],
  ];
  for (const [options, expected] of cases) assert.deepEqual(spec(options), { ...spec(''), ...expected }, options);
  const upper = (options: string): MountSpec['upper'] => spec(`upperdir=/u,workdir=/w,${options}`).upper;
  assert.deepEqual(upper('xattr_permissions=2,metacopy=on,redirect_dir=on,userxattr'), { directory: '/u', work: '/w', metacopy: true, redirects: true, namespace: 'user', ownersInXattrs: 'user' });
  assert.deepEqual(mount('lowerdir=/l,upperdir=/u,workdir=/w,ro').spec.lower, { kind: 'directories', paths: ['/u', '/l'] });
});

test('what means nothing here is told, not refused', () => {
  assert.deepEqual(mount('lowerdir=/l,bogus,timeout=soon,threaded=1,xino=auto,fast_ino=1,plugins=x:y,toString,max_write=1').unknown, ['bogus', 'timeout=soon', 'toString']);
});
