import { readFileSync } from 'node:fs';
import { UfsError } from '../errors.ts';
import { parseArguments } from './arguments.ts';
import { HELP } from './help.ts';
import { mountAsked } from './mount-asked.ts';

/** What the mount program (scripts/ufs-overlay) does itself: telling its version and use, and serving a mount in the foreground. */
async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const { action, debug } = parseArguments(argv);
  if (action === 'help') process.stdout.write(HELP);
  else if (action === 'version') {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string };
    process.stdout.write(`ufs-overlay: version ${version}\nFUSE overlay file system of ufs, in place of fuse-overlayfs\n`);
  } else {
    const { spec, unknown } = mountAsked({ argv, cwd: process.cwd() });
    for (const word of unknown) process.stderr.write(`ufs-overlay: unknown argument ignored: ${word}\n`);
    await (await import('./foreground.ts')).serveHere(spec, { debug });
  }
}

await main().catch((error: unknown) => {
  process.stderr.write(`ufs-overlay: ${error instanceof UfsError ? error.message : String((error as Error).stack)}\n`);
  process.exitCode = 1;
});
