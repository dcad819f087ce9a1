import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { recipeContents, RecipeWriter, replay } from '../../src/archive/recipe.ts';
import { collect, contentSource, MemoryContent } from './memory-content.ts';

let directory: string;
before(() => { directory = mkdtempSync(join(tmpdir(), 'ufs-recipe-')); });
after(() => rmSync(directory, { recursive: true }));

const content = new MemoryContent();
const random = randomBytes(900_000);
const { digest } = content.put(random);

/** A recipe of raw bytes and ranges of `random`; its path and the archive it stands for. */
function write(name: string, parts: (Buffer | [offset: number, length: number])[]): { path: string; expected: Buffer } {
  const path = join(directory, name);
  const expected = Buffer.concat(parts.map((part) => (Buffer.isBuffer(part) ? part : random.subarray(part[0], part[0] + part[1]))));
  const recipe = new RecipeWriter(path);
  for (const part of parts) {
    if (Buffer.isBuffer(part)) recipe.raw(part);
    else recipe.content({ digest, offset: part[0], length: part[1] });
  }
  recipe.finish({ sha256: createHash('sha256').update(expected).digest('hex'), size: expected.length });
  return { path, expected };
}

test('a recipe gives back raw bytes and ranges of content, small and large, in order', async () => {
  const { path, expected } = write('mixed', [Buffer.alloc(0), Buffer.from('head'), [0, 900_000], randomBytes(700_000), [5, 1], [899_999, 1], Buffer.alloc(3_000_000), [100, 300_000]]);
  assert.ok((await collect(replay(path, contentSource(content, directory)))).equals(expected));
  const ranges = [];
  for await (const { offset, length } of recipeContents(path)) ranges.push([offset, length]);
  assert.deepEqual(ranges, [[0, 900_000], [5, 1], [899_999, 1], [100, 300_000]]);
});

test('thousands of members cost little', async () => {
  const parts = Array.from({ length: 20_000 }, (_, index): Buffer | [number, number] => (index % 2 === 0 ? Buffer.alloc(512, 'header') : [index, 10]));
  const { path, expected } = write('many', parts);
  assert.ok((await collect(replay(path, contentSource(content, directory)))).equals(expected));
  assert.ok(statSync(path).size < 500_000);
});

test('a recipe that is cut off or damaged is an error, never a short archive', async () => {
  const { path } = write('whole', [Buffer.alloc(100_000, 'x'), [0, 1000]]);
  const bytes = readFileSync(path);
  for (const cut of [40, 60, bytes.length - 1]) {
    writeFileSync(join(directory, 'cut'), bytes.subarray(0, bytes.length - cut));
    await assert.rejects(collect(replay(join(directory, 'cut'), contentSource(content, directory))), /Cannot read recipe/);
  }
  writeFileSync(join(directory, 'empty'), '');
  await assert.rejects(collect(replay(join(directory, 'empty'), contentSource(content, directory))), /Cannot read recipe/);
  await assert.rejects(collect(replay(join(directory, 'missing'), contentSource(content, directory))), /ENOENT/);
});

test('content that changed or is short is an error', async () => {
  const { path } = write('changed', [[0, 900_000]]);
  const other = new MemoryContent();
  other.files.set(digest, Buffer.alloc(900_000));
  await assert.rejects(collect(replay(path, contentSource(other, directory))), /aren't the archive/);
  other.files.set(digest, random.subarray(0, 1000));
  await assert.rejects(collect(replay(path, contentSource(other, directory))), /it ends at 1000/);
});

test('a recipe never replaces a file, and an aborted one leaves none', () => {
  const recipe = new RecipeWriter(join(directory, 'new'));
  assert.throws(() => new RecipeWriter(join(directory, 'new')), /EEXIST/);
  recipe.abort();
  assert.throws(() => statSync(join(directory, 'new')), /ENOENT/);
});
