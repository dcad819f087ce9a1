import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Layer } from '../../fs/layer/layer.ts';
import { EmptyLayer } from '../../fs/layer/empty-layer.ts';
import { DirectoryStack } from '../../fs/layer/directory-stack.ts';
import { FuseServer } from '../../fs/server.ts';
import { wantedFor } from '../../fs/transport/mount.ts';
import { Helpers } from '../../fs/union/helpers.ts';
import { UnionFs } from '../../fs/union/union-fs.ts';
import type { LayerId } from '../store/layer-id.ts';
import { openIndexedLayer } from '../store/indexed-layer.ts';
import type { MountSpec } from './spec.ts';

/** What the thread that asks for mounts says, after which it writes to the eventfd `wakeFd`. */
export type ToServing = { kind: 'serve'; id: number; fd: number; spec: MountSpec } | { kind: 'stop' };
/** What comes back. */
export type FromServing = { kind: 'ready'; wakeFd: number } | { kind: 'serving'; id: number } | { kind: 'failed'; id: number; message: string } | { kind: 'ended'; id: number } | { kind: 'error'; message: string };

const { port } = workerData as { port: MessagePort };
const send = (message: FromServing): void => port.postMessage(message);

/** The thread all mounts of a process are served by. */
const server: FuseServer = new FuseServer({
  onWake: () => {
    helpers.drain();
    for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) handle(received.message as ToServing);
  },
  onError: (error) => send({ kind: 'error', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
});
const helpers = new Helpers({ wakeFd: server.wakeFd });

function handle(message: ToServing): void {
  if (message.kind === 'stop') server.stop();
  else server.hold(serve(message).catch((error: unknown) => send({ kind: 'failed', id: message.id, message: error instanceof Error ? error.message : String(error) })));
}

async function serve({ id, fd, spec }: Extract<ToServing, { kind: 'serve' }>): Promise<void> {
  const lower = await openLower(spec);
  const fileSystem = new UnionFs({
    lower, helpers, passthrough: spec.passthrough,
    ...(spec.upper === undefined ? { statistics: '/' } : { upper: spec.upper }),
    ...(spec.volatile === true ? { volatile: true } : {}),
  });
  server.add({
    fd, fileSystem, wanted: wantedFor(spec.passthrough),
    onEnd: () => {
      lower.close();
      send({ kind: 'ended', id });
    },
  });
  send({ kind: 'serving', id });
}

async function openLower(spec: MountSpec): Promise<Layer> {
  if (spec.lower.kind === 'layer') return await openIndexedLayer({ root: spec.lower.store, layerId: spec.lower.layer as LayerId });
  return spec.lower.paths.length === 0 ? new EmptyLayer() : new DirectoryStack(spec.lower.paths);
}

send({ kind: 'ready', wakeFd: server.wakeFd });
await server.run();
await helpers.close();
// Ends this thread, whatever handle may still be open in it.
process.exit();
