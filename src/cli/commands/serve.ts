import { join } from 'node:path';
import { type Command } from 'commander';
import { StoreDriver } from '../../docker/driver.ts';
import { UfsError } from '../../errors.ts';
import { MountClient } from '../../mount/mount-client.ts';
import { GraphDriverHandler } from '../../plugin/handler.ts';
import type { Logger } from '../../log.ts';
import type { Context } from '../context.ts';
import { sayReady } from '../background.ts';

interface ServeFlags {
  untilUnmounted?: boolean;
  docker?: string | true;
  runDirectory: string;
  pluginDirectory: string;
}

/** Docker's name for the driver, and the engine's in the store. */
const NAME = 'ufs';

/** serve: the daemon. */
export function serveCommand(program: Command, context: Context): void {
  const { io } = context;
  program.command('serve')
    .description('Serve the store until a signal comes: its mounts, other commands meanwhile, and Docker. Not needed before mount, which sees to it.')
    .option('--until-unmounted', 'end when its last mount is gone')
    .option('--docker [name]', 'be Docker\'s graph driver of that name ("ufs"), for dockerd --experimental -s <name>')
    .option('--run-directory <directory>', 'where layers are mounted for Docker: not below its data root', '/run/ufs')
    .option('--plugin-directory <directory>', 'where Docker looks for the sockets of plugins', '/run/docker/plugins')
    .action(async (flags: ServeFlags) => {
      if (context.serving) throw new UfsError('UFS_STORE_IN_USE', 'Cannot serve the store: it is being served already');
      const log = await context.serve();
      const docker = flags.docker === undefined ? undefined : await serveDocker(context, log, flags, flags.docker === true ? NAME : flags.docker);
      sayReady();
      try {
        await Promise.race([aborted(io.signal), ...(flags.untilUnmounted === true ? [context.idle()] : [])]);
      } finally {
        await docker?.close();
      }
    });
}

async function serveDocker(context: Context, log: Logger, flags: ServeFlags, name: string): Promise<GraphDriverHandler> {
  const store = await context.store();
  const warn = (message: string): void => log.warn(message);
  const client = await MountClient.open({ socket: join(flags.runDirectory, 'mounts.sock'), serves: store.root, logFile: join(store.root, 'mounts.log'), log: warn });
  context.kept.push(client);
  const driver = new StoreDriver({ store, client, mountDirectory: join(flags.runDirectory, 'docker'), log: warn });
  const handler = new GraphDriverHandler(driver, { log, pluginDirectory: flags.pluginDirectory });
  await handler.serveUnix(name);
  context.plugins.push(handler);
  context.io.err(`ufs: serving Docker's graph driver "${name}"\n`);
  return handler;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => (signal.aborted ? done() : signal.addEventListener('abort', () => done())));
}
