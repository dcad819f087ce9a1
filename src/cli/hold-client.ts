import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../fs/errno.ts';
import { nameFromText } from '../../fs/name.ts';
import { findMounts } from '../../fs/transport/mounts.ts';
import { connectToServer, runRemotely } from '../control/client.ts';
import type { Io } from '../control/io.ts';
import { UfsError } from '../errors.ts';
import { startInBackground } from './background.ts';
import type { Context } from './context.ts';
import type { Hold, HoldRequest } from './held-mount.ts';

/** How often a server that is just ending, or that another command has started, is looked for again. */
const ATTEMPTS = 5;
/** Milliseconds between these. */
const PAUSE = 250;

/** A mount that is held for this process. */
export interface Held {
  /** undefined where the mount was refused; why has been said. */
  hold: Hold | undefined;
  /** Rejects where the server that holds it dies. */
  lost: Promise<never>;
  /** Gives it back, and waits until it is unmounted. Throws where that server has died. */
  release(): Promise<void>;
}

/** Has the process that serves the store mount something, and hold it until it is released or this process has ended; starts one where there is none. */
export async function askForMount(context: Context, request: HoldRequest): Promise<Held> {
  for (let attempt = 1; ; attempt += 1) {
    const socket = (await connectToServer(context.socket)) ?? (await startServer(context, attempt));
    const held = socket && (await ask(context, socket, request));
    const seen = held?.hold === undefined || findMounts(nameFromText(held.hold.rootfs)).length > 0;
    if (held !== undefined && seen) return held;
    await held?.release();
    if (attempt === ATTEMPTS) throw new UfsError('UFS_CONTROL', `Cannot mount: the process that serves the store ${context.root} ${seen ? 'ends before it takes a command' : 'has its mounts in another mount namespace'}`);
    // One that has nothing more to serve there is about to end.
    if (!seen) await sleep(PAUSE);
  }
}

async function startServer(context: Context, attempt: number): ReturnType<typeof connectToServer> {
  try {
    await startInBackground(['--root', context.root, 'serve', '--until-unmounted'], '/');
  } catch (error) {
    // Another command may have started one at the same moment.
    if (!hasCode(error, 'UFS_BACKGROUND') || attempt === ATTEMPTS) throw error;
  }
  return await connectToServer(context.socket);
}

/** undefined where the server has ended meanwhile. */
async function ask(context: Context, socket: Parameters<typeof runRemotely>[0], request: HoldRequest): Promise<Held | undefined> {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  let said = '';
  let told = (): void => {};
  const complete = new Promise<void>((resolve) => (told = resolve));
  const io: Io = {
    ...context.io,
    // A terminal isn't written to by what is said here.
    terminal: false, outputTerminal: false,
    out: async (data) => {
      said += typeof data === 'string' ? data : Buffer.from(data).toString();
      if (said.endsWith('\n')) told();
    },
    input: async function* () {
      await released;
    },
  };
  const ended = runRemotely(socket, ['--root', context.root, 'hold', JSON.stringify(request)], io);
  const how = await Promise.race([complete.then((): 'told' => 'told'), ended]);
  if (how === undefined) return undefined;
  const gone = ended.catch((cause: unknown) => {
    throw new UfsError('UFS_CONTROL', 'The process that serves the store has ended, and the container with it', { cause });
  });
  const lost = gone.then(() => new Promise<never>(() => {}));
  lost.catch(() => undefined);
  return {
    hold: how === 'told' ? (JSON.parse(said) as Hold) : undefined, lost,
    release: async () => {
      release();
      await gone;
    },
  };
}
