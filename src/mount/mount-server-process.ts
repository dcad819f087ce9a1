import { asSoleServer } from './sole-server.ts';

/** The process of a mount server, as `MountClient` starts it. Its arguments: its socket, what it serves, and the file it logs to. */
const [socket, serves, logFile] = process.argv.slice(2) as [string, string, string];
await asSoleServer({ lock: `${socket}.lock`, logFile }, async (mounter, log) => {
  const { MountServer } = await import('./mount-server.ts');
  log.info({ socket, serves }, 'serving mounts');
  await new MountServer({ mounter, serves, log }).run(socket);
});
