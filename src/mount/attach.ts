import { readFileSync } from 'node:fs';
import { FsError } from '../../fs/errno.ts';
import { close, openPath, statFd } from '../../fs/host/at.ts';
import { MNT_DETACH, MS_PRIVATE, MS_SHARED, MS_SLAVE, O_DIRECTORY, O_PATH, UMOUNT_NOFOLLOW } from '../../fs/host/constants.ts';
import { openInRoot } from '../../fs/host/in-root.ts';
import { attachTree, changeMount, cloneTree, cloneTreeAt } from '../../fs/host/mount-tree.ts';
import { mount as mountCall, umount2 } from '../../fs/host/process.ts';
import { type Name, nameFromText, nameToText } from '../../fs/name.ts';
import { isDirectory } from '../../fs/stat.ts';
import { unmount } from '../../fs/transport/mount.ts';
import { currentMounts } from '../../fs/transport/mounts.ts';
import { UfsError } from '../errors.ts';
import { openPlace } from './place.ts';

/** Something that is mounted in a mounted root file system. */
export type Attachment = {
  /** Absolute, as seen in the root file system. */
  destination: string;
} & (
  | { kind: 'bind'; source: string; recursive: boolean; readonly: 'no' | 'this' | 'all'; propagation: string }
  | { kind: 'tmpfs'; flags: number; data: string }
);

/** What is attached to a mount. Plain data, which outlives the process. */
export interface Attached {
  /** In the order they were attached: the kernel's number of each mount, and of those that came along below it. */
  readonly mounts: readonly { id: number; below: readonly number[] }[];
  /** Whether nothing comes to be mounted below them but by somebody who mounts it there. */
  readonly closed: boolean;
}

/** Attaches all, in the order they are given, or none. Places are resolved inside, and made where there are none. UFS_MOUNT. */
export function attachAll(target: Name, attachments: readonly Attachment[]): Attached {
  const mounts: Attached['mounts'][number][] = [];
  const closed = attachments.every((attachment) => attachment.kind === 'tmpfs' || attachment.propagation.endsWith('private'));
  for (const attachment of attachments) {
    const root = openPath(target, O_PATH | O_DIRECTORY);
    try {
      mounts.push(attachOne(root, attachment));
    } catch (error) {
      detachAll(target, { mounts, closed }, () => undefined).done();
      throw new UfsError('UFS_MOUNT', `Cannot mount on "${attachment.destination}" in "${nameToText(target)}": ${(error as Error).message}`, { cause: error });
    } finally {
      close(root);
    }
  }
  return { mounts, closed };
}

function attachOne(root: number, attachment: Attachment): Attached['mounts'][number] {
  const destination = nameFromText(attachment.destination);
  if (attachment.kind === 'bind') attachBind(root, destination, attachment);
  else attachTmpfs(root, destination, attachment);
  return mountAt(root, destination);
}

/** What was just mounted at a place. */
function mountAt(root: number, place: Name): Attached['mounts'][number] {
  // Opened anew it is what was mounted, no longer what is below that.
  const on = openInRoot(root, place, O_PATH);
  try {
    const id = mountIdOf(on);
    const all = currentMounts();
    const at = all.find((mount) => mount.id === id)?.target;
    return { id, below: all.filter(({ target }) => at !== undefined && target.startsWith(`${at}/`)).map((mount) => mount.id) };
  } finally {
    close(on);
  }
}

function attachTmpfs(root: number, destination: Name, { flags, data }: Extract<Attachment, { kind: 'tmpfs' }>): void {
  const place = openPlace(root, destination, { directory: true });
  try {
    mountCall('tmpfs', pathOf(place), 'tmpfs', flags, data);
  } finally {
    close(place);
  }
}

const PROPAGATIONS: Readonly<Record<string, number>> = { private: MS_PRIVATE, slave: MS_SLAVE, shared: MS_SHARED };

