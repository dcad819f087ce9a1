import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errnoName } from '../../fs/errno.ts';
import { ROOT_ID } from '../../fs/file-system.ts';
import { Calls } from '../../fs/transport/fuse-native-calls.ts';
import { NarrowInodes, statArray, statfsValue, timeOf } from '../../fs/transport/fuse-native-values.ts';
import { isDirectory } from '../../fs/stat.ts';
import { MemoryFileSystem } from '../helpers/memory-file-system.ts';

type Method = Exclude<keyof Calls, never>;

/** A file system and the calls on it, each as a promise; `held` is how many lookups of files are held, and fails where a directory is held more than once. */
function make(others = false): { fileSystem: MemoryFileSystem; errors: unknown[]; call: (name: Method, ...values: unknown[]) => Promise<unknown[]>; held: () => number } {
  const fileSystem = new MemoryFileSystem();
  const errors: unknown[] = [];
  const calls = new Calls({ fileSystem, caller: { uid: 5, gid: 6, pid: 0 }, others, onError: (error) => errors.push(error) });
  const held = (): number => {
    const nodes = [...fileSystem.nodes.values()];
    for (const { stat, lookups } of nodes) assert.ok(!isDirectory(stat) || lookups <= 1);
    return nodes.reduce((sum, { stat, lookups }) => sum + (isDirectory(stat) ? 0 : lookups), 0);
  };
  const call = async (name: Method, ...values: unknown[]): Promise<unknown[]> => {
    const method = calls[name] as (...values: unknown[]) => void;
    const [result, ...given] = await new Promise<unknown[]>((resolve) => method(...values, (...answer: unknown[]) => resolve(answer)));
    if ((result as number) < 0) throw new Error(errnoName(-(result as number)));
    return given.length === 0 ? [result] : given;
  };
  return { fileSystem, errors, call, held };
}

test('every call forgets all that it looked up but directories, whether it succeeds or not', async () => {
  const { fileSystem, call, held } = make();
  await call('mkdir', '/a', 0o755);
  await call('mkdir', '/a/b', 0o755);
  await call('mknod', '/a/b/f', 0o100644, 0);
  await call('symlink', 'target', '/a/l');
  await call('link', '/a/b/f', '/a/g');
  await call('chmod', '/a/b/f', 0o600);
  await call('chown', '/a/b/f', 0xffff_ffff, 7);
  await call('utimens', '/a/b/f', 1500, 2500);
  await call('truncate', '/a/b/f', 3);
  assert.deepEqual(await call('readlink', '/a/l'), ['target']);
  const [names] = await call('readdir', '/a');
  assert.deepEqual((names as string[]).filter((name) => !name.startsWith('.')).sort(), ['b', 'g', 'l']);
  await call('getattr', '/a/b/f');
  await call('rename', '/a/b/f', '/f');
  await call('unlink', '/f');
  for (const path of ['/a/none/f', '/f/none', '/a/b/none']) await assert.rejects(call('getattr', path));
  await assert.rejects(call('rmdir', '/a'), /ENOTEMPTY/);
  await assert.rejects(call('mkdir', '/a/b', 0o755), /EEXIST/);
  assert.equal(held(), 0);
  const node = [...fileSystem.nodes.values()].find(({ stat }) => stat.size === 3 && stat.gid === 7);
  assert.deepEqual([node?.stat.uid, node?.stat.mode, node?.stat.atimeSec, node?.stat.mtimeNsec], [5, 0o100600, 1, 500_000_000]);
});

test('a directory renamed, removed or replaced is found by its new path only, with all in it', async () => {
  const { call } = make();
  for (const path of ['/a', '/a/b', '/a/b/c', '/ab']) await call('mkdir', path, 0o755);
  await call('mknod', '/a/b/c/f', 0o100644, 0);
  await call('getattr', '/ab');
  await call('rename', '/a/b', '/d');
  await assert.rejects(call('getattr', '/a/b/c/f'), /ENOENT/);
  await assert.rejects(call('getattr', '/a/b'), /ENOENT/);
  await call('getattr', '/d/c/f');
  await call('unlink', '/d/c/f');
  await call('rmdir', '/d/c');
  await call('mkdir', '/d/c', 0o700);
  const [array] = await call('getattr', '/d/c');
  assert.equal((array as Uint32Array)[0], 0o40700);
  await assert.rejects(call('getattr', '/d/c/f'), /ENOENT/);
});

test('700 directories are used and only 500 stay looked up', async () => {
  const { fileSystem, call } = make();
  for (let index = 0; index < 700; index += 1) {
    await call('mkdir', `/d${index}`, 0o755);
    await call('getattr', `/d${index}`);
  }
  assert.equal([...fileSystem.nodes.values()].filter(({ lookups }) => lookups === 1).length, 500);
});

