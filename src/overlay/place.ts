import { accessSync, constants, lstatSync, mkdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { UfsError } from '../errors.ts';
import type { MountClientOptions } from '../mount/mount-client.ts';

/**
 * Where the one server of a user's mounts is reached. Each pair of user and mount namespace has its own: paths mean something else in another one. `own`: one that
 * nobody else finds.
 */
export function serverPlace(version: string, { own = false } = {}): Omit<MountClientOptions, 'log'> {
  const uid = (process.geteuid as () => number)();
  const [user, mounts] = ['user', 'mnt'].map((kind) => /\d+/.exec(readlinkSync(`/proc/self/ns/${kind}`))?.[0]);
  const directory = ownDirectory(uid, user as string);
  // Another version may speak otherwise, or be what somebody wants to get rid of.
  const name = `${user}-${mounts}-${version}${own ? `-${process.hrtime.bigint().toString(36)}` : ''}`;
  return { socket: join(directory, `${name}.sock`), serves: `ufs-overlay ${version}`, logFile: join(directory, `${version}.log`) };
}

/** A directory nobody else can write to, made when it isn't there. */
function ownDirectory(uid: number, userNamespace: string): string {
  const run = process.env['XDG_RUNTIME_DIR'];
  const parent = [run, '/run'].find((path) => path !== undefined && path !== '' && isWritable(path));
  const directory = parent === undefined ? `/tmp/ufs-overlay-${uid}-${userNamespace}` : join(parent, 'ufs-overlay');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o077) !== 0) {
    throw new UfsError('UFS_MOUNT', `Cannot use ${directory} for the server of mounts: it has to be a directory of user ${uid}, which nobody else gets into; XDG_RUNTIME_DIR says where to make another`);
  }
  return directory;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
