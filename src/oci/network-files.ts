import { existsSync } from 'node:fs';
import { hasCode } from '../../fs/errno.ts';
import { close } from '../../fs/host/at.ts';
import { O_DIRECTORY, O_PATH } from '../../fs/host/constants.ts';
import { openInRoot } from '../../fs/host/in-root.ts';
import type { OciMount } from './defaults.ts';

/** What says how names of machines are looked up. */
const FILES = ['/etc/resolv.conf', '/etc/hosts'];

/**
 * For a container with the machine's network: the machine's own files, to be read, unless something else is mounted there. `root`: a descriptor of the root file system; one without /etc, which asks
 * for nobody, gets none. `make`: whether files can be made there for them to be mounted on.
 */
export function networkFiles(root: number, mounts: readonly OciMount[], { make }: { make: boolean }): OciMount[] {
  if (!has(root, 'etc', O_DIRECTORY)) return [];
  const taken = new Set(mounts.map(({ destination }) => destination));
  return FILES.filter((path) => existsSync(path) && !taken.has('/etc') && !taken.has(path) && (make || has(root, path, 0))).map((path) => ({ destination: path, type: 'bind', source: path, options: ['bind', 'ro', 'rprivate'] }));
}

function has(root: number, path: string, flags: number): boolean {
  try {
    close(openInRoot(root, path, O_PATH | flags));
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return false;
    throw error;
  }
}
