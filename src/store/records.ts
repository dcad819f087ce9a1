import type { ObjectKey } from '../tree/entry.ts';
import type { LayerId } from './layer-id.ts';

export type Labels = Readonly<Record<string, string>>;

/** An applied layer: read-only, its metadata in the index, its data in its content directory. */
export interface LayerRecord {
  kind: 'layer';
  /** Names its directory below layers/, and is what `Entry.layer` says. Greater than its parent's. */
  number: number;
  id: LayerId;
  parent?: LayerId;
  /** sha256 of the uncompressed archive. */
  diffId: string;
  /** Bytes of the uncompressed archive. */
  archiveSize: number;
  /** Bytes of file data the layer brings, hard links once. */
  size: number;
  /** Bytes of file data written for it: what no other layer had. */
  ownBytes: number;
  /** The root's Entry, encoded, in base64. */
  root: string;
  /** The object with the link counts; absent where no inode has several names. */
  links?: ObjectKey;
  /** How many objects the layer made: what its file `objects` holds. */
  objects: number;
  created: string;
  labels: Labels;
  /** Its data is in another store, of this identity, as layer of this number there: see borrow.ts. */
  borrowed?: { store: string; number: number };
}

/** A writable layer on top of an applied one, of another container, or of nothing. */
export interface ContainerRecord {
  kind: 'container';
  number: number;
  id: string;
  name?: string;
  parent?: LayerId;
  /** The id of the container it stands on, instead of on a layer. That one isn't written to any more. */
  on?: string;
  /** The layer that was made of it: all of it, with what it stands on. It isn't written to any more. */
  sealed?: LayerId;
  /** The id of the image it was made from, for people. */
  image?: string;
  created: string;
  labels: Labels;
}

export type Manifest = LayerRecord | ContainerRecord;

export interface ImageRecord {
  /** "sha256:" and the digest of `config`. */
  id: string;
  /** Sorted. */
  names: readonly string[];
  /** Bottom first, as the config's rootfs.diff_ids. */
  layers: readonly LayerId[];
  config: Buffer;
  created: string;
  /** The root of the additional store it is in; absent for one of this store. */
  store?: string;
}
