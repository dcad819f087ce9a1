import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { extract } from 'tar-stream';
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG, S_IFSOCK } from '../../fs/stat.ts';
import { packLayer, type PackEntry } from '../../src/archive/pack.ts';
import type { Attributes } from '../../src/tree/change.ts';
import { archive, file, link } from './build-archive.ts';
import { apply, chunks, collect, describe } from './memory-content.ts';
import { needs, run } from './tools.ts';

function attributes(mode: number, more: Partial<Attributes> = {}): Attributes {
  return { mode, uid: 0, gid: 0, size: 0, mtimeSec: 1_700_000_000, mtimeNsec: 0, rdevMajor: 0, rdevMinor: 0, xattrs: new Map(), ...more };
}

const directory = mkdtempSync(join(tmpdir(), 'ufs-pack-'));
process.on('exit', () => rmSync(directory, { recursive: true }));

function data(text: string | Buffer): { attributes: Attributes; data: () => { fd: number; size: number } } {
  const bytes = Buffer.from(text as string);
  return {
    attributes: attributes(S_IFREG | 0o644, { size: bytes.length }),
    data: () => {
      writeFileSync(join(directory, 'data'), bytes);
      return { fd: openSync(join(directory, 'data'), 'r'), size: bytes.length };
    },
  };
}

const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const ENTRIES: PackEntry[] = [
  { kind: 'inode', path: 'd', attributes: attributes(S_IFDIR | 0o1777, { uid: 3_000_000, gid: 7 }) },
  { kind: 'inode', path: 'd/big', ...data(Buffer.alloc(1_000_000, 'x')) },
  { kind: 'whiteout', path: 'd/gone' },
  { kind: 'inode', path: 'd/linked', attributes: attributes(S_IFREG | 0o644, { size: 1_000_000 }), linkTo: 'd/big' },
  { kind: 'inode', path: 'dev', attributes: attributes(S_IFCHR | 0o600, { rdevMajor: 1, rdevMinor: 3 }) },
  { kind: 'inode', path: 'l', attributes: attributes(S_IFLNK | 0o777, { size: 120, target: 't'.repeat(120) }) },
  { kind: 'inode', path: `${'long/'.repeat(40)}caf\xe9`, ...data('long') },
  { kind: 'inode', path: 'x', attributes: attributes(S_IFREG | 0o755, { mtimeNsec: 123_000_000, xattrs: new Map([['security.capability', CAPABILITY], ['user.e', Buffer.alloc(0)], ['user.overlay.x', CAPABILITY], ['trusted.x', CAPABILITY]]) }) },
];

test('what is packed is applied to the same tree', async () => {
  const { root, content } = await apply(packLayer(ENTRIES));
  assert.deepEqual(describe(root, content), [
    'd 1777 3000000:7 d', '- 644 0:0 d/big =1000000', 'w d/gone', '- 644 0:0 d/linked =1000000', 'c 600 0:0 dev 1:3', `l 777 0:0 l ->${'t'.repeat(120)}`,
    ...Array.from({ length: 40 }, (_, index) => `i ${'long/'.repeat(index + 1).slice(0, -1)}`), `- 644 0:0 ${'long/'.repeat(40)}caf\xe9 =long`, '- 755 0:0 x',
  ]);
  assert.equal(root.children?.get('d')?.children?.get('big')?.inode, root.children?.get('d')?.children?.get('linked')?.inode);
});

test('only portable xattrs are packed, to the byte', async () => {
  const { root } = await apply(packLayer(ENTRIES));
  assert.deepEqual([...(root.children?.get('x')?.inode?.attributes.xattrs ?? [])], [['security.capability', CAPABILITY], ['user.e', Buffer.alloc(0)]]);
});

test('nanoseconds are cut off, and kept where asked for', async () => {
  const time = async (nanoseconds: boolean): Promise<unknown> => {
    const inode = (await apply(packLayer(ENTRIES, { nanoseconds }))).root.children?.get('x')?.inode;
    return [inode?.attributes.mtimeSec, inode?.attributes.mtimeNsec];
  };
  assert.deepEqual([await time(false), await time(true)], [[1_700_000_000, 0], [1_700_000_000, 123_000_000]]);
});

test('the same entries give the same bytes', async () => {
  assert.ok((await collect(packLayer(ENTRIES))).equals(await collect(packLayer(ENTRIES))));
});

test('GNU tar lists what is packed', needs('/usr/bin/tar'), async () => {
  const lines = run('/usr/bin/tar', ['tvf', '-', '--full-time', '--utc', '--numeric-owner', '--quoting-style=escape'], { input: await collect(packLayer(ENTRIES, { nanoseconds: true })) }).toString().trim().split('\n');
  const words = lines.map((line) => line.replace(/ +/g, ' '));
  assert.equal(words.length, ENTRIES.length);
  assert.equal(words[0], 'drwxrwxrwt 3000000/7 0 2023-11-14 22:13:20 d/');
  assert.equal(words[2], '---------- 0/0 0 1970-01-01 00:00:00 d/.wh.gone');
  assert.equal(words[3], 'hrw-r--r-- 0/0 0 2023-11-14 22:13:20 d/linked link to d/big');
  assert.equal(words[4], 'crw------- 0/0 1,3 2023-11-14 22:13:20 dev');
  assert.match(words[6], /caf\\351$/);
  assert.match(words[7], /22:13:20\.1230* x$/);
});

