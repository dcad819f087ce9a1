import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench } from '../helpers/cli.ts';
import { needsProgram } from '../helpers/needs.ts';

describe('images of 1, 20 and 100 layers', () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
  });
  after(() => bench.close());

  for (const count of [1, 20, 100]) {
    test(`${count} layer${count === 1 ? '' : 's'}: what is saved loads elsewhere, with layers equal byte for byte`, () => {
      const digests: string[] = [];
      // An OCI layout made by hand: the layers' exact bytes are known.
      mkdirSync(bench.path(`oci${count}/blobs/sha256`), { recursive: true });
      const blob = (data: Buffer): { digest: string; size: number } => {
        const digest = createHash('sha256').update(data).digest('hex');
        writeFileSync(bench.path(`oci${count}/blobs/sha256`, digest), data);
        return { digest: `sha256:${digest}`, size: data.length };
      };
      mkdirSync(bench.path(`tree${count}`));
      const layers = Array.from({ length: count }, (_, index) => {
        writeFileSync(bench.path(`tree${count}/file${index}`), `layer ${index}\n`);
        const data = bench.run('tar', ['-C', `tree${count}`, '--format=posix', '-cf', 'layer.tar', `file${index}`]);
        assert.equal(data.code, 0);
        return blob(readFileSync(bench.path('layer.tar')));
      });
      for (const { digest } of layers) digests.push(digest);
      const config = blob(Buffer.from(JSON.stringify({ architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: digests } })));
      const manifest = blob(Buffer.from(JSON.stringify({
        schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        layers: layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer })),
      })));
      writeFileSync(bench.path(`oci${count}/index.json`), JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest, annotations: { 'org.opencontainers.image.ref.name': `many:${count}` } }] }));
      writeFileSync(bench.path(`oci${count}/oci-layout`), '{"imageLayoutVersion":"1.0.0"}');

      bench.ufs('load', `oci${count}`, '--name', `many:${count}`);
      bench.ufs('save', `many:${count}`, '-o', `saved${count}.tar`);
      const listed = JSON.parse(bench.ufs('layers', `many:${count}`, '--json')) as { diffId: string }[];
      assert.deepEqual(listed.map(({ diffId }) => diffId), digests);
      mkdirSync(bench.path(`unpacked${count}`));
      bench.sh(`tar -xf saved${count}.tar -C unpacked${count}`);
      const [saved] = JSON.parse(readFileSync(bench.path(`unpacked${count}/manifest.json`), 'utf8')) as { Layers: string[] }[];
      const bytes = (saved as { Layers: string[] }).Layers.map((path) => createHash('sha256').update(readFileSync(bench.path(`unpacked${count}`, path))).digest('hex'));
      assert.deepEqual(bytes.map((digest) => `sha256:${digest}`), digests);
    });
  }

  test('what is saved is read by skopeo, and what skopeo writes loads with the same layers', { skip: needsProgram('skopeo') }, () => {
    bench.sh('skopeo --insecure-policy copy -q docker-archive:saved20.tar oci:by-skopeo:twenty 2>&1; skopeo --insecure-policy copy -q docker-archive:saved20.tar docker-archive:skopeo.tar:twenty:1 2>&1');
    const before = bench.ufs('layers', 'many:20', '--json');
    for (const file of ['by-skopeo', 'skopeo.tar']) {
      bench.ufs('load', file, '--name', `skopeo-${file.replaceAll('.', '-')}`);
      assert.equal(bench.ufs('layers', `skopeo-${file.replaceAll('.', '-')}`, '--json'), before);
    }
  });

  test('what is saved as OCI layout is unpacked by umoci', { skip: needsProgram('umoci') }, () => {
    bench.ufs('save', 'many:20', '--format', 'oci-dir', '-o', 'oci-out');
    const tags = bench.sh('umoci list --layout oci-out').trim().split('\n');
    bench.sh(`umoci raw unpack --image oci-out:${tags[0]} rootfs >/dev/null 2>&1 || umoci unpack --rootless --image oci-out:${tags[0]} bundle >/dev/null 2>&1`);
    assert.equal(bench.sh('ls rootfs bundle/rootfs 2>/dev/null | grep -c file || true').trim(), '20');
  });
});

