import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { FsError } from '../../fs/errno.ts';
import type { Wanted } from '../../fs/protocol/init.ts';
import { OPCODE } from '../../fs/protocol/opcode.ts';
import { FuseServer } from '../../fs/server.ts';
import { wantedFor } from '../../fs/transport/mount.ts';
import { Helpers } from '../../fs/union/helpers.ts';
import type { UnionFs } from '../../fs/union/union-fs.ts';
import { Garbage } from './garbage.ts';
import { openUnion } from './open-union.ts';
import type { MountSpec } from './spec.ts';
import { isOnUnion } from './stacked.ts';

/**
 * What the thread that asks for mounts says, after which it writes to the eventfd `wakeFd`. What a mount is to show is opened before it is mounted, because it may hide its
 * own directories then; it is served, or dropped where it couldn't be mounted.
 */
export type ToServing = { kind: 'open'; id: number; spec: MountSpec } | { kind: 'serve'; id: number; fd: number } | { kind: 'drop'; id: number } | { kind: 'stop' };
/** What comes back. */
export type FromServing = { kind: 'ready'; wakeFd: number } | { kind: 'opened'; id: number } | { kind: 'serving'; id: number } | { kind: 'failed'; id: number; message: string } | { kind: 'ended'; id: number } | { kind: 'error'; message: string } | { kind: 'trace'; line: string };

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
const opened = new Map<number, Opened>();

/** What is to be mounted. */
interface Opened extends Awaited<ReturnType<typeof openUnion>> {
  spec: MountSpec;
  wanted: Wanted;
}

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
  if (message.kind === 'open') server.hold(open(message).catch((error: unknown) => fail(message.id, error)));
  else if (message.kind === 'serve') serve(message);
  else if (message.kind === 'drop') drop(message.id);
  else {
    for (const id of opened.keys()) drop(id);
    server.stop();
  }
}

function fail(id: number, error: unknown): void {
  send({ kind: 'failed', id, message: error instanceof Error ? error.message : String(error) });
}

async function open({ id, spec }: Extract<ToServing, { kind: 'open' }>): Promise<void> {
  const { writeback = spec.upper?.limit === undefined, acls = true } = spec.kernel ?? {};
  const wanted = wantedFor(isOnUnion(spec) ? 'never' : spec.passthrough, { writeback, acls });
  opened.set(id, { ...(await openUnion(spec, helpers, { store })), spec, wanted });
  send({ kind: 'opened', id });
}

/** From here on nothing is found by the path of one of its directories. */
function serve({ id, fd }: Extract<ToServing, { kind: 'serve' }>): void {
  const { fileSystem, union, close, spec, wanted } = take(id);
  served.add(union);
  const { xattrs, timeout } = spec.kernel ?? {};
  server.add({
    fd, fileSystem, wanted,
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

function drop(id: number): void {
  const { fileSystem, close } = take(id);
  fileSystem.destroy();
  close();
}

function take(id: number): Opened {
  const found = opened.get(id) as Opened;
  opened.delete(id);
  return found;
}

send({ kind: 'ready', wakeFd: server.wakeFd });
await server.run();
await helpers.close();
// Ends this thread, whatever handle may still be open in it.
process.exit();
