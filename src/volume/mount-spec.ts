import { DEFAULT_PROPAGATION, defaultCopyMode } from './mode.ts';
import type { Mount } from './mount.ts';
import { MountPoint } from './mount-point.ts';
import { cleanPath } from './paths.ts';
import { type SourceExists, existsOnHost } from './source-exists.ts';
import { checkMount } from './validate.ts';

/**
 * The mount point of a mount of Docker's API, or of `--mount`; one that makes no sense is refused (UFS_USAGE) in moby's words (daemon/volume/mounts/linux_parser.go). A missing
 * source of a bind is refused unless it is to be made.
 */
export function parseMountSpec(spec: Mount, exists: SourceExists = existsOnHost): MountPoint {
  checkMount(spec, exists);
  const point = mountPointOf(spec);
  point.skipMountpointCreation = point.type === 'bind' && spec.bindOptions?.createMountpoint !== true;
  return point;
}

/** The mount point of a mount that was found to make sense. */
export function mountPointOf(spec: Mount): MountPoint {
  const common = { destination: cleanPath(spec.target as string), rw: spec.readOnly !== true, spec };
  switch (spec.type) {
    case 'bind':
      return new MountPoint({ ...common, type: 'bind', source: cleanPath(spec.source as string), propagation: spec.bindOptions?.propagation || DEFAULT_PROPAGATION });
    case 'volume': {
      const { driverConfig, noCopy } = spec.volumeOptions ?? {};
      return new MountPoint({ ...common, type: 'volume', name: spec.source, driver: driverConfig?.name, copyData: defaultCopyMode() && noCopy !== true });
    }
    default:
      return new MountPoint({ ...common, type: 'tmpfs' });
  }
}