function attachBind(root: number, destination: Name, { source, recursive, readonly, propagation }: Extract<Attachment, { kind: 'bind' }>): void {
  const tree = cloneTree(nameFromText(source), { recursive });
  try {
    const [, all, kind] = /^(r?)(private|slave|shared)$/.exec(propagation) ?? [undefined, 'r', 'private'];
    changeMount(tree, { propagation: PROPAGATIONS[kind as string] as number, recursive: all === 'r' });
    if (readonly !== 'no') changeMount(tree, { readonly: true, recursive: readonly === 'all' });
    const directory = isDirectory(statFd(tree));
    const place = openPlace(root, destination, { directory });
    try {
      if (directory !== isDirectory(statFd(place))) throw directory ? new FsError('ENOTDIR', 'Cannot mount a directory on what is none') : new FsError('EISDIR', 'Cannot mount what is no directory on one');
      attachTree(tree, place);
    } finally {
      close(place);
    }
  } finally {
    close(tree);
  }
}

function pathOf(fd: number): Name {
  return `/proc/self/fd/${fd}`;
}

function mountIdOf(fd: number): number {
  return Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1]);
}

/**
 * Unmounts a mount with what is attached to it. EBUSY where it is in use, unless `lazy`: then it is as it was, but for the kernel's numbers, which `changed` is told.
 */
export function unmountWith(target: Name, attached: Attached | undefined, { lazy = false, changed }: { lazy?: boolean; changed: (attached: Attached) => void }): void {
  // Lazily, the kernel takes off what is mounted below, too.
  const detached = attached === undefined || lazy ? undefined : detachAll(target, attached, changed);
  try {
    unmount(target, { lazy });
  } catch (error) {
    detached?.restore();
    throw error;
  }
  detached?.done();
}

/** Whether somebody else has mounted something below a mount. */
export function othersBelow(target: Name, attached: Attached | undefined): boolean {
  const known = knownTo(attached ?? { mounts: [] });
  return currentMounts().some((mount) => mount.target.startsWith(`${target}/`) && !known.has(mount.id));
}

function knownTo({ mounts }: Pick<Attached, 'mounts'>): Set<number> {
  return new Set(mounts.flatMap(({ id, below }) => [id, ...below]));
}

/** What was taken off. */
interface Detached {
  /** Puts all back, with what is in it. */
  restore(): void;
  /** Lets it go. */
  done(): void;
}

/**
 * Takes all that is attached off a mount, the last first; what is in use goes on for those who use it. What others have mounted stays: EBUSY where that is below one of these. One of `restore` and `done`
 * has to be called.
 */
function detachAll(target: Name, attached: Attached, changed: (attached: Attached) => void): Detached {
  const all = currentMounts();
  const there = attached.mounts.flatMap(({ id }) => all.filter((mount) => mount.id === id));
  const known = knownTo(attached);
  const foreign = all.find((mount) => !known.has(mount.id) && there.some((own) => mount.target === own.target || mount.target.startsWith(`${own.target}/`)));
  if (attached.closed && foreign !== undefined) throw new FsError('EBUSY', `Cannot unmount "${nameToText(target)}": somebody else has mounted something on "${nameToText(foreign.target)}"`);
  const taken: { id: number; tree: number; place: Name }[] = [];
  const done = (): void => {
    for (const { tree } of taken.splice(0)) close(tree);
  };
  const restore = (): void => {
    const root = openPath(target, O_PATH | O_DIRECTORY);
    const kept = attached.mounts.filter(({ id }) => !taken.some((mount) => mount.id === id));
    for (const { tree, place } of taken.toReversed()) {
      const at = openInRoot(root, place, O_PATH);
      attachTree(tree, at);
      close(at);
      kept.push(mountAt(root, place));
    }
    close(root);
    done();
    changed({ ...attached, mounts: kept });
  };
  try {
    for (const mount of there.toReversed()) {
      const place = mount.target.slice(target.length);
      taken.push({ id: mount.id, tree: detachOne(target, place), place });
    }
  } catch (error) {
    restore();
    throw error;
  }
  return { restore, done };
}

/** Unmounts what is at a place of a root file system; a mount of the same, attached to nothing. Nothing that is renamed meanwhile leads out. */
function detachOne(target: Name, place: Name): number {
  const root = openPath(target, O_PATH | O_DIRECTORY);
  let above = root;
  try {
    const end = place.lastIndexOf('/');
    above = openInRoot(root, place.slice(0, end) || '/', O_PATH | O_DIRECTORY);
    const tree = cloneTreeAt(above, place.slice(end + 1));
    umount2(`${pathOf(above)}/${place.slice(end + 1)}`, UMOUNT_NOFOLLOW | MNT_DETACH);
    return tree;
  } finally {
    if (above !== root) close(above);
    close(root);
  }
}
