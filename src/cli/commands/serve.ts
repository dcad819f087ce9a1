import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { StoreDriver } from '../../docker/driver.ts';
import { type DriverOptions, parseDriverOptions } from '../../docker/options.ts';
import { UfsError } from '../../errors.ts';
import { StoreVolumeDriver } from '../../docker/volume-driver.ts';
import { graphMethods } from '../../plugin/graph-methods.ts';
import { PluginHandler } from '../../plugin/handler.ts';
import { PluginMetrics } from '../../plugin/metrics.ts';
import type { Capability } from '../../plugin/methods.ts';
import { volumeMethods } from '../../plugin/volume-methods.ts';
import type { Logger } from '../../log.ts';
import type { Context } from '../context.ts';
import { sayReady } from '../background.ts';
import { aborted } from '../aborted.ts';
import { repeated } from '../repeated.ts';
import { DEFAULT_CONFIG, serveConfig } from '../serve-config.ts';
import { openMountClient } from '../volumes.ts';

interface ServeFlags {
  untilUnmounted?: boolean;
  docker?: string | true;
  volumes?: string | true;
  volumeScope: 'local' | 'global';
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
    .option('--volumes [name]', 'be Docker\'s volume driver of that name ("ufs", or as --docker says), for docker volume create -d <name>; --docker alone does that too')
    .addOption(new Option('--volume-scope <scope>', 'what Docker is told of volumes: "local", this machine has them; or "global", all machines have the same ones. That is so where the store is on storage which all of them reach. It promises that a volume is the same on whichever machine serves the store; one process does at a time, so a machine takes it over when another has stopped or died, and volumes aren\'t mounted on two at once').choices(['local', 'global']).default('local'))
    .option('--run-directory <directory>', 'where layers and volumes are mounted for Docker: not below its data root', '/run/ufs')
    .option('--plugin-directory <directory>', 'where Docker looks for the sockets of plugins', '/run/docker/plugins')
    .addOption(new Option('--storage-opt <key=value>', 'size= (of each container) or min_free_space= (a size or 10%), for what dockerd --storage-opt doesn\'t say; may be given several times').argParser(repeated))
    .option('--config <file>', `what flags don't say: JSON with "docker", "volumes", "volume-scope", "run-directory", "plugin-directory" and "storage-opts", a list; ${DEFAULT_CONFIG} where that is there`)
    .action(async (given: ServeFlags, command: Command) => {
      if (context.serving) throw new UfsError('UFS_STORE_IN_USE', 'Cannot serve the store: it is being served already');
      const flags = withConfig(given, command, io.cwd);
      const options = parseDriverOptions(flags.storageOpt ?? []);
      const log = await context.serve();
      const store = await context.store();
      store.startEmptyingTrash();
      if (flags.docker === undefined && options.minFreeSpace !== undefined) store.pool.keepFree = options.minFreeSpace;
      try {
        await servePlugins(context, log, { ...flags, options });
        sayReady();
        await Promise.race([aborted(io.signal), ...(flags.untilUnmounted === true ? [context.idle()] : [])]);
      } finally {
        await Promise.all(context.plugins.map((plugin) => plugin.close()));
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

/** Offers Docker what it is to have, each name on a socket of its own. */
async function servePlugins(context: Context, log: Logger, flags: ServeFlags & { options: DriverOptions }): Promise<void> {
  const docker = flags.docker === true ? NAME : flags.docker;
  const volumes = flags.volumes === true ? (docker ?? NAME) : (flags.volumes ?? docker);
  if (volumes === undefined) return;
  const store = await context.store();
  const warn = (message: string): void => log.warn(message);
  const directory = resolve(context.io.cwd, flags.runDirectory);
  const client = await openMountClient(store, directory, warn);
  context.kept.push(client);
  const offered = new Map<string, Capability[]>();
  if (docker !== undefined) offered.set(docker, [graphMethods(new StoreDriver({ store, client, mountDirectory: join(directory, 'docker'), options: flags.options, log: warn }))]);
  const driver = new StoreVolumeDriver({ volumes: await context.volumes({ directory, client }), scope: flags.volumeScope });
  offered.set(volumes, [...(offered.get(volumes) ?? []), volumeMethods(driver)]);
  const metrics = new PluginMetrics();
  for (const [name, capabilities] of offered) {
    const handler = new PluginHandler(capabilities, { log, metrics, pluginDirectory: flags.pluginDirectory });
    await handler.serveUnix(name);
    context.plugins.push(handler);
  }
  if (docker !== undefined) context.io.err(`ufs: serving Docker's graph driver "${docker}"\n`);
  context.io.err(`ufs: serving Docker's volume driver "${volumes}"\n`);
}
