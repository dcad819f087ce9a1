import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { decompress } from '../../src/archive/compression.ts';
import { openImages, type Image } from '../../src/archive/image.ts';
import { saveDockerArchive, saveOciArchive, saveOciDirectory, type SavedImage } from '../../src/archive/image-save.ts';
import { archive, directory as directoryMember, file, link, symlink } from './build-archive.ts';
import { chunks, collect } from './memory-content.ts';
import { needs, run } from './tools.ts';

let work: string;
let spoolDirectory: string;
before(() => {
  work = mkdtempSync(join(tmpdir(), 'ufs-image-'));
  spoolDirectory = join(work, 'spool');
  mkdirSync(spoolDirectory);
});
after(() => rmSync(work, { recursive: true }));

const sha256 = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const hex = (bytes: Buffer | string): string => sha256(bytes).slice(7);
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const LAYERS = [archive(file('etc/os-release', 'ufs')), archive(file('etc/.wh.os-release'), file('big', 'x'.repeat(300_000)))];
const CONFIG = json({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: LAYERS.map(sha256) } });
const NAME = 'docker.io/library/test:1';
const saved = (): SavedImage[] => [{ names: [NAME], config: CONFIG, layers: LAYERS.map((bytes) => ({ diffId: sha256(bytes), size: bytes.length, open: () => chunks(bytes) })) }];

/** Opens an image and reads all of it. */
async function read(from: string | AsyncIterable<Buffer>): Promise<{ kind: string; images: (Omit<Image, 'layers'> & { layers: Buffer[] })[] }> {
  const source = await openImages(from, { spoolDirectory });
  try {
    const images = [];
    for (const { layers, ...image } of source.images) {
      const bytes = [];
      for (const layer of layers) bytes.push(await collect((await decompress(layer.open())).stream));
      images.push({ ...image, layers: bytes });
    }
    return { kind: source.kind, images };
  } finally {
    source.close();
    assert.deepEqual(readdirSync(spoolDirectory), [], 'nothing is left in the spool directory');
  }
}

function path(name: string, bytes: Buffer): string {
  writeFileSync(join(work, name), bytes);
  return join(work, name);
}

const WHOLE = [{ names: [NAME], config: CONFIG, layers: LAYERS }];

test('a docker archive we write is read from a path, compressed, and from a pipe', async () => {
  const bytes = await collect(saveDockerArchive(saved()));
  assert.deepEqual(await read(path('docker.tar', bytes)), { kind: 'docker-archive', images: WHOLE });
  assert.deepEqual((await read(path('docker.tar.gz', gzipSync(bytes)))).images, WHOLE);
  assert.deepEqual((await read(createReadStream(path('docker.tar', bytes)) as AsyncIterable<Buffer>)).images, WHOLE);
});

test('an OCI layout we write is read as tar and as directory', async () => {
  assert.deepEqual(await read(path('oci.tar', await collect(saveOciArchive(saved())))), { kind: 'oci-layout', images: WHOLE });
  await saveOciDirectory(saved(), join(work, 'oci'));
  assert.deepEqual((await read(join(work, 'oci'))).images, WHOLE);
});

test('the same images are the same bytes', async () => {
  assert.ok((await collect(saveDockerArchive(saved()))).equals(await collect(saveDockerArchive(saved()))));
});

test('a docker archive tells names in full, as podman needs them, and no digests, which docker refuses', async () => {
  const [image] = saved();
  const bytes = await collect(saveDockerArchive([{ ...image, names: [NAME, `docker.io/library/test@${sha256('x')}`] }]));
  assert.ok(bytes.includes(`"RepoTags":["${NAME}"]`));
});

test('a layer that isn\'t what its digest says fails the save', async () => {
  const images = saved();
  images[0].layers[0].open = () => chunks(Buffer.alloc(LAYERS[0].length));
  await assert.rejects(collect(saveDockerArchive(images)), /its digest is/);
});

const CONFIG_NAME = `${hex(CONFIG)}.json`;
const oldManifest = (layers: string[], config = CONFIG_NAME): Buffer => json([{ Config: config, RepoTags: ['test:1'], Layers: layers }]);

test('an old docker archive is read, with a layer that is a symlink to another one\'s', async () => {
  const config = json({ rootfs: { diff_ids: [sha256(LAYERS[0]), sha256(LAYERS[0])] } });
  const bytes = archive(directoryMember('a/'), file('a/layer.tar', LAYERS[0]), directoryMember('b/'), symlink('b/layer.tar', '../a/layer.tar'), file('c.json', config), file('manifest.json', oldManifest(['a/layer.tar', 'b/layer.tar'], 'c.json')));
  assert.deepEqual((await read(path('old.tar', bytes))).images, [{ names: [NAME], config, layers: [LAYERS[0], LAYERS[0]] }]);
});

