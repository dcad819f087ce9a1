import { spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UfsError } from '../errors.ts';

/** The descriptor a background process says "ready" on. */
const READY_FD = 3;
const READY = 'UFS_READY';

/** Starts this program once more, in the background, and resolves when it says that it is ready; throws what it printed if it ends before. */
export async function startInBackground(argv: string[], cwd: string): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./main.js', import.meta.url)), ...argv], {
    cwd, detached: true, stdio: ['ignore', 'ignore', 'pipe', 'pipe'], env: { ...process.env, [READY]: '1' },
  });
  let errors = '';
  child.stderr?.on('data', (data: Buffer) => (errors += data.toString()));
  await new Promise<void>((resolve, reject) => {
    child.stdio[READY_FD]?.once('data', () => resolve());
    child.once('error', reject);
    child.once('close', (code) => reject(new UfsError('UFS_BACKGROUND', errors.replace(/^ufs: /, '').trim() || `Cannot go to the background: the process ended with ${code}`)));
  });
  child.stdio[READY_FD]?.destroy();
  child.stderr?.destroy();
  child.removeAllListeners();
  child.unref();
}

/** Tells whoever started this process in the background that it is ready; does nothing in any other process. */
export function sayReady(): void {
  if (process.env[READY] === undefined) return;
  delete process.env[READY];
  writeSync(READY_FD, 'ready\n');
  closeSync(READY_FD);
}
