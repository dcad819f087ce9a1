import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseMountOption } from '../../src/index.ts';
import { DIRECTORY, OPTION_CASES } from './option-cases.ts';

describe('--mount', () => {
  for (const { value, mount, error } of OPTION_CASES) {
    test(`${JSON.stringify(value)} is ${mount === undefined ? 'refused' : 'taken'}`, () => {
      if (mount === undefined) assert.throws(() => parseMountOption(value, DIRECTORY), { code: 'UFS_USAGE', message: error });
      else assert.deepEqual(parseMountOption(value, DIRECTORY), mount);
    });
  }

  test('sources are relative to where the process is, unless told otherwise', () => {
    assert.equal(parseMountOption('type=bind,src=./a,dst=/x').source, `${process.cwd()}/a`);
  });

  test('labels and options may have any key', () => {
    const { volumeOptions } = parseMountOption('dst=/x,volume-label=__proto__=1,volume-opt=__proto__=2,volume-opt=constructor');
    assert.deepEqual([Object.entries(volumeOptions?.labels ?? {}), Object.entries(volumeOptions?.driverConfig?.options ?? {})], [[['__proto__', '1']], [['__proto__', '2'], ['constructor', '']]]);
  });
});
