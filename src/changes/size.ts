import type { Layer } from '../../fs/layer/layer.ts';
import { isDirectory } from '../../fs/stat.ts';
import type { TreeChange } from './changes.ts';

/** The bytes a list of changes adds: the sizes of what is added or modified, each file with several names once, directories and deletions nothing. */
export function changesSize<N>(layer: Layer<N>, changes: readonly TreeChange<N>[]): number {
  const seen = new Set<string>();
  let size = 0;
  for (const { node, stat } of changes) {
    if (node === undefined || stat === undefined || isDirectory(stat)) continue;
    if (stat.nlink > 1) {
      const identity = layer.identity(node);
      if (seen.has(identity)) continue;
      seen.add(identity);
    }
    size += stat.size;
  }
  return size;
}
