import { realpathSync } from 'node:fs';
import { FsError } from '../../fs/errno.ts';
import type { Layer, LayerEntry } from '../../fs/layer/layer.ts';
import { nameToText, type Name } from '../../fs/name.ts';
import { isDirectory, isRegular, isSymlink, type Stat } from '../../fs/stat.ts';
import { UfsError } from '../errors.ts';
import { linkKey, type Entry, type Tree } from '../tree/entry.ts';
import { openContent } from './content.ts';
import type { IndexDatabase } from './index-database.ts';
import { shortId, type LayerId } from './layer-id.ts';
import { readManifest } from './manifest.ts';
import type { ObjectReader } from './object-reader.ts';
import { readStoreFile } from './opening.ts';
import { contentPath, manifestPath, StorePaths } from './paths.ts';
import type { LayerRecord } from './records.ts';
import { openSharedIndex } from './shared-index.ts';
import { treeOf } from './state.ts';

/** Inode numbers of indexed layers start here, above what host file systems give; each layer has 2^32 of them. */
const FIRST_INO = 2 ** 52;
const INODES_PER_LAYER = 2 ** 32;
/** More layers than this share numbers; no inode number reaches 2^53. */
const LAYER_RANGES = 2 ** 20;
const BLOCK_SIZE = 4096;

export interface IndexedLayerOptions {
  paths: StorePaths;
  /** Of the store: directories of two stores are never taken to be equal unread. */
  uuid: string;
  reader: ObjectReader;
  tree: Tree;
  /** The layers of the chain, for `origin`. */
  chain: readonly LayerRecord[];
  onClose?: () => void;
}

/** A layer of the store with all below it, answered from the index: no system call but in `open`. Nodes are entries. */
export class IndexedLayer implements Layer<Entry> {
  readonly root: Entry;
  readonly #paths: StorePaths;
  readonly #uuid: string;
  readonly #reader: ObjectReader;
  readonly #links: ReadonlyMap<string, number>;
  readonly #origins: ReadonlyMap<number, string>;
  #onClose: (() => void) | undefined;

  constructor({ paths, uuid, reader, tree, chain, onClose }: IndexedLayerOptions) {
    this.root = tree.root;
    this.#paths = paths;
    this.#uuid = uuid;
    this.#reader = reader;
    this.#links = tree.links;
    this.#origins = new Map(chain.map(({ number, id }) => [number, shortId(id)]));
    this.#onClose = onClose;
  }

  lookup(directory: Entry, name: Name): Entry | undefined {
    if (directory.object === undefined) throw new FsError('ENOTDIR', `Cannot look up "${nameToText(name)}" in "${nameToText(directory.name)}"`);
    return reading(() => this.#reader.lookup(directory, name));
  }

  list(directory: Entry): LayerEntry<Entry>[] {
    if (directory.object === undefined) throw new FsError('ENOTDIR', `Cannot list "${nameToText(directory.name)}"`);
    return reading(() => this.#reader.list(directory)).map((node) => ({ name: node.name, node, ino: inodeNumber(node), mode: node.mode }));
  }

  stat(node: Entry): Stat {
    const { mode, uid, gid, rdevMajor, rdevMinor, mtimeSec, mtimeNsec } = node;
    const directory = isDirectory(node);
    const size = directory ? BLOCK_SIZE : node.size;
    return {
      mode, uid, gid, size, rdevMajor, rdevMinor,
      blocks: isSymlink(node) ? 0 : Math.ceil(size / BLOCK_SIZE) * (BLOCK_SIZE / 512),
      blockSize: BLOCK_SIZE,
      nlink: directory ? 2 + (node.subdirectories ?? 0) : node.linked ? (this.#links.get(linkKey(node)) ?? 1) : 1,
      ino: inodeNumber(node),
      // An archive keeps one time; the others are as a file system that never changed the file would have them.
      atimeSec: mtimeSec, atimeNsec: mtimeNsec, mtimeSec, mtimeNsec, ctimeSec: mtimeSec, ctimeNsec: mtimeNsec, btimeSec: 0, btimeNsec: 0,
    };
  }

  identity(node: Entry): string {
    return linkKey(node);
  }

  readlink(node: Entry): Name {
    if (node.target === undefined) throw new FsError('EINVAL', `Cannot read the symlink "${nameToText(node.name)}": it is none`);
    return node.target;
  }

  listXattr(node: Entry): Name[] {
    return [...node.xattrs.keys()];
  }

  getXattr(node: Entry, name: Name): Buffer | undefined {
    return node.xattrs.get(name);
  }

  open(node: Entry): number {
    if (!isRegular(node)) throw new FsError(isDirectory(node) ? 'EISDIR' : 'EINVAL', `Cannot open "${nameToText(node.name)}": not a regular file`);
    const { content } = node;
    return reading(() => openContent(content === undefined ? this.#paths.empty : contentPath(this.#paths.layer(node.layer), content.digest)));
  }

  isElf(node: Entry): boolean {
    return node.content?.elf === true;
  }

  subtreeKey(node: Entry): string | undefined {
    // The object holds what is below, the inode what the directory itself is.
    return node.object && `${this.#uuid}:${node.layer}:${node.inode}:${node.object}`;
  }

  origin(node: Entry): string {
    return this.#origins.get(node.layer) ?? `layer ${node.layer}`;
  }

  close(): void {
    this.#onClose?.();
    this.#onClose = undefined;
  }
}

function inodeNumber({ layer, inode }: Entry): number {
  return FIRST_INO + (layer % LAYER_RANGES) * INODES_PER_LAYER + inode;
}

/** What goes wrong in the store is EIO to the file system. */
function reading<T>(action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw cause instanceof UfsError ? new FsError('EIO', cause.message, { cause }) : cause;
  }
}

/**
 * Opens a layer in a worker thread of the process that has the store open (in the same one `store.openLayer` does). Takes plain data, so it can be
 * told in a message. The caller sees to it that the layer stays: `store.use` in the thread that has the store.
 */
export async function openIndexedLayer({ root, layerId }: { root: string; layerId: LayerId }): Promise<IndexedLayer> {
  const paths = new StorePaths(realpathSync(root));
  const { uuid } = readStoreFile(paths);
  const { index, reader, close } = await openSharedIndex(paths.index, uuid);
  try {
    const chain = await readChain(paths, index, layerId);
    const tree = treeOf(chain[chain.length - 1], reader);
    return new IndexedLayer({ paths, uuid, reader, tree, chain, onClose: () => void close() });
  } catch (error) {
    await close();
    throw error;
  }
}

async function readChain(paths: StorePaths, index: IndexDatabase, top: LayerId): Promise<LayerRecord[]> {
  const numbers = new Map<string, number>();
  for (const [number, note] of await index.layers()) numbers.set(note.split(' ')[0], number);
  const chain: LayerRecord[] = [];
  for (let id: LayerId | undefined = top; id !== undefined; id = chain[0].parent) {
    const number = numbers.get(id);
    if (number === undefined) throw new UfsError('UFS_LAYER_NOT_FOUND', `Cannot open layer ${shortId(top)}: the store has no layer ${shortId(id)}`);
    chain.unshift(readManifest(manifestPath(paths.layer(number))) as LayerRecord);
  }
  return chain;
}
