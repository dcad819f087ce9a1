import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { encodeDirectory } from '../../src/store/directory-object.ts';
import { ObjectReader } from '../../src/store/object-reader.ts';
import type { Entry, ObjectKey } from '../../src/tree/entry.ts';

const MEGABYTE = 1024 * 1024;
const COUNT = 5000;

function entries(): Entry[] {
  return Array.from({ length: COUNT }, (_, index) => ({
    name: `file${10_000 + index}`, mode: 0o100644, uid: 0, gid: 0, layer: 1, inode: index + 1, linked: false, size: index, mtimeSec: 1_700_000_000, mtimeNsec: index, rdevMajor: 0, rdevMinor: 0,
    xattrs: new Map(), content: { digest: index.toString(16).padStart(64, '0'), elf: false },
  }));
}

test('what is kept of directories takes the memory the reader counts, and no more than it may', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const memory = (): number => {
    collect();
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const encoded = encodeDirectory(entries());
  const before = memory();
  let reads = 0;
  const reader = new ObjectReader(() => {
    reads += 1;
    return Buffer.from(encoded);
  }, 32 * MEGABYTE);
  for (let number = 0; number < 50; number += 1) assert.equal(reader.directory(`${number}` as ObjectKey).entries().length, COUNT);
  const taken = memory() - before;
  assert.equal(reads, 50);
  assert(reader.weight > 28 * MEGABYTE && reader.weight <= 32 * MEGABYTE, `it counts ${reader.weight} bytes`);
  assert(taken > reader.weight * 0.7 && taken < reader.weight * 1.8, `${taken} bytes taken, ${reader.weight} counted`);
  // The last ones used are kept.
  reader.directory('49' as ObjectKey);
  assert.equal(reads, 50);
  reader.directory('0' as ObjectKey);
  assert.equal(reads, 51);
});
