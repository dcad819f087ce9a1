import type { Name } from '../name.ts';
import type { Stat } from '../stat.ts';

/**
 * One read-only tree, already merged: whiteouts, opaque marks and redirects of the layers below it are resolved, and no mark shows. All methods are
 * synchronous, throw FsError, and never change or follow a symlink. `N` is the layer's own handle of a file: plain data, needs no closing, and stays
 * valid as long as the layer. The same file may be given as different handles; `identity` tells whether they are one inode.
 */
export interface Layer<N = unknown> {
  readonly root: N;

  /** The file of that name in a directory; undefined where there is none. ENOTDIR where `directory` isn't one. */
  lookup(directory: N, name: Name): N | undefined;

  /** All names of a directory but "." and "..", in bytewise order or not, each once. `ino` and `mode`'s type bits are what stat would say. */
  list(directory: N): LayerEntry<N>[];

  /** `nlink` of a directory is 1 ("unknown") where counting is dear. */
  stat(node: N): Stat;

  /** A key, equal for two nodes exactly where they are the same inode (hard links), the same after each mount of the same layers. */
  identity(node: N): string;

  readlink(node: N): Name;

  /** Extended attributes as users see them: no layer-internal ones. */
  listXattr(node: N): Name[];

  /** undefined where there is none of that name. */
  getXattr(node: N, name: Name): Buffer | undefined;

  /** A descriptor, O_RDONLY | O_CLOEXEC, on a regular file's data; its offset and size are the file's. The caller closes it. */
  open(node: N): number;

  /**
   * True where the content is a program or library in ELF format; such data may be passed through to the kernel (see `--passthrough`). `fd`: a descriptor of
   * the file, where there is one.
   */
  isElf(node: N, fd?: number): boolean;

  /** A key of everything at and below a directory: where two nodes (of this or another layer) have equal ones, nothing differs. undefined where that isn't known. */
  subtreeKey(node: N): string | undefined;

  /** A name for the layer a file comes from (for a merged directory: the topmost one), for people. */
  origin(node: N): string;

  /** Frees descriptors and caches; no method may be called after it. */
  close(): void;
}

export interface LayerEntry<N> {
  name: Name;
  node: N;
  ino: number;
  mode: number;
}
