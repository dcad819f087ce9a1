import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { wrongImports } from '../../scripts/check-imports.ts';

test('no file imports against the arrows of the architecture', () => {
  assert.deepEqual(wrongImports(resolve(import.meta.dirname, '../../..')), []);
});

test('an import from fs to src is found', () => {
  const root = mkdtempSync(join(tmpdir(), 'ufs-arrows-'));
  try {
    mkdirSync(join(root, 'fs/union'), { recursive: true });
    mkdirSync(join(root, 'src/store'), { recursive: true });
    writeFileSync(join(root, 'fs/union/a.ts'), "import { b } from '../../src/store/b.ts';\n");
    writeFileSync(join(root, 'src/store/b.ts'), "import { c } from '../../fs/host/at.ts';\n");
    assert.deepEqual(wrongImports(root), ['fs/union/a.ts imports src/store/b.ts']);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('a package that one file has to itself is found in any other, however it is loaded', () => {
  const root = mkdtempSync(join(tmpdir(), 'ufs-arrows-'));
  try {
    mkdirSync(join(root, 'fs/host'), { recursive: true });
    mkdirSync(join(root, 'src/store'), { recursive: true });
    writeFileSync(join(root, 'fs/host/native.ts'), "import koffi from 'koffi';\nimport { join } from 'node:path';\n");
    writeFileSync(join(root, 'src/store/b.ts'), "createRequire(import.meta.url)('fuse-native');\nawait import('koffi');\n");
    assert.deepEqual(wrongImports(root), ['src/store/b.ts imports fuse-native', 'src/store/b.ts imports koffi']);
  } finally {
    rmSync(root, { recursive: true });
  }
});
