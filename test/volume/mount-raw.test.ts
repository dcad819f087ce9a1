import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseMountRaw } from '../../src/index.ts';
import { decided, whole } from './points.ts';
import { RAW_CASES, RAW_COMBINATIONS, type RawCase } from './raw-cases.ts';

function check({ raw, driver, point, error }: RawCase): void {
  if (point === undefined) assert.throws(() => parseMountRaw(raw, driver), { code: 'UFS_USAGE', message: error }, JSON.stringify(raw));
  else assert.deepEqual(decided(parseMountRaw(raw, driver)), whole(point), JSON.stringify(raw));
}

describe('-v', () => {
  for (const one of RAW_CASES) test(`${JSON.stringify(one.raw)}${one.driver === undefined ? '' : ` with the driver ${one.driver}`} is ${one.point?.type ?? 'refused'}`, () => check(one));

  test(`takes every mode there is, for a bind and a volume: ${RAW_COMBINATIONS.length} of them`, () => {
    for (const one of RAW_COMBINATIONS) check(one);
  });

  test('gives what it was asked for as the API\'s mount', () => {
    assert.deepEqual(parseMountRaw('/tmp/:/tmp2/:ro,rslave').spec, { type: 'bind', source: '/tmp/', target: '/tmp2/', readOnly: true, bindOptions: { propagation: 'rslave' } });
    assert.deepEqual(parseMountRaw('name:/x:nocopy', 'external').spec, { type: 'volume', source: 'name', target: '/x', readOnly: false, volumeOptions: { driverConfig: { name: 'external' }, noCopy: true } });
    assert.deepEqual(parseMountRaw('/x').spec, { type: 'volume', source: '', target: '/x', readOnly: false });
  });

  test('gives points that nobody holds, whose source is made', () => {
    const { id, volume, skipMountpointCreation } = parseMountRaw('/a:/b');
    assert.deepEqual({ id, volume, skipMountpointCreation }, { id: '', volume: undefined, skipMountpointCreation: false });
  });
});
