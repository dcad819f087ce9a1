import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { FsError } from '../../fs/errno.ts';
import { OPCODE } from '../../fs/protocol/opcode.ts';
import { FuseServer } from '../../fs/server.ts';
import { wantedFor } from '../../fs/transport/mount.ts';
import { Helpers } from '../../fs/union/helpers.ts';
import type { UnionFs } from '../../fs/union/union-fs.ts';
import { Garbage } from './garbage.ts';
import { openUnion } from './open-union.ts';
import type { MountSpec } from './spec.ts';
import { isOnUnion } from './stacked.ts';

/** What the thread that asks for mounts says, after which it writes to the eventfd `wakeFd`. */
export type ToServing = { kind: 'serve'; id: number; fd: number; spec: MountSpec } | { kind: 'stop' };
/** What comes back. */
export type FromServing = { kind: 'ready'; wakeFd: number } | { kind: 'serving'; id: number } | { kind: 'failed'; id: number; message: string } | { kind: 'ended'; id: number } | { kind: 'error'; message: string } | { kind: 'trace'; line: string };

/** What the thread is started with: where it hears, and whether this process has the store open. */
export interface ServingData {
  port: MessagePort;
  store: boolean;
  /** Whether requests and replies are told. */
  trace: boolean;
}

FsError.stacks = process.env['UFS_DEBUG'] !== undefined;

const { port, store, trace } = workerData as ServingData;
const send = (message: FromServing): void => port.postMessage(message);

const XATTR_OPCODES: ReadonlySet<number> = new Set([OPCODE.GETXATTR, OPCODE.LISTXATTR, OPCODE.SETXATTR, OPCODE.REMOVEXATTR]);
const garbage = new Garbage();
const served = new Set<UnionFs>();

/** The thread all mounts of a process are served by. */
const server: FuseServer = new FuseServer({
  onWake: () => {
    helpers.drain();
    for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) handle(received.message as ToServing);
  },
  onQuiet: () => garbage.quiet([...served].reduce((nodes, fileSystem) => nodes + fileSystem.counts().nodes, 0)),
  onError: (error) => send({ kind: 'error', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
});
const helpers = new Helpers({ wakeFd: server.wakeFd });

function handle(message: ToServing): void {
  if (message.kind === 'stop') server.stop();
  else server.hold(serve(message).catch((error: unknown) => send({ kind: 'failed', id: message.id, message: error instanceof Error ? error.message : String(error) })));
}

async function serve({ id, fd, spec }: Extract<ToServing, { kind: 'serve' }>): Promise<void> {
  const { fileSystem, union, close } = await openUnion(spec, helpers, { store });
  served.add(union);
  const { writeback = spec.upper?.limit === undefined, acls = true, xattrs, timeout } = spec.kernel ?? {};
  server.add({
    fd, fileSystem, wanted: wantedFor(isOnUnion(spec) ? 'never' : spec.passthrough, { writeback, acls }),
    ...(xattrs === false ? { refused: XATTR_OPCODES } : {}), ...(timeout === undefined ? {} : { validity: Math.floor(timeout) }),
    ...(trace ? { trace: (line: string) => send({ kind: 'trace', line }) } : {}),
    onEnd: () => {
      served.delete(union);
      close();
      send({ kind: 'ended', id });
    },
  });
  send({ kind: 'serving', id });
}

send({ kind: 'ready', wakeFd: server.wakeFd });
await server.run();
await helpers.close();
// Ends this thread, whatever handle may still be open in it.
process.exit();
