import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UfsError } from '../errors.ts';
import { verified } from './blob-source.ts';
import { BLOCK, encodeHeader, paddingOf } from './header.ts';
import { blobName } from './image-config.ts';

/** An image to write. */
export interface SavedImage {
  /** In full. */
  names: string[];
  config: Buffer;
  /** From the bottom up; `open` gives the uncompressed archive, which is verified while it is written. */
  layers: { diffId: string; size: number; open(): AsyncIterable<Buffer> }[];
}

interface SavedFile {
  name: string;
  size: number;
  open(): AsyncIterable<Buffer>;
}

/** A docker archive as a tar, which is an OCI layout as well, as Docker's own is. The same images give the same bytes. */
export function saveDockerArchive(images: SavedImage[]): AsyncIterable<Buffer> {
  const { files, configNames } = layoutFiles(images);
  const manifest = images.map(({ names, layers }, index) => ({ Config: configNames[index], RepoTags: names.filter(isTag), Layers: layers.map(({ diffId }) => blobName(diffId)) }));
  return tarOf([...files, fileOf('manifest.json', jsonBytes(manifest))]);
}

/** What `docker load` takes for a tag. In full, as podman and skopeo write it: podman takes "debian:12" for "localhost/debian:12". */
function isTag(name: string): boolean {
  return !name.includes('@');
}

/** An OCI layout as a tar. */
export function saveOciArchive(images: SavedImage[]): AsyncIterable<Buffer> {
  return tarOf(layoutFiles(images).files);
}

/** An OCI layout as a directory, which is made, or is empty. */
export async function saveOciDirectory(images: SavedImage[], directory: string): Promise<void> {
  mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
  // index.json is what makes it an image: it comes last.
  const { files } = layoutFiles(images);
  for (const file of [...files].sort((a, b) => Number(a.name === 'index.json') - Number(b.name === 'index.json'))) {
    await pipeline(Readable.from(file.open()), createWriteStream(join(directory, file.name), { flags: 'wx', mode: 0o644 }));
  }
}

function layoutFiles(images: SavedImage[]): { files: SavedFile[]; configNames: string[] } {
  const blobs = new Map<string, SavedFile>();
  const keep = (bytes: Buffer, mediaType: string): { mediaType: string; digest: string; size: number } => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    blobs.set(digest, fileOf(blobName(digest), bytes));
    return { mediaType, digest, size: bytes.length };
  };
  const configNames: string[] = [];
  const manifests = images.flatMap(({ names, config, layers }) => {
    const configDescriptor = keep(config, 'application/vnd.oci.image.config.v1+json');
    configNames.push(blobName(configDescriptor.digest));
    for (const { diffId, size, open } of layers) {
      blobs.set(diffId, { name: blobName(diffId), size, open: () => verified(open(), { digest: diffId, size }, `layer ${diffId}`) });
    }
    const manifest = keep(jsonBytes({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: configDescriptor,
      layers: layers.map(({ diffId, size }) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: diffId, size })),
    }), 'application/vnd.oci.image.manifest.v1+json');
    if (names.length === 0) return [manifest];
    return names.map((name) => ({ ...manifest, annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name } }));
  });
  const files = [...blobs.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const index = fileOf('index.json', jsonBytes({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }));
  return { files: [...files, index, fileOf('oci-layout', jsonBytes({ imageLayoutVersion: '1.0.0' }))], configNames };
}

function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function fileOf(name: string, bytes: Buffer): SavedFile {
  return { name, size: bytes.length, open: async function* () { yield bytes; } };
}

async function* tarOf(files: SavedFile[]): AsyncGenerator<Buffer> {
  for (const directory of ['blobs/', 'blobs/sha256/']) yield encodeHeader({ type: '5', name: directory, mode: 0o755 });
  for (const file of files) {
    yield encodeHeader({ type: '0', name: file.name, mode: 0o644, size: file.size });
    let size = 0;
    for await (const piece of file.open()) {
      size += piece.length;
      if (size > file.size) break;
      yield piece;
    }
    if (size !== file.size) throw new UfsError('UFS_ARCHIVE_REFUSED', `Cannot save "${file.name}": it has ${size > file.size ? 'more than' : `only ${size} of`} ${file.size} bytes`);
    yield Buffer.alloc(paddingOf(file.size));
  }
  yield Buffer.alloc(2 * BLOCK);
}
