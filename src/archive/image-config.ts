import { UfsError } from '../errors.ts';
import { jsonArray, jsonObject, jsonString, parseStrictJson } from './strict-json.ts';

/** Bytes of a manifest or index, and of a configuration, at most. */
export const MANIFEST_MAX = 4 * 1024 * 1024;
export const CONFIG_MAX = 8 * 1024 * 1024;
/** Layers of one image: many times what any container tool makes. */
const LAYERS_MAX = 1000;

export const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** The diffIDs a configuration lists, from the bottom up; they have to be as many as the layers. */
export function diffIdsOf(config: Buffer, layerCount: number): string[] {
  const refuse = (reason: string): UfsError => new UfsError('UFS_IMAGE_INVALID', `Cannot read the image: ${reason}`);
  const { rootfs } = jsonObject(parseStrictJson(config, 'the image\'s configuration'));
  const diffIds = jsonArray(jsonObject(rootfs).diff_ids).map(jsonString);
  if (layerCount === 0) throw refuse('it has no layers');
  if (layerCount > LAYERS_MAX) throw refuse(`it has ${layerCount} layers, over ${LAYERS_MAX}`);
  if (diffIds.length !== layerCount) throw refuse(`its configuration lists ${diffIds.length} layers, its manifest ${layerCount}`);
  const wrong = diffIds.find((diffId) => !DIGEST.test(diffId));
  if (wrong !== undefined) throw refuse(`"${wrong}" isn't a sha256 digest`);
  return diffIds;
}

/** "sha256:<hex>" → where a layout keeps it. */
export function blobName(digest: string): string {
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}
