import { accessSync, constants } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { fuseNativeMissing } from '../../fs/transport/fuse-native.ts';

/** Why a test that mounts as root can't run here; false where it can. */
export const needsRootAndFuse: string | false = process.getuid?.() !== 0 ? 'needs root' : exists('/dev/fuse') ? false : 'needs /dev/fuse';

/** Why a test that uses kernel overlayfs as oracle can't run here; false where it can. */
export const needsOverlayfs: string | false = process.getuid?.() !== 0 ? 'needs root' : kernelHas('overlay') ? false : 'needs kernel overlayfs, as oracle';

/** Why a test that mounts through fuse-native can't run here; false where it can. */
export function needsFuseNative(): string | false {
  const missing = needsRootAndFuse === false ? fuseNativeMissing() : undefined;
  return needsRootAndFuse || (missing === undefined ? false : `needs fuse-native: ${missing}`);
}

/** Why a test that runs a program can't run here; false where it can. */
export function needsProgram(name: string): string | false {
  return spawnSync('/bin/sh', ['-c', `command -v ${name}`]).status === 0 ? false : `needs ${name}`;
}

function exists(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function kernelHas(type: string): boolean {
  return spawnSync('grep', ['-qw', type, '/proc/filesystems']).status === 0;
}
