import { join } from 'node:path';
import { fileLogger } from '../log.ts';
import { Mounter } from './mounter.ts';
import { MountServer } from './mount-server.ts';

/** The process of a mount server: its socket and its store are the arguments. It logs to mounts.log in the store. */
const [socket, store] = process.argv.slice(2) as [string, string];
const log = fileLogger(join(store, 'mounts.log'));
const mounter = new Mounter((message) => log.error(message), { store: false });

process.once('uncaughtExceptionMonitor', (error) => log.fatal({ err: error }, 'failed'));
process.on('warning', (warning) => log.warn({ err: warning }, 'warning'));
// It ends with its last mount; those who want it to end before take the mounts away by that.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void mounter.close().then(() => process.exit(0)));
process.on('SIGHUP', () => undefined);

log.info({ socket, store }, 'serving mounts');
await new MountServer({ mounter, store, log }).run(socket);
await mounter.close();
