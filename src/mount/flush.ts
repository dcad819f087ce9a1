import { close, openPath } from '../../fs/host/at.ts';
import { O_DIRECTORY, O_RDONLY } from '../../fs/host/constants.ts';
import { syncfs } from '../../fs/host/file.ts';
import type { Mounted } from './mounter.ts';

/** Brings what programs wrote through a mount to its upper directory: without passthrough the kernel keeps writes back for a while. */
export function flushMount({ spec }: Mounted): void {
  const fd = openPath(spec.target, O_RDONLY | O_DIRECTORY);
  try {
    syncfs(fd);
  } finally {
    close(fd);
  }
}
