import { nameFromText, nameToText } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';
import { readSmall, verified, type BlobSource } from './blob-source.ts';
import { CONFIG_MAX, diffIdsOf, MANIFEST_MAX } from './image-config.ts';
import { tryFullImageName } from './image-name.ts';
import type { Image, ImageLayer } from './image.ts';
import { cleanPath } from './member-name.ts';
import { jsonArray, jsonObject, jsonString, parseStrictJson } from './strict-json.ts';

/** The images of a docker archive: what manifest.json lists, by the members it names. Both the old form (`<id>/layer.tar`) and the one that is an OCI layout as well. */
export async function readDockerArchive(source: BlobSource): Promise<Image[]> {
  const value = parseStrictJson(await readSmall(source, 'manifest.json', MANIFEST_MAX), 'manifest.json');
  if ('layers' in jsonObject(value)) {
    throw new UfsError('UFS_IMAGE_INVALID', 'Cannot read the image: it is what podman calls docker-dir and skopeo dir, which names no image; save it as docker-archive, oci-archive or oci-dir');
  }
  const manifest = jsonArray(value);
  if (manifest.length === 0) throw new UfsError('UFS_IMAGE_INVALID', 'Cannot read the image: manifest.json lists none');
  const images: Image[] = [];
  for (const item of manifest) {
    const { Config, RepoTags, Layers } = jsonObject(item);
    const configName = memberName(Config);
    const config = await readVerified(source, configName);
    const layerNames = jsonArray(Layers).map(memberName);
    const diffIds = diffIdsOf(config, layerNames.length);
    const layers = layerNames.map((name, index) => layerOf(source, name, diffIds[index]));
    images.push({ names: jsonArray(RepoTags).map((tag) => tryFullImageName(jsonString(tag))).filter((name) => name !== undefined), config, layers });
  }
  return images;
}

function memberName(value: unknown): string {
  const text = jsonString(value);
  const name = text === '' ? '' : cleanPath(nameFromText(text));
  if (name === '') throw new UfsError('UFS_IMAGE_INVALID', 'Cannot read manifest.json: a file\'s name is missing');
  return name;
}

/** The digest in a name of the new form. */
function digestOf(name: string): string | undefined {
  const [, hex] = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name) ?? [];
  return hex === undefined ? undefined : `sha256:${hex}`;
}

async function readVerified(source: BlobSource, name: string): Promise<Buffer> {
  const bytes = await readSmall(source, name, CONFIG_MAX);
  const digest = digestOf(name);
  if (digest !== undefined) for await (const _ of verified((async function* () { yield bytes; })(), { digest }, `"${name}"`)) { /* only its end counts */ }
  return bytes;
}

function layerOf(source: BlobSource, name: string, diffId: string): ImageLayer {
  if (source.size(name) === undefined) throw new UfsError('UFS_IMAGE_INVALID', `Cannot read the image: layer "${nameToText(name)}" is missing`);
  const digest = digestOf(name);
  const open = (): AsyncIterable<Buffer> => source.open(name);
  if (digest === undefined) return { diffId, open };
  return { diffId, digest, open: () => verified(open(), { digest }, `layer "${name}"`) };
}