const hostileDocker: [what: string, members: Buffer[], error: RegExp][] = [
  ['a layer outside', [file('manifest.json', oldManifest(['../../etc/passwd', 'b'])), file(CONFIG_NAME, CONFIG)], /outside of the root/],
  ['a layer that is a symlink to a host file', [file('manifest.json', oldManifest(['a', 'b'])), file(CONFIG_NAME, CONFIG), symlink('a', '/etc/passwd'), file('b', LAYERS[1])], /layer "a" is missing/],
  ['a symlink that climbs out', [symlink('a', '../../etc/passwd')], /outside of the root/],
  ['a symlink loop', [file('manifest.json', oldManifest(['a', 'b'])), file(CONFIG_NAME, CONFIG), symlink('a', 'b'), symlink('b', 'a')], /leads nowhere/],
  ['a hard link', [file('x'), link('manifest.json', 'x')], /type "1" has no place/],
  ['a member outside', [file('../evil', 'x')], /outside of the root/],
  ['fewer layers than its configuration', [file('manifest.json', oldManifest(['a'])), file(CONFIG_NAME, CONFIG), file('a', LAYERS[0])], /lists 2 layers, its manifest 1/],
  ['one manifest instead of a list, as docker-dir has', [file('manifest.json', '{"schemaVersion":2,"layers":[]}')], /docker-dir.*save it as/],
  ['no image', [file('manifest.json', '[]')], /lists none/],
  ['neither manifest nor index', [file('x')], /neither manifest.json nor index.json/],
];

for (const [what, members, error] of hostileDocker) {
  test(`M02: a docker archive with ${what} is refused`, async () => {
    await assert.rejects(read(path('hostile.tar', archive(...members))), error);
  });
}

test('a cut docker archive is refused', async () => {
  const bytes = await collect(saveDockerArchive(saved()));
  await assert.rejects(read(path('cut.tar', bytes.subarray(0, 200_000))), /cut off|unexpected end/);
});

type Json = Record<string, unknown>;

/** An OCI layout as a tar, with one thing changed. */
function layout(change: { manifest?: (manifest: Json) => Json; index?: (index: Json, manifest: Json) => Json; blobs?: Buffer[]; raw?: Record<string, string> } = {}): Buffer {
  const descriptor = (bytes: Buffer, mediaType: string): Json => ({ mediaType, digest: sha256(bytes), size: bytes.length });
  const plain: Json = { schemaVersion: 2, config: descriptor(CONFIG, 'application/vnd.oci.image.config.v1+json'), layers: LAYERS.map((bytes) => descriptor(bytes, 'application/vnd.oci.image.layer.v1.tar')) };
  const manifest = json(change.manifest?.(plain) ?? plain);
  const manifestDescriptor = descriptor(manifest, 'application/vnd.oci.image.manifest.v1+json');
  const index = { schemaVersion: 2, manifests: [manifestDescriptor] };
  const blobs = [manifest, CONFIG, ...LAYERS, ...(change.blobs ?? [])].map((bytes) => file(`blobs/sha256/${hex(bytes)}`, bytes));
  const files = { 'oci-layout': '{"imageLayoutVersion":"1.0.0"}', 'index.json': JSON.stringify(change.index?.(index, manifestDescriptor) ?? index), ...change.raw };
  return archive(...blobs, ...Object.entries(files).map(([name, text]) => file(name, text)));
}

const layersOf = (manifest: Json): Json[] => manifest.layers as Json[];
const withFirstLayer = (fields: Json) => (manifest: Json): Json => ({ ...manifest, layers: [{ ...layersOf(manifest)[0], ...fields }, layersOf(manifest)[1]] });
const nested = (depth: number): { blobs: Buffer[]; top: Json } => {
  const blobs: Buffer[] = [];
  let top: Json = { mediaType: 'application/vnd.oci.image.index.v1+json', digest: sha256('x'), size: 1 };
  for (let level = 0; level < depth; level++) {
    const bytes = json({ schemaVersion: 2, manifests: [top] });
    blobs.push(bytes);
    top = { mediaType: 'application/vnd.oci.image.index.v1+json', digest: sha256(bytes), size: bytes.length };
  }
  return { blobs, top };
};
const deep = nested(1000);

