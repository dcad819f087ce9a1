import { isAbsolute } from 'node:path';
import { UfsError } from '../errors.ts';
import type { MountSpec } from '../mount/spec.ts';
import { parseArguments } from './arguments.ts';
import { overlayMount } from './options.ts';

/** What the mount program's words, said in a directory, ask to mount. UFS_USAGE. `unknown`: words that mean nothing. */
export function mountAsked({ argv, cwd }: { argv: readonly string[]; cwd: string }): { spec: MountSpec; unknown: string[] } {
  const { options, target, unknown } = parseArguments(argv);
  if (target === undefined) throw new UfsError('UFS_USAGE', 'Cannot mount: no directory to mount on; --help tells how');
  if (!isAbsolute(cwd)) throw new UfsError('UFS_USAGE', `Cannot mount on "${target}": the current directory is gone`);
  const { spec, unknown: ignored } = overlayMount(options, target, cwd, {
    passthrough: 'auto', mount: { source: 'ufs-overlay', subtype: 'ufs-overlay', noatime: true },
    // An upper directory is to be read by fuse-overlayfs as well, which follows none.
    redirects: false,
  });
  return { spec, unknown: [...unknown, ...ignored] };
}
