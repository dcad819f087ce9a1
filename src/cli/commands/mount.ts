import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { hasCode } from '../../../fs/errno.ts';
import { nameFromText, nameToText } from '../../../fs/name.ts';
import { gapWarnings } from '../../../fs/transport/fuse-native-gaps.ts';
import { type PassthroughMode, unmount } from '../../../fs/transport/mount.ts';
import { findMounts } from '../../../fs/transport/mounts.ts';
import { type Transport, TRANSPORTS } from '../../../fs/transport/transport.ts';
import { connectToServer } from '../../control/client.ts';
import { UfsError } from '../../errors.ts';
import type { Mounted } from '../../mount/mounter.ts';
import { overlayMount } from '../../overlay/options.ts';
import type { Store } from '../../store/store.ts';
import { attaching } from '../attach-points.ts';
import { type Context, RunInServer } from '../context.ts';
import { sayReady, startInBackground } from '../background.ts';
import { addMountFlags, type MountFlags, mountPointsOf } from '../mount-flags.ts';
import { mountOf } from '../mounted.ts';
import { unmountLeftover } from '../leftovers.ts';
import { repeated } from '../repeated.ts';
import { forEachSubject } from '../report.ts';
import { mountFromStore } from '../store-mount.ts';

/** What mounts of ufs are in the kernel's list: this command's, and those of the mount program. */
const OWN_TYPES = ['fuse.ufs', 'fuse.ufs-overlay'];

interface Flags extends MountFlags {
  option?: string[];
  name?: string;
  readOnly?: boolean;
  rm?: boolean;
  detach?: boolean;
  passthrough: PassthroughMode;
  transport: Transport;
  allowOther?: boolean;
}

/** mount, umount. */
export function mountCommands(program: Command, context: Context): void {
  const command = program.command('mount')
    .description('Mount an image (in a new container), a container, or directories, and serve the mount until it is unmounted or Ctrl-C comes.')
    .usage('[options] <image|container> <directory>\n       ufs mount [options] -o lowerdir=A:B:C[,upperdir=U,workdir=W] <directory>')
    .argument('<words...>', 'what to mount, and where')
    .addOption(new Option('-o, --option <options>', 'mount plain directories as overlayfs would: lowerdir= (topmost first), upperdir=, workdir=, ro, nosuid, nodev, noexec, noatime, volatile, metacopy=on (chown, chmod, rename … copy no data up: for upper directories only ufs and overlayfs will mount), redirect_dir=off (no renaming of lower directories: EXDEV), userxattr (marks in user.*), xattr_permissions=2 (owners and modes in xattrs)').argParser(repeated))
    .option('--name <name>', 'a name for the new container')
    .option('--read-only', 'let nothing be changed; an image is mounted without a container')
    .option('--rm', 'remove the new container when it is unmounted')
    .option('--detach', 'return once the mount is up; it is served in the background')
    .addOption(new Option('--passthrough <mode>', 'which files the kernel reads and writes by itself').choices(['auto', 'always', 'never']).default('auto'))
    .addOption(new Option('--transport <way>', 'how requests come from the kernel').choices(TRANSPORTS).default('dev-fuse'))
    .option('--allow-other', 'let other users in (dev-fuse always does where it may)');
  addMountFlags(command)
    .action(async (words: string[], flags: Flags) => {
      if (flags.option !== undefined) await mountDirectories(context, words, flags);
      else await mountImage(context, words, flags);
    });

  program.command('umount')
    .description('Unmount what ufs has mounted, with what it has mounted in that.')
    .argument('<directory|container...>', 'where, or what')
    .option('--lazy', 'although it is in use: it goes when nobody uses it any more')
    .action(async (words: string[], flags: { lazy?: boolean }) => {
      await forEachSubject(context, words, (word) => unmountOne(context, word, flags.lazy === true));
    });
}

async function mountDirectories(context: Context, words: string[], flags: Flags): Promise<void> {
  const { io } = context;
  // "overlay DIR", as mount(8) calls its helpers, is the same as DIR.
  const target = words.at(-1) as string;
  if (words.length > 2) throw new UfsError('UFS_USAGE', `Cannot mount: with -o there is one directory to mount on, not ${words.join(', ')}`);
  if (flags.volume !== undefined || flags.mount !== undefined || flags.tmpfs !== undefined) throw new UfsError('UFS_USAGE', 'Cannot mount: -v, --mount and --tmpfs are for images and containers of the store, not for directories');
  const option = [...(flags.option as string[]), ...(flags.allowOther === true ? ['allow_other'] : [])].join(',');
  const { spec, unknown } = overlayMount(option, target, io.cwd, { passthrough: flags.passthrough, mount: { source: 'ufs' } });
  spec.target = nameFromText(realDirectory(resolve(io.cwd, target)));
  for (const word of unknown) io.err(`ufs: unknown mount option ignored: ${word}\n`);
  if (flags.detach === true) {
    await startInBackground(['mount', '-o', option, '--passthrough', flags.passthrough, '--transport', flags.transport, target], io.cwd);
    warnOfGaps(context, flags.transport);
    return;
  }
  const mounted = await context.mounter.mount({ ...spec, transport: flags.transport });
  warnOfGaps(context, flags.transport);
  sayReady();
  await untilUnmounted(context, mounted);
}

