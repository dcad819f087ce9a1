import type { Name } from '../name.ts';
import type { Stat } from '../stat.ts';
import type { SavedAttributes } from '../layer/file-marks.ts';
import type { DirectoryMarks } from '../layer/upper.ts';
import type { FileHandle } from './handles.ts';
import type { LowerDirectory } from './merge.ts';

/** A name of a file. */
export interface Link {
  parent: Node;
  name: Name;
}

/**
 * A file the kernel knows (or knows something below of). It holds no descriptor of its own as long as it has a name.
 * INVARIANT: for every `link`, `link.parent.children.get(link.name)` is this node.
 * INVARIANT: a node without links, but the root, is `removed`: the kernel has it open or about to be forgotten.
 */
export interface Node {
  readonly id: number;
  /** S_IFMT bits. */
  readonly type: number;
  /** Names the kernel has looked up; hard links may have more. Change it through the table. */
  links: Link[];
  /** The file is in the upper; else only in the lower. */
  upper: boolean;
  /**
   * Of a metadata-only copy in the upper, whose data is that of `lower`: its path there (undefined where no name leads to it any more), and whether the copy
   * says so itself, by which it is found whatever it is called.
   */
  data: { path: Name | undefined; redirected: boolean } | undefined;
  /** Of a metadata-only copy data is being copied into, which shows these meanwhile. */
  saved: SavedAttributes | undefined;
  /** Copying data into it moves the host's ctime, to `host` when it is done: till that moves again users are told the one `shown`. */
  ctime: { shown: Pick<Stat, 'ctimeSec' | 'ctimeNsec'>; host: Pick<Stat, 'ctimeSec' | 'ctimeNsec'> | undefined } | undefined;
  /** The layer's handle: of a file in the lower (also once it was copied up), or of what an upper directory is merged with. */
  lower: unknown;
  /** A directory's, where `lower` is. */
  lowerPath: Name | undefined;
  /** st_ino, where it isn't the host's of the upper file. */
  ino: number | undefined;
  /** Its key in the link index: a file that has, or had, several names in the lower. */
  linkKey: Name | undefined;
  /** Times the kernel counts on being told once more. Only `remember` and `forget` of the table change it. */
  lookups: number;
  /** Work that goes on across a promise: the node stays. */
  busy: number;
  children: Map<Name, Node> | undefined;
  /** A directory's in the upper, read when first needed. */
  marks: DirectoryMarks | undefined;
  /** An O_PATH descriptor of an upper file that has no (known) name any more. */
  orphan: number | undefined;
  removed: boolean;
  handles: Set<FileHandle> | undefined;
  /** Backing file of all its passthrough opens. */
  backing: { id: number; upper: boolean } | undefined;
  /** A directory's default ACL; null where it has none, undefined where that isn't known. */
  defaultAcl: Buffer | null | undefined;
  /** Written to around the mount's page cache. */
  stalePages: boolean;
  /** Known not to have setuid, setgid: a write needn't look. */
  unprivileged: boolean;
  copyUp: Promise<void> | undefined;
  /** What is shown of a removed lower file that isn't copied up for it: times, or all that its copy had. */
  times: Partial<Stat> | undefined;
  /** What the table finds it by besides its id. */
  keys: string[] | undefined;
}

export function newNode(id: number, type: number): Node {
  return {
    id, type, links: [], upper: false, data: undefined, saved: undefined, ctime: undefined, lower: undefined, lowerPath: undefined, ino: undefined, linkKey: undefined, lookups: 0, busy: 0, children: undefined,
    marks: undefined, defaultAcl: undefined, orphan: undefined, removed: false, handles: undefined, backing: undefined, stalePages: false, unprivileged: false, copyUp: undefined,
    times: undefined, keys: undefined,
  };
}

export function lowerDirectory(node: Node): LowerDirectory | undefined {
  return node.lower === undefined || node.lowerPath === undefined ? undefined : { node: node.lower, path: node.lowerPath };
}
