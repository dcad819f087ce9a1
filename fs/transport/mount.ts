import { realpathSync, writeFileSync } from 'node:fs';
import { FsError, hasCode } from '../errno.ts';
import { close, openPath } from '../host/at.ts';
import { MNT_DETACH, MS_NOATIME, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, O_RDWR, UMOUNT_NOFOLLOW } from '../host/constants.ts';
import { CAP_SYS_ADMIN, effectiveUid, hasCapability, inInitialUserNamespace, mount as mountCall, umount2 } from '../host/process.ts';
import { nameFromBytes, nameToBytes, nameToText, type Name } from '../name.ts';
import type { Wanted } from '../protocol/init.ts';
import { mountWithHelper, unmountWithHelper } from './fusermount.ts';
import { findMounts, isStaleMount } from './mounts.ts';

export interface MountOptions {
  /** What shows as the mount's device. */
  source?: string;
  /** Shows as "fuse.<subtype>". */
  subtype?: string;
  readonly?: boolean;
  nosuid?: boolean;
  nodev?: boolean;
  noexec?: boolean;
  noatime?: boolean;
  /** Only the user who mounts gets in where this is false. */
  allowOther?: boolean;
  /** Permission bits of the kernel's own checks are used unless this is false. */
  defaultPermissions?: boolean;
}

/** Whether data may go round us: DESIGN's --passthrough. */
export type PassthroughMode = 'auto' | 'always' | 'never';

/** Only root of the first user namespace may register backing files, and it has to be known before INIT. */
export function canPassThrough(): boolean {
  return inInitialUserNamespace() && hasCapability(CAP_SYS_ADMIN);
}

/** What to ask the kernel for; where it has no passthrough the writeback cache is used, if allowed. */
export function wantedFor(mode: PassthroughMode, options: { writeback?: boolean; acls?: boolean } = {}): Wanted {
  return { passthrough: mode !== 'never' && canPassThrough(), writebackCache: options.writeback !== false, acls: options.acls !== false };
}

/** Mounts on a directory; the descriptor to serve. It must be served soon: whoever looks at the mount waits. Stale mounts there are replaced. */
export function mount(target: Name, options: MountOptions = {}): number {
  replaceStale(target);
  const path = resolvePath(target);
  if (!hasCapability(CAP_SYS_ADMIN)) return mountWithHelper(path, helperOptions(options));
  const fd = openPath('/dev/fuse', O_RDWR);
  try {
    const data = [
      `fd=${fd}`, 'rootmode=40000', `user_id=${effectiveUid()}`, `group_id=${(process.getegid as () => number)()}`,
      ...(options.allowOther === false ? [] : ['allow_other']),
      ...(options.defaultPermissions === false ? [] : ['default_permissions']),
    ];
    mountCall(options.source ?? 'ufs', path, `fuse.${options.subtype ?? 'ufs'}`, mountFlags(options), data.join(','));
  } catch (error) {
    close(fd);
    throw error;
  }
  raiseReadahead(path);
  return fd;
}

function mountFlags(options: MountOptions): number {
  return (options.readonly === true ? MS_RDONLY : 0) | (options.nosuid === true ? MS_NOSUID : 0) | (options.nodev === true ? MS_NODEV : 0) |
    (options.noexec === true ? MS_NOEXEC : 0) | (options.noatime === true ? MS_NOATIME : 0);
}

function helperOptions(options: MountOptions): string[] {
  const words = [`fsname=${options.source ?? 'ufs'}`, `subtype=${options.subtype ?? 'ufs'}`, options.readonly === true ? 'ro' : 'rw'];
  if (options.noexec === true) words.push('noexec');
  if (options.noatime === true) words.push('noatime');
  if (options.allowOther === true) words.push('allow_other');
  if (options.defaultPermissions !== false) words.push('default_permissions');
  return words;
}

/**
 * Reads of 1 MiB instead of 128 KiB, where we may: the kernel takes the smaller of INIT's max_readahead and the device's, whose default is 128 KiB.
 * The device's number is from the kernel's list, for a stat of the mount would wait for its server.
 */
function raiseReadahead(path: Name): void {
  const device = findMounts(path).at(-1)?.device;
  try {
    writeFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, '1024');
  } catch (error) {
    if (!hasCode(error, 'EACCES', 'EPERM', 'ENOENT', 'EROFS')) throw error;
  }
}

/** Unmounts; `lazy`: takes it out of the tree at once and ends it when nobody uses it any more. */
export function unmount(target: Name, how: { lazy?: boolean } = {}): void {
  if (!hasCapability(CAP_SYS_ADMIN)) {
    unmountWithHelper(target, how.lazy === true);
    return;
  }
  umount2(target, UMOUNT_NOFOLLOW | (how.lazy === true ? MNT_DETACH : 0));
}

/** Takes away mounts whose server is gone. */
export function replaceStale(target: Name): void {
  while (isStaleMount(target)) unmount(target, { lazy: true });
}

/** The absolute path without symlinks, as the kernel's list has it. */
export function resolvePath(target: Name): Name {
  try {
    return nameFromBytes(realpathSync.native(nameToBytes(target), 'buffer'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'EIO';
    throw new FsError(code, `Cannot mount on "${nameToText(target)}"`, { cause: error });
  }
}
