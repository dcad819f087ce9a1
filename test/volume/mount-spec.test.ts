import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseMountSpec, validateMountConfig } from '../../src/index.ts';
import { decided, whole } from './points.ts';
import { EXISTING, SPEC_CASES } from './spec-cases.ts';

const exists = (path: string): boolean => EXISTING.includes(path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path);

describe('a mount of the API', () => {
  for (const { spec, point, error } of SPEC_CASES) {
    test(`${JSON.stringify(spec)} is ${point === undefined ? 'refused' : 'taken'}`, () => {
      if (point === undefined) {
        assert.throws(() => parseMountSpec(spec, exists), { code: 'UFS_USAGE', message: error });
        assert.throws(() => validateMountConfig(spec, exists), { code: 'UFS_USAGE', message: error });
      } else {
        validateMountConfig(spec, exists);
        const parsed = parseMountSpec(spec, exists);
        assert.deepEqual(decided(parsed), whole(point));
        assert.equal(parsed.spec, spec);
      }
    });
  }

  test('has its source made only if it asks for that', () => {
    const skipped = (create?: boolean): boolean => parseMountSpec({ type: 'bind', source: '/usr', target: '/x', bindOptions: create === undefined ? {} : { createMountpoint: create } }, exists).skipMountpointCreation;
    assert.deepEqual([skipped(), skipped(false), skipped(true)], [true, true, false]);
    assert.equal(parseMountSpec({ type: 'volume', source: 'a', target: '/x' }).skipMountpointCreation, false);
  });

  test('whose source can\'t be looked at is refused with what was found, even where it is to be made', () => {
    for (const createMountpoint of [false, true]) {
      const spec = { type: 'bind', source: '/bananas', target: '/bananas', bindOptions: { createMountpoint } };
      assert.throws(() => parseMountSpec(spec, () => {
        throw new Error('some crazy error');
      }), { message: 'invalid mount config for type "bind": some crazy error' });
    }
  });

  test('without one who says what exists, the host is asked, through symlinks, with its words', () => {
    const root = mkdtempSync(join(tmpdir(), 'ufs-mount-spec-'));
    try {
      writeFileSync(join(root, 'f'), '');
      symlinkSync('f', join(root, 'there'));
      symlinkSync('missing', join(root, 'dangling'));
      symlinkSync('loop', join(root, 'loop'));
      const bind = (name: string): void => validateMountConfig({ type: 'bind', source: join(root, name), target: '/x' });
      const refused = (name: string, words: string): void => assert.throws(() => bind(name), { code: 'UFS_USAGE', message: `invalid mount config for type "bind": ${words}` }, name);
      for (const name of ['', 'f', 'there']) bind(name);
      refused('dangling', `bind source path does not exist: ${root}/dangling`);
      refused('f/below', `stat ${root}/f/below: not a directory`);
      refused('loop', `stat ${root}/loop: too many levels of symbolic links`);
      refused('x'.repeat(256), `stat ${root}/${'x'.repeat(256)}: file name too long`);
      refused('a\0b', `stat ${root}/a\0b: invalid argument`);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});
