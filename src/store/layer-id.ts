import { createHash } from 'node:crypto';
import { UfsError } from '../errors.ts';

/** The chain id of a layer, "sha256:<64 hex digits>": it names the layer together with all below it. */
export type LayerId = string & { readonly brand: 'LayerId' };

const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** Fewer digits name nothing: a slip of the keyboard shouldn't find something. */
const PREFIX = /^(?:sha256:)?[0-9a-f]{4,64}$/;
const CONTAINER_ID = /^[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,254}$/;

/** Refuses what isn't a whole sha256 digest in OCI's spelling. */
export function checkDigest(text: string, what: string): string {
  if (!DIGEST.test(text)) throw new UfsError('UFS_BAD_ID', `Cannot use ${JSON.stringify(text)} as ${what}: not "sha256:" and 64 hex digits`);
  return text;
}

export function toLayerId(text: string): LayerId {
  return checkDigest(text, 'a layer id') as LayerId;
}

/** The id of a layer (OCI image-spec, "ChainID"): that of its own diff for the first one, else of the parent's chain and the diff. */
export function chainId(parent: LayerId | undefined, diffId: string): LayerId {
  checkDigest(diffId, 'a diff id');
  return (parent === undefined ? diffId : `sha256:${createHash('sha256').update(`${parent} ${diffId}`).digest('hex')}`) as LayerId;
}

/** Refuses ids (and names) of containers that could be anything but one plain word. */
export function checkContainerId(id: string, what = 'a container id'): string {
  if (!CONTAINER_ID.test(id)) throw new UfsError('UFS_BAD_ID', `Cannot use ${JSON.stringify(id.slice(0, 300))} as ${what}: only letters, digits and _ . : - are allowed, 255 at most, and no dot in front`);
  return id;
}

/** The hex digits an id may be looked up by; undefined where `text` can't be the beginning of one. */
export function digestPrefix(text: string): string | undefined {
  return PREFIX.test(text) ? text.replace(/^sha256:/, '') : undefined;
}

/** An id as people see it: 12 hex digits. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}
