import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullImageName, imageNameCandidates, shortImageName } from '../../src/archive/image-name.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

test('names are completed as Docker completes them', () => {
  for (const [typed, full] of [
    ['debian', 'docker.io/library/debian:latest'], ['debian:12', 'docker.io/library/debian:12'], ['me/app', 'docker.io/me/app:latest'],
    ['docker.io/debian', 'docker.io/library/debian:latest'], ['index.docker.io/debian', 'docker.io/library/debian:latest'], ['localhost/app:1', 'localhost/app:1'],
    ['host:5000/a/b', 'host:5000/a/b:latest'], ['host.example/a@' + DIGEST, `host.example/a@${DIGEST}`], [`a:1@${DIGEST}`, `docker.io/library/a:1@${DIGEST}`],
  ]) assert.equal(fullImageName(typed), full);
});

test('what no image can be called is refused', () => {
  for (const typed of ['', 'Debian', 'a b', ':1', 'a:', 'a//b', '../a', 'a@sha256:1', '-a', 'a/', `a:${'t'.repeat(129)}`, '/a']) assert.throws(() => fullImageName(typed), /as an image name/, typed);
});

test('a name typed short may be one that podman built', () => {
  assert.deepEqual(imageNameCandidates('app'), ['docker.io/library/app:latest', 'localhost/app:latest']);
  assert.deepEqual(imageNameCandidates('quay.example/app:2'), ['quay.example/app:2']);
});

test('names are shown as people write them', () => {
  assert.deepEqual(['docker.io/library/debian:12', 'docker.io/me/app:1', 'localhost/a:1'].map(shortImageName), ['debian:12', 'me/app:1', 'localhost/a:1']);
});
