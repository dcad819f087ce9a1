import { close, openPath } from '../../fs/host/at.ts';
import { O_DIRECTORY, O_RDONLY } from '../../fs/host/constants.ts';
import { syncfs } from '../../fs/host/file.ts';
import { nameFromText, nameToText } from '../../fs/name.ts';
import type { Mounted } from '../mount/mounter.ts';
import type { Container } from '../store/containers.ts';
import type { Context } from './context.ts';

/** The mount of a container in this process; undefined where it isn't mounted. */
export function mountOf(context: Context, container: Container): Mounted | undefined {
  const directory = nameFromText(container.diff);
  return context.mounter.mounts().find(({ spec }) => spec.upper?.directory === directory);
}

/** Where a container is mounted. */
export function mountedAt(context: Context, container: Container): string | undefined {
  const mounted = mountOf(context, container);
  return mounted === undefined ? undefined : nameToText(mounted.spec.target);
}

/** Brings what programs wrote through a container's mount into its layer: without passthrough the kernel keeps writes back for a while. */
export function flushMount(context: Context, container: Container): void {
  const mounted = mountOf(context, container);
  if (mounted === undefined) return;
  const fd = openPath(mounted.spec.target, O_RDONLY | O_DIRECTORY);
  try {
    syncfs(fd);
  } finally {
    close(fd);
  }
}
