import assert from 'node:assert/strict';
import { test } from 'node:test';
import { posixCases } from './cases.ts';
import { namedTitles } from './deviations.ts';
import { testOnDirectory } from './on-directory.ts';

testOnDirectory();

test('every deviation is of a case there is', () => {
  for (const title of namedTitles()) assert.ok(title in posixCases, title);
});
