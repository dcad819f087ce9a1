import { readdirSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { errnoNumber, FsError } from '../errno.ts';
import type { Caller, FileSystem, Kernel } from '../file-system.ts';
import { close } from '../host/at.ts';
import { POLLERR } from '../host/constants.ts';
import { fcntl } from '../host/native.ts';
import { effectiveUid, poll } from '../host/process.ts';
import { nameToBytes, nameToText, type Name } from '../name.ts';
import { Calls } from './fuse-native-calls.ts';
import { type MountOptions, replaceStale, resolvePath } from './mount.ts';

/** The package's class, as far as it is used: version 2.2.6, its last. */
interface FuseNative {
  mount(done: (error?: Error | null) => void): void;
}
type FuseNativeClass = new (target: string, calls: object, options: { timeout: false }) => FuseNative;
type Signal = (result: number, ...values: unknown[]) => void;
type Handler = (record: Buffer, operation: number, ...values: unknown[]) => void;

/** Longest path and options its C code takes, without their NUL. */
const LONGEST = 1023;
/** Milliseconds between looks whether the mount has ended: nothing tells. */
const PAUSE = 20;
const UTIMENS = 12;
const F_DUPFD_CLOEXEC = 1030;

export interface FuseNativeOptions {
  fileSystem: FileSystem;
  mount: MountOptions;
  /** A mistake in the file system; its caller got EIO. */
  onError: (error: unknown) => void;
}

/**
 * Mounts on a directory and serves it from this thread, which must be the process's main one: the package calls back on libuv's default loop, whatever thread
 * loaded it. So nobody in this thread may touch the mount. `ended` settles when it is unmounted, by whomever; the file system has been destroyed then.
 */
export async function mountFuseNative(target: Name, options: FuseNativeOptions): Promise<{ ended: Promise<void> }> {
  const { fileSystem } = options;
  const caller: Caller = { uid: effectiveUid(), gid: (process.getegid as () => number)(), pid: 0 };
  replaceStale(target);
  const path = textOf(resolvePath(target));
  const words = optionString(path, options.mount, caller.uid === 0);
  const Class = repaired(load(path), words);
  fileSystem.attach(KERNEL);
  const calls = new Calls({ fileSystem, caller, others: options.mount.allowOther === true, onError: options.onError });
  const before = new Set(connections());
  await new Promise<void>((resolve, reject) => {
    // No call is given up: copying up a file may take as long as it likes.
    new Class(path, calls, { timeout: false }).mount((error) => (error ? reject(refused(path, error)) : resolve()));
  });
  const fd = connections().find((open) => !before.has(open));
  if (fd === undefined) throw new FsError('EIO', `Cannot serve "${path}" with fuse-native: it has no connection to the kernel`);
  return { ended: gone(fd).then(() => fileSystem.destroy()) };
}

/** Nothing of it can be asked for through the package. */
const KERNEL: Kernel = {
  passthrough: false, writebackCache: false,
  openBacking: () => {
    throw new FsError('EPERM', 'Cannot pass a file through: fuse-native can\'t');
  },
  closeBacking: () => {}, invalidateNode: async () => {}, invalidateEntry: () => {},
};

/** Loads the package, which only who asks for this transport needs. */
function load(path: string): FuseNativeClass {
  try {
    return requirePackage();
  } catch (error) {
    throw new FsError('ENOENT', `Cannot mount on "${path}" with fuse-native: ${whyNotLoaded(error as Error)}`, { cause: error });
  }
}

function requirePackage(): FuseNativeClass {
  return createRequire(import.meta.url)('fuse-native') as FuseNativeClass;
}

/** Why there is no such transport here; undefined where there is. */
export function fuseNativeMissing(): string | undefined {
  try {
    requirePackage();
    return undefined;
  } catch (error) {
    return whyNotLoaded(error as Error);
  }
}

function whyNotLoaded({ message }: Error): string {
  if (message.includes('libfuse')) return 'libfuse.so.2 is missing; install libfuse2';
  if (message.includes("Cannot find module 'fuse-native'")) return 'the package is missing; npm install fuse-native@2.2.6';
  if (/No native build|not currently supported/.test(message)) return `it isn't built for ${process.platform}-${process.arch}`;
  return message.split('\n')[0];
}

function refused(path: string, error: Error): FsError {
  const why = error.message === 'Mountpoint in use' ? 'it is a mount point already, which fuse-native doesn\'t take' : error.message;
  return new FsError('EPERM', `Cannot mount on "${path}" with fuse-native: ${why}`, { cause: error });
}

/**
 * libfuse's options. Names are only changed through the mount, so the kernel may remember them; attributes change without its knowledge where a file has
 * several names, each a file of its own to it, so it asks each time.
 */
function optionString(path: string, mount: MountOptions, root: boolean): string {
  const words = [
    `fsname=${(mount.source ?? 'ufs').replace(/[\\,]/g, '\\$&')}`, `subtype=${mount.subtype ?? 'ufs'}`, mount.readonly === true ? 'ro' : 'rw',
    'use_ino', 'big_writes', 'nonempty', 'attr_timeout=0', 'entry_timeout=1000000', 'negative_timeout=1000000',
    ...(mount.allowOther === true ? ['allow_other'] : []), ...(mount.defaultPermissions === false ? [] : ['default_permissions']),
    ...(mount.noexec === true ? ['noexec'] : []), ...(mount.noatime === true ? ['noatime'] : []),
    // libfuse says nosuid and nodev unless root says otherwise.
    ...(root && mount.nosuid !== true ? ['suid'] : []), ...(root && mount.nodev !== true ? ['dev'] : []),
  ];
  const text = `-o${words.join(',')}`;
  for (const [what, value] of [['its path', path], ['its options', text]]) {
    if (Buffer.byteLength(value) > LONGEST) throw new FsError('ENAMETOOLONG', `Cannot mount on "${path}" with fuse-native: more than ${LONGEST} bytes for ${what}`);
  }
  return text;
}

/**
 * The package's class with its mistakes mended. Its getattr makes a link count of 0 into 1 and can't take our array; getxattr and listxattr say a value longer than
 * there is room for has been given, and the kernel gets what happens to lie behind; utimens hands over the access time twice.
 */
function repaired(Base: FuseNativeClass, options: string): FuseNativeClass {
  const Parent = Base as unknown as new (...values: unknown[]) => { ops: Calls; _makeHandlerArray(): Handler[] };
  return class extends Parent {
    _fuseOptions(): string {
      return options;
    }

    override _makeHandlerArray(): Handler[] {
      const handlers = super._makeHandlerArray();
      const utimens = handlers[UTIMENS];
      handlers[UTIMENS] = (record, operation, path, low, high) => utimens(record, operation, path, ...bothTimes(record, low as number, high as number));
      return handlers;
    }

    _op_getattr(signal: Signal, path: string): void {
      this.ops.getattr(path, signal);
    }

    _op_getxattr(signal: Signal, path: string, name: string, into: Buffer): void {
      this.ops.getxattr(path, name, 0, (result, value) => giveBytes(signal, into, result, value as Buffer | undefined));
    }

    _op_listxattr(signal: Signal, path: string, into: Buffer): void {
      this.ops.listxattr(path, (result, list) => giveBytes(signal, into, result, list as Buffer | undefined));
    }
  } as unknown as FuseNativeClass;
}

/** An answer of getxattr(2): the value, or with no room at all its size. */
function giveBytes(signal: Signal, into: Buffer, result: number, value: Buffer | undefined): void {
  if (value === undefined) signal(result, into.buffer);
  else if (into.length > 0 && value.length > into.length) signal(-errnoNumber('ERANGE'), into.buffer);
  else {
    value.copy(into);
    signal(value.length, into.buffer);
  }
}

/**
 * The two times, in milliseconds as low and high words. They stand one behind the other in the C code's record of the call (64 bits: at byte 104); where what
 * was handed over isn't there, the record is another than that of 2.2.6, and both times are the access time. High words are signed: before 1970.
 */
function bothTimes(record: Buffer, low: number, high: number): [number, number, number, number] {
  const known = record.length >= 120 && record.readUInt32LE(104) === low && record.readUInt32LE(108) === high;
  return known ? [low, high | 0, record.readUInt32LE(112), record.readInt32LE(116)] : [low, high | 0, low, high | 0];
}

/** This process's descriptors of /dev/fuse. */
function connections(): number[] {
  return readdirSync('/proc/self/fd').map(Number).filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === '/dev/fuse';
    } catch {
      return false;
    }
  });
}

/** Settles when the connection has ended, which poll(2) says of its descriptor: of one of our own, for libfuse closes its at some time after. */
async function gone(theirs: number): Promise<void> {
  const fd = fcntl(theirs, F_DUPFD_CLOEXEC, 0);
  const polled = Buffer.alloc(8);
  polled.writeInt32LE(fd, 0);
  const ended = (): boolean => poll(polled, 1, 0) > 0 && (polled.readUInt16LE(6) & POLLERR) !== 0;
  while (!ended()) await new Promise((resolve) => setTimeout(resolve, PAUSE));
  close(fd);
}

/** Its paths are text. */
function textOf(path: Name): string {
  const text = nameToBytes(path).toString('utf8');
  if (text.includes('\ufffd')) throw new FsError('EILSEQ', `Cannot mount on "${nameToText(path)}" with fuse-native: the path isn't UTF-8`);
  return text;
}
