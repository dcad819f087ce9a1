import { dirname, join } from 'node:path';
import { asSoleServer } from '../mount/sole-server.ts';

/** Milliseconds a server stays without a mount; the next start of a container needn't wait for another one. */
const IDLE = 60_000;

/**
 * The process that serves the mounts of the mount program, as that starts it. Its arguments: the place where they meet; `--stay` not to end by itself, `--stacked` to serve
 * mounts on other FUSE mounts, which nobody but who started it asks for. UFS_OVERLAY_IDLE: seconds it stays without a mount, instead of a minute.
 */
const [place, ...flags] = process.argv.slice(2) as [string, ...string[]];
const stacked = flags.includes('--stacked');
const seconds = Number(process.env['UFS_OVERLAY_IDLE'] || IDLE / 1000);
await asSoleServer({ lock: `${place}.lock`, logFile: join(dirname(place), 'log') }, async (mounter) => {
  const idle = stacked ? 0 : flags.includes('--stay') ? Infinity : seconds * 1000;
  const { OverlayServer } = await import('./server.ts');
  await new OverlayServer({ place, mounter, stacked, idle }).run();
});
