import { UfsError } from '../errors.ts';
import { readSmall, verified, type BlobSource } from './blob-source.ts';
import { blobName, CONFIG_MAX, DIGEST, diffIdsOf, MANIFEST_MAX } from './image-config.ts';
import { tryFullImageName } from './image-name.ts';
import type { Image, ImageLayer } from './image.ts';
import { jsonArray, jsonObject, jsonString, parseStrictJson, type JsonObject } from './strict-json.ts';

const INDEX_TYPES: readonly string[] = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'];
const MANIFEST_TYPES: readonly string[] = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json'];
const CONFIG_TYPES: readonly string[] = ['application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json'];
const LAYER_TYPE = /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar|docker\.image\.rootfs\.(?:diff|foreign\.diff)\.tar)(?:[.+](?:gzip|zstd))?$/;

/** Indexes in indexes, at most. */
const DEPTH_MAX = 4;

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  /** "linux/arm64"; '' where it doesn't say. */
  platform: string;
  annotations: JsonObject;
  hasUrls: boolean;
}

/** The images of an OCI layout: each manifest that index.json lists, and of each index in it the manifest for this machine. */
export async function readOciLayout(source: BlobSource): Promise<Image[]> {
  if (source.size('oci-layout') === undefined) throw refuse('oci-layout is missing, so it is no OCI layout');
  const version = jsonString(jsonObject(parseStrictJson(await readSmall(source, 'oci-layout', MANIFEST_MAX), 'oci-layout')).imageLayoutVersion);
  if (!version.startsWith('1.')) throw refuse(`its layout is of version "${version}", not 1`);
  const index = parseDocument(await readSmall(source, 'index.json', MANIFEST_MAX), 'index.json');
  const listed = manifestsOf(index);
  const groups = new Map<string, Descriptor[]>();
  for (const descriptor of listed) {
    const name = nameOf(descriptor);
    // Several manifests under one name, or none, that tell their platforms: a choice. Others are images of their own.
    const key = descriptor.platform === '' ? descriptor.digest : `name ${name}`;
    groups.set(key, [...(groups.get(key) ?? []), descriptor]);
  }
  if (groups.size === 0) throw refuse('index.json lists no image');
  const images: Image[] = [];
  for (const group of groups.values()) {
    const descriptor = group.length === 1 ? group[0] : choose(group);
    const name = nameOf(descriptor);
    const image = await readImage(source, await resolve(source, descriptor, 0));
    // Two names of one image are two descriptors of one manifest.
    const same = images.find(({ config, layers }) => config.equals(image.config) && layers.every(({ digest }, at) => digest === image.layers[at]?.digest));
    if (same !== undefined && name !== '') same.names.push(name);
    else if (same === undefined) images.push({ names: name === '' ? [] : [name], ...image });
  }
  return images;
}

