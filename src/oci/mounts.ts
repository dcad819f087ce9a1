import { inInitialUserNamespace } from '../../fs/host/process.ts';
import { nameFromText } from '../../fs/name.ts';
import { findMountOf } from '../../fs/transport/mounts.ts';
import type { MountPoint } from '../volume/mount-point.ts';
import { tmpfsMountOptions } from '../volume/tmpfs.ts';
import type { OciMount } from './defaults.ts';

/** What the kernel doesn't let go of in a user namespace. */
const LOCKED = ['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'relatime'];

/** A mount point whose source is at `path`, as a runtime takes it. `recursive`: whether that can make all mounts below a bind read-only. */
export function ociMountOf(point: MountPoint, path: string, { recursive }: { recursive: boolean }): OciMount {
  const { destination } = point;
  if (point.type === 'tmpfs') return { destination, type: 'tmpfs', source: 'tmpfs', options: tmpfsMountOptions(point) };
  const { nonRecursive = false, readOnlyNonRecursive = false } = point.spec.bindOptions ?? {};
  const options = [nonRecursive ? 'bind' : 'rbind'];
  if (!point.rw) options.push(recursive && !readOnlyNonRecursive ? 'rro' : 'ro');
  options.push(point.propagation === '' ? 'rprivate' : point.propagation);
  return { destination, type: 'bind', source: path, options: [...options, ...(inInitialUserNamespace() ? [] : lockedOptions(path))] };
}

function lockedOptions(path: string): string[] {
  return (findMountOf(nameFromText(path))?.options ?? '').split(',').filter((word) => LOCKED.includes(word));
}

/** What the root file system has to be for mounts to be passed on as these want it (moby, daemon/oci_linux.go). */
export function rootPropagation(points: readonly MountPoint[]): 'rslave' | 'shared' | undefined {
  if (points.some(({ propagation }) => propagation.endsWith('shared'))) return 'shared';
  return points.some(({ propagation }) => propagation.endsWith('slave')) ? 'rslave' : undefined;
}
