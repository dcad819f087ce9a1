import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nameToText } from '../../fs/name.ts';
import { isStaleMount } from '../../fs/transport/mounts.ts';
import { unmount } from '../../fs/transport/mount.ts';
import { UfsError } from '../errors.ts';
import type { FromProcess } from './serving-process.ts';
import type { MountSpec } from './spec.ts';

/** A mount that a process of its own serves. */
export interface ProcessMount {
  readonly ended: Promise<void>;
  /** Ends the process, whatever it is at. */
  kill(): void;
}

/** Starts a process that mounts and serves; answers once it does. */
export async function mountInProcess(spec: MountSpec, log: (message: string) => void): Promise<ProcessMount> {
  const child = fork(fileURLToPath(new URL('./serving-process.js', import.meta.url)), [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] });
  // libfuse says on stderr why it can't mount.
  let said = '';
  child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
  let serving = false;
  let how = '';
  const ended = new Promise<void>((resolve) => {
    child.once('close', (code, signal) => {
      how = `ended with ${signal ?? code}. ${said}`.trim();
      if (serving && code !== 0) log(`The process that serves "${nameToText(spec.target)}" ${how}`);
      // It may have mounted without having said so.
      if (code !== 0 && isStaleMount(spec.target)) unmount(spec.target, { lazy: true });
      resolve();
    });
  });
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string): void => reject(new UfsError('UFS_MOUNT', why));
    child.on('message', (message: FromProcess) => {
      if (message.kind === 'failed') fail(said.trim() === '' ? message.message : `${message.message}: ${said.trim()}`);
      else if (message.kind === 'error') log(message.message);
      else {
        serving = true;
        resolve();
      }
    });
    child.once('error', (error) => fail(`Cannot start a process for the mount on "${nameToText(spec.target)}": ${error.message}`));
    void ended.then(() => fail(`Cannot mount on "${nameToText(spec.target)}": the process that serves it ${how}`));
    child.send(spec);
  });
  return { ended, kill: () => void child.kill('SIGKILL') };
}
