import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { hasCode } from '../../fs/errno.ts';
import { close, openPath } from '../../fs/host/at.ts';
import { O_DIRECTORY, O_PATH, O_RDONLY } from '../../fs/host/constants.ts';
import { openInRoot } from '../../fs/host/in-root.ts';
import { type Name, nameFromText } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';

/**
 * Copies what a mounted root file system has in a directory to one on the host that is empty, as Docker fills new volumes: with owners, modes, times, xattrs and hard links, and those of the directory
 * itself. Nothing is done where there is no such directory, or the other one isn't empty. UFS_MOUNT.
 */
export async function fillFrom(target: Name, destination: string, directory: string): Promise<void> {
  if (!statSync(directory).isDirectory() || readdirSync(directory).length > 0) return;
  const root = openPath(target, O_PATH | O_DIRECTORY);
  let from: number;
  try {
    from = openInRoot(root, nameFromText(destination), O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return;
    throw error;
  } finally {
    close(root);
  }
  try {
    await copy(from, directory);
  } finally {
    close(from);
  }
}

async function copy(from: number, to: string): Promise<void> {
  // What is in the directory, by descriptor: whatever becomes of its name, nothing else is copied.
  const child = spawn('cp', ['-a', '--', '/proc/self/fd/3/.', to], { stdio: ['ignore', 'ignore', 'pipe', from] });
  let said = '';
  child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new UfsError('UFS_MOUNT', `Cannot copy what the image has to ${to}: ${said.trim()}`);
}