/** The descriptor of an image's manifest, found through indexes. */
async function resolve(source: BlobSource, descriptor: Descriptor, depth: number): Promise<Descriptor> {
  if (MANIFEST_TYPES.includes(descriptor.mediaType)) return descriptor;
  if (!INDEX_TYPES.includes(descriptor.mediaType)) throw refuse(`"${descriptor.mediaType}" isn't the type of an image's manifest`);
  if (depth === DEPTH_MAX) throw refuse(`its indexes are nested over ${DEPTH_MAX} deep`);
  const index = parseDocument(await readBlob(source, descriptor, MANIFEST_MAX), `index ${descriptor.digest}`);
  return resolve(source, choose(manifestsOf(index)), depth + 1);
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le', loong64: 'loong64', mipsel: 'mipsle' };

function choose(descriptors: Descriptor[]): Descriptor {
  const wanted = `linux/${ARCHITECTURES[process.arch] ?? process.arch}`;
  const found = descriptors.find(({ platform }) => platform === wanted) ?? descriptors.find(({ platform }) => platform.startsWith(`${wanted}/`)) ?? descriptors.find(({ platform }) => platform === '');
  if (found === undefined) throw new UfsError('UFS_IMAGE_PLATFORM', `Cannot choose an image for ${wanted}: there is ${descriptors.map(({ platform }) => platform).join(', ') || 'none'}`);
  return found;
}

async function readImage(source: BlobSource, descriptor: Descriptor): Promise<Omit<Image, 'names'>> {
  const manifest = parseDocument(await readBlob(source, descriptor, MANIFEST_MAX), `manifest ${descriptor.digest}`);
  const mediaType = jsonString(manifest.mediaType);
  if (mediaType !== '' && mediaType !== descriptor.mediaType) throw refuse(`manifest ${descriptor.digest} says it is of type "${mediaType}", its descriptor "${descriptor.mediaType}"`);
  const configDescriptor = descriptorOf(manifest.config);
  if (!CONFIG_TYPES.includes(configDescriptor.mediaType)) throw refuse(`"${configDescriptor.mediaType}" isn't the type of an image's configuration`);
  const config = await readBlob(source, configDescriptor, CONFIG_MAX);
  const layers = jsonArray(manifest.layers).map(descriptorOf);
  const diffIds = diffIdsOf(config, layers.length);
  return { config, layers: layers.map((layer, index) => layerOf(source, layer, diffIds[index])) };
}

function layerOf(source: BlobSource, { mediaType, digest, size, hasUrls }: Descriptor, diffId: string): ImageLayer {
  if (!LAYER_TYPE.test(mediaType)) throw refuse(`layer ${digest} is of type "${mediaType}", which can't be read`);
  const found = source.size(blobName(digest));
  if (found === undefined) throw refuse(`layer ${digest} is missing${hasUrls ? ', and is never fetched from the addresses it gives' : ''}`);
  if (found !== size) throw refuse(`layer ${digest} has ${found} bytes, not ${size}`);
  return { diffId, digest, open: () => verified(source.open(blobName(digest)), { digest, size }, `layer ${digest}`) };
}

async function readBlob(source: BlobSource, { digest, size }: Descriptor, max: number): Promise<Buffer> {
  if (size > max) throw refuse(`${digest} has ${size} bytes, over ${max}`);
  const bytes = await readSmall(source, blobName(digest), max);
  const pieces: Buffer[] = [];
  for await (const piece of verified((async function* () { yield bytes; })(), { digest, size }, digest)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** An index or manifest: never both, so that nobody else can take it for the other. */
function parseDocument(bytes: Buffer, what: string): JsonObject {
  const document = jsonObject(parseStrictJson(bytes, what));
  const isIndex = 'manifests' in document;
  const isManifest = 'layers' in document || 'config' in document;
  if (isIndex && isManifest) throw refuse(`${what} is both an index and a manifest`);
  return document;
}

function manifestsOf(index: JsonObject): Descriptor[] {
  const descriptors = jsonArray(index.manifests).map(descriptorOf);
  // What buildkit attaches to an image (provenance) looks like a manifest for a platform that isn't one.
  return descriptors.filter(({ platform, annotations }) => platform !== 'unknown/unknown' && annotations['vnd.docker.reference.type'] === undefined);
}

function descriptorOf(value: unknown): Descriptor {
  const object = jsonObject(value);
  const platform = jsonObject(object.platform);
  const [digest, size] = [jsonString(object.digest), object.size];
  if (!DIGEST.test(digest)) throw refuse(`"${digest}" isn't a sha256 digest`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw refuse(`${digest} has no size`);
  return {
    mediaType: jsonString(object.mediaType),
    digest,
    size,
    platform: [platform.os, platform.architecture, platform.variant].map(jsonString).filter((part) => part !== '').join('/'),
    annotations: jsonObject(object.annotations),
    hasUrls: jsonArray(object.urls).length > 0,
  };
}

/** The name an annotation gives, in full; '' where there is none. */
function nameOf({ annotations }: Descriptor): string {
  const name = jsonString(annotations['io.containerd.image.name']) || jsonString(annotations['org.opencontainers.image.ref.name']);
  return tryFullImageName(name) ?? '';
}

function refuse(reason: string): UfsError {
  return new UfsError('UFS_IMAGE_INVALID', `Cannot read the image: ${reason}`);
}
