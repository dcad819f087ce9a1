import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeEntry, decodeLinks, Directory, encodeDirectory, encodeEntry, encodeLinks, objectKey } from '../../src/store/directory-object.ts';
import type { Entry, ObjectKey } from '../../src/tree/entry.ts';
import { attributes } from './sample-layers.ts';

function entry(name: string, more: Partial<Entry> = {}): Entry {
  return {
    name, ...attributes(0o100644), layer: 1, inode: 1, linked: false, content: undefined, object: undefined, subdirectories: undefined, linksBelow: false, target: undefined, ...more,
  };
}

const digest = 'ab'.repeat(32);
const rich: Entry[] = [
  entry('\0nul', { mode: 0o106777, uid: 4294967294, gid: 1 << 30, size: Number.MAX_SAFE_INTEGER, mtimeSec: -(2 ** 40), mtimeNsec: 999_999_999 }),
  entry('d', { mode: 0o041777, object: digest as ObjectKey, subdirectories: 70_000, linksBelow: true, layer: 2 ** 21, inode: 2 ** 31 }),
  entry('dev', { mode: 0o020600, rdevMajor: 4095, rdevMinor: 1048575 }),
  entry('elf', { content: { digest, elf: true }, linked: true }),
  entry('link', { mode: 0o120777, target: '../\xff', size: 4 }),
  entry('x'.repeat(255), { xattrs: new Map([['security.capability', Buffer.from([0, 1, 255])], ['user.empty', Buffer.alloc(0)]]) }),
  entry('\xff\xfe'),
];

test('a directory is decoded as it was encoded, whatever its entries hold', () => {
  assert.deepEqual(new Directory(encodeDirectory(rich)).entries(), rich);
  for (const one of rich) assert.deepEqual(decodeEntry(encodeEntry(one)), one);
});

test('the order in which xattrs were set makes no other object', () => {
  const a = entry('a', { xattrs: new Map([['user.a', Buffer.from('1')], ['user.b', Buffer.from('2')]]) });
  const b = entry('a', { xattrs: new Map([['user.b', Buffer.from('2')], ['user.a', Buffer.from('1')]]) });
  assert.equal(objectKey(encodeDirectory([a])), objectKey(encodeDirectory([b])));
});

test('find() gives the entry of a name, the same object each time, and undefined for a name that is not there', () => {
  const directory = new Directory(encodeDirectory(rich));
  for (const { name } of rich) {
    const found = directory.find(name);
    assert.equal(found?.name, name);
    assert.equal(directory.find(name), found);
  }
  for (const name of ['', 'D', 'de', 'devv', 'zz', '\xff', '\xff\xff', '\0']) assert.equal(directory.find(name), undefined);
  assert.equal(directory.entries()[1], directory.find('d'));
  assert.equal(new Directory(encodeDirectory([])).find('a'), undefined);
});

test('truncated or foreign bytes are UFS_INDEX_DAMAGED, never a crash or a hang', () => {
  const bytes = encodeDirectory(rich);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => new Directory(bytes.subarray(0, length)).entries(), { code: 'UFS_INDEX_DAMAGED' }, `${length} bytes`);
  }
  assert.throws(() => new Directory(Buffer.from([9, 0, 0, 0, 0])), { code: 'UFS_INDEX_DAMAGED' });
  assert.throws(() => decodeLinks(Buffer.from([2, 5, 1])), { code: 'UFS_INDEX_DAMAGED' });
});

test('link counts are decoded as they were encoded, in an order of their own', () => {
  const links = new Map([['10:1', 2], ['2:300', 65_000], ['2:4', 3]]);
  assert.deepEqual(decodeLinks(encodeLinks(links)), links);
  assert.deepEqual(encodeLinks(links), encodeLinks(new Map([...links].reverse())));
});
