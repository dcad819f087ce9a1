import { randomBytes } from 'node:crypto';
import { hasCode } from '../../fs/errno.ts';
import { close, openPath } from '../../fs/host/at.ts';
import { O_DIRECTORY, O_PATH } from '../../fs/host/constants.ts';
import { nameFromText } from '../../fs/name.ts';
import { lockDirectory } from '../../fs/layer/directory-lock.ts';
import type { Container } from '../store/containers.ts';
import type { Labels } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { KIND } from './layer-labels.ts';
import { CREATED, type Volume } from './volume-record.ts';

/** Ids of what volumes stand on that were one volume before. Nobody writes to them any more. */
const BASE = 'volume-base:';
/** On a base: the volume it was, as long as there isn't a new one on it. */
const WAS = 'ufs.volume.was';
/** On a volume: the bases that were itself. */
const BASES = 'ufs.volume.bases';
/** How many bases a volume may stand on: each is one more place to look a name up in. */
const DEPTH = 8;

/**
 * Makes of a volume one that stands on what it was, on which another one may be put: at once, whatever is in it. It must not be mounted. The id of what it was; undefined where the volume has to be copied
 * instead: it is mounted, by whomever, was split too often, or has limits, which what it was wouldn't count for. Killed in between, `repairVolumes` goes on.
 */
export async function splitVolume(store: Store, { container, created, options }: Volume): Promise<string | undefined> {
  if (options.size !== undefined || options.inodes !== undefined || store.below(container).containers.length >= DEPTH) return undefined;
  const unlock = lockUpper(container);
  if (unlock === undefined) return undefined;
  try {
    const base = `${BASE}${randomBytes(16).toString('hex')}`;
    const labels = { ...container.labels, [CREATED]: created, [BASES]: JSON.stringify([...basesOf(container), base]) };
    await store.relabelContainer(container.id, { [KIND]: 'volume-base', [WAS]: JSON.stringify({ id: container.id, labels }) }, base);
    try {
      await store.createContainer({ id: container.id, on: base, labels });
    } catch (error) {
      await store.relabelContainer(base, container.labels, container.id);
      throw error;
    }
    await store.relabelContainer(base, { [KIND]: 'volume-base' });
    return base;
  } finally {
    unlock();
  }
}

/** Ends what was begun by processes that were killed: no volume is lost that was being split, and nothing stays that no volume stands on. */
export async function repairVolumes(store: Store): Promise<void> {
  // Those that stand on others first.
  for (const { id, labels } of store.containers().reverse().filter(({ id }) => id.startsWith(BASE))) {
    const was = labels[WAS] === undefined ? undefined : (JSON.parse(labels[WAS]) as { id: string; labels: Labels });
    if (was !== undefined) {
      if (store.container(was.id) === undefined) await store.createContainer({ id: was.id, on: id, labels: was.labels });
      await store.relabelContainer(id, { [KIND]: 'volume-base' });
    } else await removeBases(store, id);
  }
}

/** Removes what no volume stands on any more, from a base down. */
export async function removeBases(store: Store, base: string | undefined): Promise<void> {
  for (let next = base; next !== undefined; ) {
    const container = store.container(next);
    if (container === undefined || store.containers().some(({ on }) => on === next)) return;
    await store.removeContainer(next);
    next = container.on;
  }
}

/** Those that were a volume itself before it was split. */
export function basesOf({ labels }: Container): string[] {
  return labels[BASES] === undefined ? [] : (JSON.parse(labels[BASES]) as string[]);
}

/** Keeps mounts from an upper directory; undefined where it has one. */
function lockUpper({ diff }: Container): (() => void) | undefined {
  const directory = openPath(nameFromText(diff), O_PATH | O_DIRECTORY);
  try {
    const lock = lockDirectory(directory, 'upper directory');
    return () => {
      if (lock !== undefined) close(lock);
    };
  } catch (error) {
    if (hasCode(error, 'EBUSY')) return undefined;
    throw error;
  } finally {
    close(directory);
  }
}