const hostileOci: [id: string, what: string, bytes: Buffer, error: RegExp][] = [
  ['M01', 'a digest that climbs', layout({ manifest: withFirstLayer({ digest: 'sha256:../../x' }) }), /isn't a sha256 digest/],
  ['M01', 'a wrong size', layout({ manifest: withFirstLayer({ size: 5 }) }), /bytes, not 5/],
  ['M01', 'a missing layer', layout({ manifest: withFirstLayer({ digest: sha256('other') }) }), /is missing/],
  ['M01', 'no layers', layout({ manifest: (manifest) => ({ ...manifest, layers: [] }) }), /no layers/],
  ['M01', '10,000 layers', layout({ manifest: (manifest) => ({ ...manifest, layers: Array.from({ length: 10_000 }, () => layersOf(manifest)[0]) }) }), /10000 layers/],
  ['M01', 'a configuration that is a layer', layout({ manifest: (manifest) => ({ ...manifest, config: { ...layersOf(manifest)[0], mediaType: 'application/vnd.oci.image.config.v1+json' } }) }), /configuration/],
  ['M01', 'a manifest over 4 MiB', layout({ manifest: (manifest) => ({ ...manifest, x: 'x'.repeat(5 * 2 ** 20) }) }), /over 4194304/],
  ['M03', 'indexes 1000 deep', layout({ blobs: deep.blobs, index: (index) => ({ ...index, manifests: [deep.top] }) }), /nested over 4 deep/],
  ['M03', 'a key that comes twice', layout({ raw: { 'index.json': '{"manifests":[],"manifests":[]}' } }), /"manifests" comes twice/],
  ['M03', 'JSON nested without end', layout({ raw: { 'index.json': '['.repeat(100_000) } }), /nested over 64/],
  ['M03', 'both manifests and layers', layout({ index: (index) => ({ ...index, layers: [] }) }), /both an index and a manifest/],
  ['M05', 'a layer elsewhere', layout({ manifest: withFirstLayer({ digest: sha256('other'), urls: ['file:///etc/passwd'] }) }), /never fetched/],
  ['M05', 'an unknown layer type', layout({ manifest: withFirstLayer({ mediaType: 'application/vnd.oci.image.layer.v1.tar+encrypted' }) }), /can't be read/],
];

for (const [id, what, bytes, error] of hostileOci) {
  test(`${id}: an OCI layout with ${what} is refused`, async () => {
    await assert.rejects(read(path('hostile.tar', bytes)), error);
  });
}

test('M01: a layer whose bytes aren\'t its digest\'s is refused at its end', async () => {
  const bytes = layout();
  const at = bytes.indexOf(LAYERS[0]);
  bytes[at + 520] ^= 1;
  await assert.rejects(read(path('flipped.tar', bytes)), /its digest is/);
});

test('an index of several platforms gives the one for this machine, or says what there is', async () => {
  const own = ({ x64: 'amd64' } as Record<string, string>)[process.arch] ?? process.arch;
  const index = (architectures: string[]) => (plain: Json, manifest: Json): Json => ({ ...plain, manifests: architectures.map((architecture) => ({ ...manifest, platform: { os: 'linux', architecture } })) });
  assert.equal((await read(path('multi.tar', layout({ index: index(['s390x', own]) })))).images.length, 1);
  await assert.rejects(read(path('multi.tar', layout({ index: index(['s390x', 'mips64le']) }))), /there is linux\/s390x, linux\/mips64le/);
});

test('a blob that is a symlink in a layout\'s directory isn\'t followed', async () => {
  const directory = join(work, 'linked');
  mkdirSync(directory);
  symlinkSync('/etc/passwd', join(directory, 'index.json'));
  await assert.rejects(read(directory), /ELOOP/);
});

const SKOPEO = '/usr/bin/skopeo';
const skopeo = (...args: string[]): Buffer => run(SKOPEO, ['--insecure-policy', ...args]);

test('skopeo reads what we write, and we read what skopeo writes', needs(SKOPEO), async () => {
  const ours = path('ours.tar', await collect(saveDockerArchive(saved())));
  await saveOciDirectory(saved(), join(work, 'ours'));
  const targets: [from: string, to: string, file: string][] = [
    [`docker-archive:${ours}`, `oci:${join(work, 'sk-oci')}:${NAME}`, 'sk-oci'],
    [`oci:${join(work, 'ours')}:${NAME}`, `docker-archive:${join(work, 'sk.tar')}:test:1`, 'sk.tar'],
    [`docker-archive:${ours}`, `oci-archive:${join(work, 'sk-oci.tar')}:test:1`, 'sk-oci.tar'],
  ];
  for (const [from, to, file] of targets) {
    skopeo('copy', '-q', from, to);
    assert.deepEqual((await read(join(work, file))).images.map(({ names, layers }) => ({ names, layers })), [{ names: [NAME], layers: LAYERS }], to);
  }
  skopeo('copy', '-q', '--dest-compress-format=zstd', `docker-archive:${ours}`, `oci:${join(work, 'sk-zstd')}:test:1`);
  assert.deepEqual((await read(join(work, 'sk-zstd'))).images[0].layers, LAYERS);
});

test('umoci\'s images are read', needs('/usr/bin/umoci'), async () => {
  const directory = join(work, 'umoci');
  mkdirSync(join(work, 'files'));
  writeFileSync(join(work, 'files', 'a'), 'data');
  run('/usr/bin/umoci', ['init', '--layout', directory]);
  run('/usr/bin/umoci', ['new', '--image', `${directory}:mine`]);
  run('/usr/bin/umoci', ['insert', '--rootless', '--image', `${directory}:mine`, join(work, 'files'), '/files']);
  const { images } = await read(directory);
  assert.deepEqual([images.length, images[0].layers.length, images[0].names], [1, 1, ['docker.io/library/mine:latest']]);
});
