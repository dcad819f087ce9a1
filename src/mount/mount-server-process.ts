import { serveMounts } from './serve-mounts.ts';

/** The process of a mount server, as `MountClient` starts it. Its arguments: its socket, what it serves, and the file it logs to. */
const [socket, serves, logFile] = process.argv.slice(2) as [string, string, string];
await serveMounts({ socket, serves, logFile });
