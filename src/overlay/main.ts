#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import { isOnFuse } from '../mount/stacked.ts';
import { parseArguments } from './arguments.ts';
import { HELP } from './help.ts';
import { overlayMount } from './options.ts';
import { serverPlace } from './place.ts';

/** The mount program for podman, buildah, CRI-O and containerd, called as fuse-overlayfs is. It starts with each mount: what it doesn't need for that is loaded later. */
async function main(): Promise<void> {
  const { action, foreground, debug, options, target, unknown } = parseArguments(process.argv.slice(2));
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string };
  if (action === 'help') process.stdout.write(HELP);
  else if (action === 'version') process.stdout.write(`ufs-overlay: version ${version}\nFUSE overlay file system of ufs, in place of fuse-overlayfs\n`);
  else if (action === 'serve') await (await import('../mount/serve-mounts.ts')).serveMounts(serverPlace(version), { stay: true });
  else {
    if (target === undefined) throw new UfsError('UFS_USAGE', 'Cannot mount: no directory to mount on; --help tells how');
    const { spec, unknown: ignored } = overlayMount(options, target, process.cwd(), {
      passthrough: 'auto', mount: { source: 'ufs-overlay', subtype: 'ufs-overlay', noatime: true },
      // An upper directory is to be read by fuse-overlayfs as well, which follows none.
      redirects: false,
    });
    for (const word of [...unknown, ...ignored]) process.stderr.write(`ufs-overlay: unknown argument ignored: ${word}\n`);
    if (foreground) await (await import('./foreground.ts')).serveHere(spec, { debug });
    else {
      const { MountClient } = await import('../mount/mount-client.ts');
      const client = new MountClient({ ...serverPlace(version, { own: isOnFuse(spec) }), log: () => undefined });
      await client.mount(spec);
      await client.close();
    }
  }
}

await main().catch((error: unknown) => {
  process.stderr.write(`ufs-overlay: ${error instanceof UfsError ? error.message : String((error as Error).stack)}\n`);
  process.exitCode = 1;
});