test('bsdtar lists the same names as GNU tar', needs('/usr/bin/tar', '/usr/bin/bsdtar'), async () => {
  const input = await collect(packLayer(ENTRIES.filter(({ path }) => !path.includes('\xe9'))));
  assert.equal(run('/usr/bin/bsdtar', ['tf', '-'], { input }).toString(), run('/usr/bin/tar', ['tf', '-'], { input }).toString());
});

test('tar-stream reads what is packed', async () => {
  const names: string[] = [];
  const reader = extract();
  reader.on('entry', (header, stream, next) => {
    names.push(`${header.type} ${header.name} ${header.size}`);
    stream.on('end', () => next(undefined)).resume();
  });
  const done = new Promise<void>((resolve, reject) => void reader.on('finish', () => resolve()).on('error', reject));
  for await (const piece of packLayer(ENTRIES.slice(0, 5))) reader.write(piece);
  reader.end(Buffer.alloc(0));
  await done;
  assert.deepEqual(names, ['directory d/ 0', 'file d/big 1000000', 'file d/.wh.gone 0', 'link d/linked 0', 'character-device dev 0']);
});

test('X5: a name that would become a whiteout is an error', async () => {
  for (const path of ['.wh.x', 'd/.wh.x/y']) await assert.rejects(collect(packLayer([{ kind: 'inode', path, ...data('x') }])), /Cannot pack ".*": a name that begins with "\.wh\."/);
});

test('X10: data that is missing or short fails the stream', async () => {
  const { attributes: wanted } = data('12345');
  await assert.rejects(collect(packLayer([{ kind: 'inode', path: 'f', attributes: wanted }])), /"f": it has no data/);
  const closed = openSync(process.execPath, 'r');
  closeSync(closed);
  await assert.rejects(collect(packLayer([{ kind: 'inode', path: 'f', attributes: wanted, data: () => { throw new Error('EIO'); } }])), /"f": EIO/);
  writeFileSync(join(directory, 'short'), '12');
  await assert.rejects(collect(packLayer([{ kind: 'inode', path: 'f', attributes: wanted, data: () => ({ fd: openSync(join(directory, 'short'), 'r'), size: 5 }) }])), /"f": its data ends at 2/);
});

test('sockets are left out and told', async () => {
  const skipped: string[] = [];
  const packed = await collect(packLayer([{ kind: 'inode', path: 's', attributes: attributes(S_IFSOCK | 0o755) }], { skipped: (path) => skipped.push(path) }));
  assert.deepEqual([skipped, packed.length], [['s'], 1024]);
});

test('what GNU tar makes of a directory in each of its formats is applied alike, and given back to the byte', needs('/usr/bin/tar'), async () => {
  const source = join(directory, 'source');
  run('/bin/sh', ['-c', `mkdir -p ${source}/${'deep/'.repeat(30)} && cd ${source} && echo data >f && ln f hard && ln -s f soft && mkfifo p && echo x >deep/${'n'.repeat(120)} && truncate -s 1M sparse && printf tail >>sparse`]);
  const trees = await Promise.all((['gnu', 'pax', 'posix'] as const).map(async (format) => {
    const bytes = run('/usr/bin/tar', ['-c', '--sort=name', `--format=${format}`, '--owner=5', '--group=6', '.'], { cwd: source });
    const { root, content, replayed } = await apply(bytes);
    assert.ok(replayed.equals(bytes), format);
    return describe(root, content);
  }));
  assert.deepEqual(trees[1], trees[0]);
  assert.deepEqual(trees[2], trees[0]);
  assert.ok(trees[0].includes('- 644 5:6 hard =data\n'));
  for (const version of ['0.0', '0.1', '1.0']) {
    const bytes = run('/usr/bin/tar', ['-c', '--sort=name', '--format=pax', `--sparse-version=${version}`, '-S', '--owner=5', '--group=6', '.'], { cwd: source });
    assert.ok(bytes.length < 500_000, 'it is sparse');
    const { root, content, replayed } = await apply(bytes);
    assert.ok(replayed.equals(bytes), version);
    assert.deepEqual(describe(root, content), trees[0]);
    assert.ok(content.files.get(root.children?.get('sparse')?.inode?.content?.digest ?? '')?.equals(readFileSync(join(source, 'sparse'))));
  }
});

test('what bsdtar makes is applied and given back to the byte', needs('/usr/bin/bsdtar'), async () => {
  const source = mkdtempSync(join(directory, 'bsd-'));
  run('/bin/sh', ['-c', `cd ${source} && echo data >f && ln f hard && ln -s f soft && mkdir d && echo x >d/${'n'.repeat(150)}`]);
  for (const format of ['pax', 'ustar', 'gnutar', 'v7']) {
    const bytes = run('/usr/bin/bsdtar', ['-cf', '-', `--format=${format}`, '--exclude', format === 'v7' || format === 'ustar' ? 'nnn*' : 'none', '.'], { cwd: source });
    const { root, content, replayed } = await apply(bytes);
    assert.ok(replayed.equals(bytes), format);
    assert.equal(describe(root, content).find((line) => line.endsWith('hard =data\n')) !== undefined, true);
  }
});

test('a stream may come in pieces of one byte', async () => {
  const bytes = archive(file('a', 'x'.repeat(2000)), link('b', 'a'));
  assert.ok((await apply(chunks(bytes, 1))).replayed.equals(bytes));
});
