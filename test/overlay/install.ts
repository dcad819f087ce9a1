import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { packageRoot } from '../helpers/user-namespace.ts';

/** The folder of this build. */
const BUILD = resolve(import.meta.dirname, '../..');

/** Lays the mount program out as a package has it, with a build of it, in a directory that isn't there; its path. */
export function installMountProgram(directory: string, build = BUILD): string {
  const program = join(directory, 'scripts/ufs-overlay');
  mkdirSync(join(directory, 'scripts'), { recursive: true });
  const root = packageRoot(build);
  copyFileSync(join(root, 'scripts/ufs-overlay'), program);
  copyFileSync(join(root, 'package.json'), join(directory, 'package.json'));
  symlinkSync(build, join(directory, 'dist'));
  return program;
}