describe('bad input', () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh('mkdir tree; for n in $(seq 50); do head -c 3000 /dev/urandom >tree/$n; done; tar -cf good.tar -C tree .; gzip -k good.tar; zstd -q good.tar; xz -k good.tar; bzip2 -k good.tar');
    bench.ufs('import', 'good.tar', '--name', 'good');
  });
  after(() => bench.close());

  const sound = (): void => assert.match(bench.ufs('check'), /^The store is sound: 1 layer$/m);

  test('compressed archives are the same layer as the plain one', () => {
    const id = bench.ufs('import', 'good.tar');
    for (const file of ['good.tar.gz', 'good.tar.zst', 'good.tar.xz', 'good.tar.bz2']) assert.equal(bench.ufs('import', file), id, file);
  });

  for (const file of ['good.tar', 'good.tar.gz', 'good.tar.zst', 'good.tar.xz', 'good.tar.bz2']) {
    test(`a truncated ${file} is refused, and the store stays sound`, () => {
      bench.sh(`cp ${file} cut-${file}`);
      truncateSync(bench.path(`cut-${file}`), 60_000);
      const result = bench.try('import', `cut-${file}`);
      assert.equal(result.code, 1);
      assert.match(result.err, /^ufs: Cannot import "cut-/);
      sound();
    });
  }

  for (const [what, argv, message] of [
    ['a file that is no archive', ['import', '/etc/passwd'], /Cannot import "\/etc\/passwd": /],
    ['a missing file', ['load', 'nowhere'], /Cannot load "nowhere": there is no/],
    ['a missing parent', ['import', 'good.tar', '--parent', 'deadbeef'], /Cannot find "deadbeef"/],
    ['an image that is no image', ['load', 'good.tar'], /Cannot load "good.tar": .*neither manifest.json nor index.json/],
    ['an unknown image', ['mount', 'nope', '.'], /Cannot find "nope"/],
    ['a mountpoint that does not exist', ['mount', 'good', 'no/such/dir'], /Cannot mount on .*no\/such\/dir/],
    ['a mountpoint that is a file', ['mount', 'good', 'good.tar'], /Cannot .*good\.tar/],
    ['a directory that is no mount', ['umount', '.'], /Cannot unmount "\.": nothing is mounted there/],
    ['a path outside of any mount', ['which', 'good.tar'], /Cannot tell the layer of/],
  ] as const) {
    test(`${what} is a clear error with exit code 1, and the store stays sound`, () => {
      const result = bench.try(...argv);
      assert.equal(result.code, 1, result.err);
      assert.match(result.err, message);
      sound();
    });
  }

  test('a command line that makes no sense has exit code 2', () => {
    for (const argv of [['frobnicate'], ['mount'], ['images', '--wrong'], ['mount', 'a', 'b', '--passthrough', 'maybe']]) assert.equal(bench.try(...argv).code, 2, argv.join(' '));
  });

  test('every command has help', () => {
    const names = [...bench.ufs('--help').matchAll(/^ {2}([a-z]+) .*/gm)].map(([, name]) => name as string).filter((name) => name !== 'help');
    assert.ok(names.length >= 20, names.join(' '));
    for (const name of names) assert.match(bench.ufs(name, '--help'), /^Usage: ufs /);
  });

  test('a store of another format version is refused, not touched', () => {
    const path = bench.path('store/store.json');
    const text = readFileSync(path, 'utf8');
    const changed = JSON.stringify({ ...(JSON.parse(text) as object), format: 999 });
    writeFileSync(path, changed);
    const result = bench.try('images');
    assert.equal(result.code, 1);
    const kept = readFileSync(path, 'utf8');
    writeFileSync(path, text);
    assert.match(result.err, /Cannot open the store .*its format is 999/);
    assert.equal(kept, changed);
    sound();
  });

  test('an index that was lost is made anew by check --rebuild', () => {
    bench.sh('rm -rf store/index');
    bench.try('check', '--rebuild');
    sound();
    assert.match(bench.ufs('images'), /^good:latest|^good /m);
  });
});
