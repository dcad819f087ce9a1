import type { Name } from '../../fs/name.ts';

/** What an inode of a layer is, apart from its names: what an archive says of it, and what the index keeps. */
export interface Attributes {
  /** Type and permissions, as st_mode. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes: the data of a regular file, the length of a symlink's target, else 0. */
  size: number;
  mtimeSec: number;
  mtimeNsec: number;
  rdevMajor: number;
  rdevMinor: number;
  /** Of a symlink. */
  target?: Name;
  /** By full name ("security.capability"). */
  xattrs: ReadonlyMap<Name, Buffer>;
}

/** Where the data of a regular file is: its sha256 in hex names the file in the layer's content directory. Absent where the size is 0. */
export interface Content {
  digest: string;
  /** It starts with the ELF magic. */
  elf: boolean;
}

/** A new inode of a layer. Hard links are one object under several names. */
export interface NewInode {
  attributes: Attributes;
  content?: Content;
}

/**
 * What a layer does at one path. A whiteout only hides. A directory has `children`; without an inode it is implicit: the archive named only what is below it,
 * so it keeps the lower directory's attributes (else 0755, root's).
 */
export interface Change {
  /** Nothing that lower layers have at this path shows: a whiteout, a replaced file, an opaque directory. */
  hides: boolean;
  inode?: NewInode;
  children?: Map<Name, Change>;
}

/** The change at the root of a layer: a directory, implicit unless the archive has an entry for it. */
export function emptyChange(): Change {
  return { hides: false, children: new Map() };
}