test('an open file holds its node until it is released, and its number is then used again', async () => {
  const { call, held } = make();
  const [first] = await call('create', '/f', 0o644);
  const [second] = await call('open', '/f', 0);
  assert.deepEqual([first, second, held()], [1, 2, 2]);
  assert.deepEqual(await call('write', '/f', first, Buffer.from('content'), 7, 0), [7]);
  const into = Buffer.alloc(20);
  assert.deepEqual(await call('read', '/f', second, into, 20, 3), [4]);
  assert.equal(into.subarray(0, 4).toString(), 'tent');
  await call('release', '/f', first);
  assert.deepEqual(await call('open', '/f', 0), [1]);
  for (const fd of [1, 2]) await call('release', '/f', fd);
  assert.equal(held(), 0);
  await assert.rejects(call('read', '/f', 1, into, 20, 0), /EBADF/);
});

test('what libfuse hides is removed, answers to the hidden name while it is open, and is let go with its last open file', async () => {
  const { fileSystem, call, held } = make();
  const hidden = '/.fuse_hidden0000000a0000000b';
  const [fd] = await call('create', '/f', 0o644);
  await call('rename', '/f', hidden);
  assert.deepEqual([...fileSystem.nodes.get(ROOT_ID)?.children.keys() ?? []], []);
  await call('chmod', hidden, 0o600);
  const [again] = await call('open', hidden, 0);
  await call('release', hidden, fd);
  await call('getattr', hidden);
  await call('release', hidden, again);
  assert.equal(held(), 0);
  await assert.rejects(call('getattr', hidden), /ENOENT/);
});

test('a user\'s own file of that kind of name is a file', async () => {
  const { call } = make();
  await call('mknod', '/.fuse_hidden0000000a0000000b', 0o100644, 0);
  await call('rename', '/.fuse_hidden0000000a0000000b', '/f');
  await call('rename', '/f', '/.fuse_hidden0000000a0000000c');
  await call('getattr', '/.fuse_hidden0000000a0000000c');
});

test('where others get in, setuid and setgid bits of what they make are dropped', async () => {
  for (const [others, mode] of [[false, 0o6755], [true, 0o755]] as const) {
    const { fileSystem, call } = make(others);
    await call('create', '/f', 0o106755);
    assert.equal(fileSystem.nodes.get(ROOT_ID)?.children.get('f')?.stat.mode, 0o100000 | mode);
  }
});

test('text that has lost its bytes is refused, and a mistake of the file system is EIO and told', async () => {
  const { fileSystem, errors, call } = make();
  await assert.rejects(call('mkdir', '/a\ufffd', 0o755), /EILSEQ/);
  await assert.rejects(call('symlink', '\ufffd', '/l'), /EILSEQ/);
  assert.deepEqual(errors, []);
  fileSystem.readlink = () => {
    throw new TypeError('a mistake');
  };
  await assert.rejects(call('readlink', '/'), /EIO/);
  assert.equal((errors[0] as Error).message, 'a mistake');
});

test('inode numbers of more than 32 bits get one of 32 bits each, always the same', () => {
  const inodes = new NarrowInodes();
  assert.equal(inodes.narrow(7), 7);
  const [one, other] = [inodes.narrow(2 ** 52 + 7), inodes.narrow(2 ** 52 + 2 ** 32 + 7)];
  assert.ok(one !== other && one < 2 ** 32 && other < 2 ** 32);
  assert.equal(inodes.narrow(2 ** 52 + 7), one);
});

test('values have the form fuse-native takes them in: wide numbers in halves, times in milliseconds, no times before 1970, units that fit', () => {
  const stat = { ...new MemoryFileSystem().getattr(ROOT_ID), size: 2 ** 40 + 5, nlink: 0, mtimeSec: -1, mtimeNsec: 0, ctimeSec: 2 ** 33, ctimeNsec: 999_999_999 };
  const array = statArray(stat, new NarrowInodes());
  assert.deepEqual([array[3], array[4], array[6]], [5, 256, 0]);
  assert.deepEqual([array[14], array[15]], [0, 0]);
  assert.equal(array[16] + array[17] * 2 ** 32, 2 ** 33 * 1000 + 999);
  assert.deepEqual(timeOf(-1500), { sec: -2, nsec: 500_000_000 });
  const value = statfsValue({ blocks: 2 ** 34, freeBlocks: 2 ** 33, availableBlocks: 4, files: 2 ** 40, freeFiles: 3, blockSize: 4096, fragmentSize: 4096, nameMax: 255 });
  assert.deepEqual([value['blocks'], value['bfree'], value['bavail'], value['frsize']], [2 ** 31, 2 ** 30, 0, 32768]);
});
