import { Socket } from 'node:net';
import { attempt } from '../../fs/errno.ts';
import { clearUmask } from '../../fs/host/make.ts';
import { socketPair } from '../../fs/host/process.ts';
import { mountFuseNative } from '../../fs/transport/fuse-native.ts';
import { unmount } from '../../fs/transport/mount.ts';
import { Helpers } from '../../fs/union/helpers.ts';
import { openUnion } from './open-union.ts';
import type { MountSpec } from './spec.ts';

/** What the process that asked for the mount is told. It ends when the mount has. */
export type FromProcess = { kind: 'serving' } | { kind: 'failed'; message: string } | { kind: 'error'; message: string };

/** A process that serves one mount through fuse-native, which can only be used in a main thread. Its parent sends the MountSpec, and need not send more. */
async function serve(spec: MountSpec): Promise<void> {
  clearUmask();
  // Node's loop waits for sockets, not for an eventfd.
  const [wakeFd, woken] = socketPair();
  const helpers = new Helpers({ wakeFd });
  new Socket({ fd: woken }).on('data', () => helpers.drain());
  const { fileSystem, close } = await openUnion(spec, helpers, { store: false });
  const { ended } = await mountFuseNative(spec.target, {
    fileSystem, mount: { ...spec.mount, ...(spec.upper === undefined ? { readonly: true } : {}) },
    onError: (error) => send({ kind: 'error', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  });
  // Where who asked for the mount is gone, so is what the mount needs, such as the lock of its store.
  const leave = (): void => attempt(() => unmount(spec.target, { lazy: true }));
  if (process.connected) process.once('disconnect', leave);
  else leave();
  send({ kind: 'serving' });
  await ended;
  close();
  await helpers.close();
}

function send(message: FromProcess): void {
  // Who isn't there any more need not know: without a callback the failure would end the process, and leave the mount.
  if (process.connected) process.send?.(message, () => {});
}

// A terminal's signals come to all its processes: the parent unmounts.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

process.once('message', (spec: MountSpec) => {
  serve(spec).then(() => process.exit(0), (error: unknown) => {
    if (!process.connected) process.exit(1);
    process.send?.({ kind: 'failed', message: error instanceof Error ? error.message : String(error) } satisfies FromProcess, () => process.exit(1));
  });
});
