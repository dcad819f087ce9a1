import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import type { Mount } from '../../src/index.ts';
import { needsDocker } from '../e2e/served-driver.ts';
import { inApi } from './api-words.ts';
import { AskedByDocker } from './asked-by-docker.ts';
import { OPTION_CASES } from './option-cases.ts';

const isKnown = needsDocker === false && spawnSync('/usr/bin/docker', ['--version']).stdout.toString().startsWith('Docker version 20.10.');

describe('docker\'s command line, 20.10, reads --mount', { skip: needsDocker || (isKnown ? false : 'the tables tell what Docker 20.10 does otherwise') }, () => {
  let docker: AskedByDocker;
  before(async () => {
    docker = await AskedByDocker.start();
  });
  after(() => docker?.close());

  test('as we do, what it takes', async () => {
    const taken = OPTION_CASES.filter(({ mount, older }) => mount !== undefined && older === undefined);
    const mounts = await docker.mounts(taken.map(({ value }) => value));
    assert.deepEqual(taken.map(({ value }, at) => [value, said(mounts[at])]), taken.map(({ value, mount }) => [value, said(inApi(mount as Mount))]));
  });

  test('and refuses it in the words we have, or that the table has for it', async () => {
    const refused = OPTION_CASES.filter(({ error, older }) => (older ?? error ?? '') !== '');
    const errors = await docker.errors(refused.map(({ value }) => value));
    assert.deepEqual(refused.map(({ value }, at) => [value, errors[at]]), refused.map(({ value, error, older }) => [value, older ?? error]));
  });

  test('and takes what the table says it does though we don\'t, or otherwise than we', async () => {
    const taken = OPTION_CASES.filter(({ older }) => older === '').map(({ value }) => value);
    assert.equal((await docker.mounts(taken)).length, taken.length);
  });
});

/** Without what says nothing: false, 0, "", and what is empty. */
function said(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value || undefined;
  const entries = Object.entries(value).map(([key, inner]) => [key, said(inner)]).filter(([, inner]) => inner !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
