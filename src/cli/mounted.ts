import { nameFromText, nameToText } from '../../fs/name.ts';
import { flushMount } from '../mount/flush.ts';
import type { Mounted } from '../mount/mounter.ts';
import type { Container } from '../store/containers.ts';
import type { Context } from './context.ts';

/** The mount of a container; undefined where it isn't mounted. */
export function mountOf(context: Context, container: Container): Mounted | undefined {
  const directory = nameFromText(container.diff);
  return context.mounts().find(({ spec }) => spec.upper?.directory === directory);
}

/** Where a container is mounted. */
export function mountedAt(context: Context, container: Container): string | undefined {
  const mounted = mountOf(context, container);
  return mounted === undefined ? undefined : nameToText(mounted.spec.target);
}

/** Brings what programs wrote through a container's mount into its layer, where it is mounted. */
export function flushContainer(context: Context, container: Container): void {
  const mounted = mountOf(context, container);
  if (mounted !== undefined) flushMount(mounted);
}
