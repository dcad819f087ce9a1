import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import { DirectoryBlobs, spool, TarBlobs, type BlobSource } from './blob-source.ts';
import { compressionOf } from './compression.ts';
import { readDockerArchive } from './docker-archive.ts';
import { readOciLayout } from './oci-layout.ts';

/** One layer of an image, not read yet. */
export interface ImageLayer {
  /** Of the uncompressed archive, as the configuration claims: whoever applies it has to compare. */
  diffId: string;
  /** Of the bytes as they are in the image, where it says one; `open` verifies it. */
  digest?: string;
  /** The archive's bytes, perhaps compressed. Ends with an error where they aren't what the image says. */
  open(): AsyncIterable<Buffer>;
}

export interface Image {
  /** In full ("docker.io/library/debian:12"); an image may have none. */
  names: string[];
  /** The configuration's exact bytes: their sha256 is the image's id. */
  config: Buffer;
  /** From the bottom up. */
  layers: ImageLayer[];
}

/** Images found in a place; layers can be read until it is closed. */
export interface ImageSource {
  kind: 'docker-archive' | 'oci-layout';
  images: Image[];
  close(): void;
}

export interface OpenImagesOptions {
  /** Where a tar that can't be read in place (compressed, or from a pipe) may be put, in a file without a name. */
  spoolDirectory: string;
  signal?: AbortSignal;
}

/** Opens what `docker save`, skopeo, umoci, podman or buildah wrote: an OCI layout as directory or tar, or a docker archive; tars may be compressed, or a stream. */
export async function openImages(from: string | AsyncIterable<Buffer>, options: OpenImagesOptions): Promise<ImageSource> {
  const source = typeof from === 'string' ? await openPath(from, options) : new TarBlobs(await spool(from, options.spoolDirectory, options.signal));
  try {
    const kind = source.size('manifest.json') !== undefined ? 'docker-archive' : source.size('index.json') !== undefined ? 'oci-layout' : undefined;
    if (kind === undefined) throw new UfsError('UFS_IMAGE_INVALID', `Cannot read ${typeof from === 'string' ? from : 'the image'}: it has neither manifest.json nor index.json, so it is no docker archive and no OCI layout`);
    const images = kind === 'docker-archive' ? await readDockerArchive(source) : await readOciLayout(source);
    return { kind, images, close: () => source.close() };
  } catch (error) {
    source.close();
    throw error;
  }
}

async function openPath(path: string, options: OpenImagesOptions): Promise<BlobSource> {
  const stat = statSync(path);
  if (stat.isDirectory()) return new DirectoryBlobs(path);
  if (!stat.isFile()) return new TarBlobs(await spool(createReadStream(path) as AsyncIterable<Buffer>, options.spoolDirectory, options.signal));
  const fd = openSync(path, 'r');
  const start = Buffer.alloc(16);
  if (compressionOf(start.subarray(0, readSync(fd, start, 0, start.length, 0))) === 'none') return new TarBlobs(fd);
  closeSync(fd);
  return new TarBlobs(await spool(createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>, options.spoolDirectory, options.signal));
}
