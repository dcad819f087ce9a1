import type { Name } from '../../fs/name.ts';
import type { Attributes, Content } from './change.ts';

/** The key of a directory object: the sha256 of its bytes, in hex. */
export type ObjectKey = string & { readonly brand: 'ObjectKey' };

/** One name of a merged directory: the inode behind it and where its data is. */
export interface Entry extends Attributes {
  name: Name;
  /** The number of the layer that made this inode; its data is in that layer's content directory. */
  layer: number;
  /** The inode's number in that layer, from 1; hard links share it. */
  inode: number;
  /** It has had several names: ask the tree's link counts. */
  linked: boolean;
  content?: Content;
  /** Of a directory. */
  object?: ObjectKey;
  /** Of a directory: how many directories are right in it. */
  subdirectories?: number;
  /** Of a directory: something below it is `linked`. */
  linksBelow?: boolean;
}

/** A whole root file system: its root directory (whose `name` is empty), and the link count of each inode that has several names. */
export interface Tree {
  root: Entry;
  /** By `linkKey`. An inode that isn't here has one name. */
  links: ReadonlyMap<string, number>;
}

export function linkKey(inode: { layer: number; inode: number }): string {
  return `${inode.layer}:${inode.inode}`;
}

/** Reads trees: what applying an archive asks of the layers below it. Synchronous; throws UfsError where the index is damaged. */
export interface TreeReader {
  /** The entry of that name in a directory's entry; undefined where there is none, or where `directory` isn't one. */
  lookup(directory: Entry, name: Name): Entry | undefined;
  /** All entries of a directory, in bytewise order of their names. */
  list(directory: Entry): readonly Entry[];
}

/** Where the data of a layer being made goes. Equal data is stored once. */
export interface ContentSink {
  /** Stores a whole file's data. */
  put(data: Buffer): Content;
  /** Opens a file of unknown content: `write` its pieces in order, then `finish`; `abort` leaves nothing. `skip` leaves a hole of that many bytes. */
  open(): ContentWriter;
  /** Makes an entry of a lower layer this layer's own content too (nothing is copied). */
  share(entry: Entry): Content | undefined;
}

export interface ContentWriter {
  write(data: Buffer): void;
  skip(length: number): void;
  finish(): Content;
  abort(): void;
}

/** Reads the data of a layer by digest. */
export interface ContentSource {
  /** A descriptor on the data, O_RDONLY, which the caller closes. Throws where it is missing or isn't a regular file. */
  open(digest: string): number;
}
