import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { StoreDriver } from '../../docker/driver.ts';
import { type DriverOptions, parseDriverOptions } from '../../docker/options.ts';
import { UfsError } from '../../errors.ts';
import { MountClient } from '../../mount/mount-client.ts';
import { GraphDriverHandler } from '../../plugin/handler.ts';
import type { Logger } from '../../log.ts';
import type { Context } from '../context.ts';
import { sayReady } from '../background.ts';
import { DEFAULT_CONFIG, serveConfig } from '../serve-config.ts';

interface ServeFlags {
  untilUnmounted?: boolean;
  docker?: string | true;
  runDirectory: string;
  pluginDirectory: string;
  config?: string;
  storageOpt?: string[];
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
    .addOption(new Option('--storage-opt <key=value>', 'size= (of each container) or min_free_space= (a size or 10%), for what dockerd --storage-opt doesn\'t say; may be given several times').argParser((value: string, previous: string[] = []) => [...previous, value]))
    .option('--config <file>', `what flags don't say: JSON with "docker", "run-directory", "plugin-directory" and "storage-opts", a list; ${DEFAULT_CONFIG} where that is there`)
    .action(async (given: ServeFlags, command: Command) => {
      if (context.serving) throw new UfsError('UFS_STORE_IN_USE', 'Cannot serve the store: it is being served already');
      const flags = withConfig(given, command, io.cwd);
      const options = parseDriverOptions(flags.storageOpt ?? []);
      const log = await context.serve();
      const store = await context.store();
      store.startEmptyingTrash();
      if (flags.docker === undefined && options.minFreeSpace !== undefined) store.pool.keepFree = options.minFreeSpace;
      const docker = flags.docker === undefined ? undefined : await serveDocker(context, log, { ...flags, options }, flags.docker === true ? NAME : flags.docker);
      sayReady();
      try {
        await Promise.race([aborted(io.signal), ...(flags.untilUnmounted === true ? [context.idle()] : [])]);
      } finally {
        await docker?.close();
      }
    });
}

/** Flags, and what the configuration says where they say nothing. The server of one mount is what it was started for, whatever stands in the usual configuration. */
function withConfig(flags: ServeFlags, command: Command, cwd: string): ServeFlags {
  if (flags.config === undefined && flags.untilUnmounted === true) return flags;
  const { storageOpts = [], ...config } = serveConfig(flags.config === undefined ? undefined : resolve(cwd, flags.config));
  const said = Object.fromEntries(Object.entries(flags).filter(([name]) => command.getOptionValueSource(name) !== 'default'));
  return { ...flags, ...config, ...said, storageOpt: [...storageOpts, ...(flags.storageOpt ?? [])] };
}

async function serveDocker(context: Context, log: Logger, flags: ServeFlags & { options: DriverOptions }, name: string): Promise<GraphDriverHandler> {
  const store = await context.store();
  const warn = (message: string): void => log.warn(message);
  const client = await MountClient.open({ socket: join(flags.runDirectory, 'mounts.sock'), serves: store.root, logFile: join(store.root, 'mounts.log'), log: warn });
  context.kept.push(client);
  const driver = new StoreDriver({ store, client, mountDirectory: join(flags.runDirectory, 'docker'), options: flags.options, log: warn });
  const handler = new GraphDriverHandler(driver, { log, pluginDirectory: flags.pluginDirectory });
  await handler.serveUnix(name);
  context.plugins.push(handler);
  context.io.err(`ufs: serving Docker's graph driver "${name}"\n`);
  return handler;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => (signal.aborted ? done() : signal.addEventListener('abort', () => done())));
}
