import { close, openAt, openPath, statAt, statFd, type HostStat } from '../../fs/host/at.ts';
import { O_DIRECTORY, O_PATH } from '../../fs/host/constants.ts';
import { listDirectory } from '../../fs/host/directory.ts';
import type { Layer } from '../../fs/layer/layer.ts';
import type { Name } from '../../fs/name.ts';
import { isDirectory } from '../../fs/stat.ts';
import { treeChanges } from '../changes/changes.ts';
import { changesSize } from '../changes/size.ts';
import type { Store } from '../store/store.ts';
import { openTrees, type Subject, upperOf } from './trees.ts';

/** What a layer takes. */
export interface DiskUsage {
  /** Bytes of file data, each file once; directories have none. */
  size: number;
  /** Inodes, each once: directories and its root too. */
  inodeCount: number;
}

/** What a subject takes besides what it stands on: of a container that may be written to what is on disk for it, of anything else what it changes. */
export function usageOf(store: Store, subject: Subject): DiskUsage {
  if (subject.kind === 'container' && subject.container.sealed === undefined) return usageOfDirectory(upperOf(subject.container).directory);
  const { before, after, close: closeTrees } = openTrees(store, subject);
  try {
    return usageOfChanges(before, after);
  } finally {
    closeTrees();
  }
}

const BLOCK = 512;

/** What an upper directory takes on disk: holes, and data that only the layers below have, count nothing; marks of what was removed are inodes as others. */
export function usageOfDirectory(path: Name): DiskUsage {
  const seen = new Set<number>();
  let size = 0;
  const count = (stat: HostStat): void => {
    if (seen.has(stat.ino)) return;
    seen.add(stat.ino);
    if (!isDirectory(stat)) size += Math.min(stat.size, stat.blocks * BLOCK);
  };
  const pending = [openPath(path, O_PATH | O_DIRECTORY)];
  count(statFd(pending[0] as number));
  try {
    for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
      try {
        for (const { name } of listDirectory(directory)) {
          const stat = statAt(directory, name);
          count(stat);
          if (isDirectory(stat)) pending.push(openAt(directory, name, O_PATH | O_DIRECTORY));
        }
      } finally {
        close(directory);
      }
    }
  } finally {
    for (const left of pending) close(left);
  }
  return { size, inodeCount: seen.size };
}

/** What a tree has that the one below it hasn't. */
export function usageOfChanges(before: Layer | undefined, after: Layer): DiskUsage {
  const changes = treeChanges(before, after);
  const inodes = new Set(changes.flatMap(({ node }) => (node === undefined ? [] : [after.identity(node)])));
  return { size: changesSize(after, changes), inodeCount: inodes.size };
}