async function mountImage(context: Context, words: string[], flags: Flags): Promise<void> {
  const { io } = context;
  const [what, directory] = words;
  if (what === undefined || directory === undefined || words.length > 2) throw new UfsError('UFS_USAGE', 'Cannot mount: give an image or container, and a directory to mount it on');
  if (!context.serving && flags.detach === true) {
    if (!(await isServed(context))) await startInBackground(['--root', context.root, 'serve', '--until-unmounted'], '/');
    throw new RunInServer(context.socket);
  }
  await context.serve();
  const points = mountPointsOf(flags, io.cwd);
  const target = nameFromText(realDirectory(resolve(io.cwd, directory)));
  const { container, mounted, finished } = await mountFromStore(context, {
    ...(await attaching(context, points, { target, rm: flags.rm === true })), what, directory, target, name: flags.name, readOnly: flags.readOnly, rm: flags.rm,
    passthrough: flags.passthrough, transport: flags.transport, allowOther: flags.allowOther,
  });
  warnOfGaps(context, flags.transport);
  if (container !== undefined) await io.out(`${container.id}\n`);
  if (flags.detach === true) {
    context.afterwards(finished.catch((error: unknown) => io.err(`ufs: ${(error as Error).message}\n`)));
    return;
  }
  await untilUnmounted(context, mounted);
  await finished;
  // Others may have mounted through this process meanwhile.
  if (context.mounter.mounts().length > 0) io.err(`ufs: still serving ${context.mounter.mounts().length} other mounts\n`);
  await context.idle();
}

/** Says what programs will not notice that it is otherwise than on any file system. */
function warnOfGaps({ io }: Context, transport: Transport): void {
  if (transport === 'fuse-native') for (const line of gapWarnings()) io.err(`ufs: ${line}\n`);
}

/** Waits for the end of a mount; a signal unmounts it, lazily where it is in use. */
async function untilUnmounted(context: Context, mounted: Mounted): Promise<void> {
  const { io } = context;
  const stop = (): void => {
    context.mounter.unmount(mounted).catch((error: unknown) => {
      if (!hasCode(error, 'EBUSY')) return void io.err(`ufs: ${(error as Error).message}\n`);
      io.err(`ufs: ${nameToText(mounted.spec.target)} is in use: unmounted lazily\n`);
      void context.mounter.unmount(mounted, { lazy: true });
    });
  };
  if (io.signal.aborted) stop();
  io.signal.addEventListener('abort', stop);
  await mounted.ended;
  io.signal.removeEventListener('abort', stop);
}

async function unmountOne(context: Context, word: string, lazy: boolean): Promise<void> {
  if (!context.serving && (await isServed(context))) throw new RunInServer(context.socket);
  const mounted = context.serving ? findMounted(context, await context.store(), word) : undefined;
  if (mounted !== undefined) {
    await context.mounter.unmount(mounted, { lazy });
    return;
  }
  const target = mountPoint(context, word);
  const found = findMounts(nameFromText(target)).at(-1);
  if (found === undefined || !OWN_TYPES.includes(found.type)) throw new UfsError('UFS_NOT_MOUNTED', `Cannot unmount "${word}": ${found === undefined ? 'nothing is mounted there' : `it is a ${found.type} mount, not one of ufs`}`);
  if (!(await unmountLeftover(context, nameFromText(target), { lazy }))) unmount(nameFromText(target), { lazy });
}

/** Whether some process serves the store. */
async function isServed(context: Context): Promise<boolean> {
  const socket = await connectToServer(context.socket);
  socket?.destroy();
  return socket !== undefined;
}

function findMounted(context: Context, store: Store, word: string): Mounted | undefined {
  const target = nameFromText(mountPoint(context, word));
  const at = context.mounter.mounts().find(({ spec }) => spec.target === target);
  if (at !== undefined) return at;
  try {
    return mountOf(context, store.findContainer(word));
  } catch (error) {
    if (hasCode(error, 'UFS_CONTAINER_NOT_FOUND')) return undefined;
    throw error;
  }
}

function realDirectory(path: string): string {
  try {
    const real = realpathSync(path);
    if (statSync(real).isDirectory()) return real;
  } catch (error) {
    // A mount whose server died answers nothing, but can be replaced.
    if (hasCode(error, 'ENOTCONN')) return path;
    throw new UfsError('UFS_MOUNT', `Cannot mount on "${path}": ${hasCode(error, 'ENOENT') ? 'there is no such directory' : (error as Error).message}`, { cause: error });
  }
  throw new UfsError('UFS_MOUNT', `Cannot mount on "${path}": it is not a directory`);
}

/** Where a word says a mount is. What isn't there, or has lost its server, is taken as it is written. */
function mountPoint(context: Context, word: string): string {
  const path = resolve(context.io.cwd, word);
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
