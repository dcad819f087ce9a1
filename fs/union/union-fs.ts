import type { Name } from '../name.ts';
import type { Layer } from '../layer/layer.ts';
import type { Helpers } from './helpers.ts';

export interface UnionOptions {
  /** The read-only tree below; it stays the caller's, to be closed after `destroy`. */
  lower: Layer;
  /** Where changes go: a directory, and an empty one beside it (same file system) to build things in. Paths or descriptors. Absent: a read-only mount. */
  upper?: { directory: Name | number; work: Name | number };
  /** Threads for long work, shared by the mounts of a server (`new Helpers({ wakeFd: server.wakeFd })`, `onWake: () => helpers.drain()`). Absent: all work is done at once. */
  helpers?: Helpers;
  /** Which files the kernel reads and writes without us; 'auto' unless told. */
  passthrough?: 'auto' | 'always' | 'never';
  /** Nothing is ever synced: for what a crash may take. */
  volatile?: boolean;
  /** What statfs(2) tells of where there is no upper: a path or descriptor. */
  statistics?: Name | number;
}
