import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Garbage } from '../../src/mount/garbage.ts';

const MEGABYTE = 1024 * 1024;
const used = (): number => process.memoryUsage().heapUsed;
const reserved = (): number => process.memoryUsage().heapTotal;

function nodes(count: number): object[] {
  return Array.from({ length: count }, (_, index) => ({ index, links: [{ name: `file${index}` }], children: new Map() }));
}

test('quiet() collects what has become garbage, and gives its pages back', () => {
  const garbage = new Garbage();
  while (garbage.quiet(0));
  const [usedBefore, reservedBefore] = [used(), reserved()];
  // As nodes among what stays: each page has something that does.
  let all = nodes(600_000);
  const kept = all.filter((_, index) => index % 100 === 0);
  assert(used() > usedBefore + 100 * MEGABYTE);
  while (garbage.quiet(600_000));
  all = [];
  assert(used() > usedBefore + 100 * MEGABYTE, 'nothing but the count says that they are garbage');
  while (garbage.quiet(6000));
  assert(used() < usedBefore + 40 * MEGABYTE, `${Math.round((used() - usedBefore) / MEGABYTE)} MB stay in use`);
  assert(reserved() < reservedBefore + 80 * MEGABYTE, `${Math.round((reserved() - reservedBefore) / MEGABYTE)} MB stay reserved`);
  assert.equal(kept.length + all.length, 6000);
});

test('quiet() leaves little garbage alone', () => {
  const garbage = new Garbage();
  while (garbage.quiet(0));
  const before = used();
  nodes(20_000);
  const made = used();
  assert(made > before);
  assert.equal(garbage.quiet(20_000), false);
  assert.equal(garbage.quiet(0), false);
  assert(used() >= made);
});
