import { FsError, isExpected, toErrno } from '../errno.ts';
import type { AttributeChange, Caller, FileSystem } from '../file-system.ts';
import { nameToBytes, type Name } from '../name.ts';
import { deviceMajor, deviceMinor } from '../protocol/decode.ts';
import { FMODE_EXEC } from '../protocol/flags.ts';
import { PERMISSIONS, S_IFMT, S_ISGID, S_ISUID } from '../stat.ts';
import { bytesOf, isHiddenName, Paths } from './fuse-native-paths.ts';
import { NarrowInodes, statArray, statfsValue, timeOf } from './fuse-native-values.ts';

/** How fuse-native is answered: 0 (or a count of bytes) or a negative errno, and what the call gives. */
type Done = (result: number, ...values: unknown[]) => void;

/** An open file, by the number the kernel has for it. */
interface Open {
  id: number;
  handle: number;
  /** It holds a lookup of its node: not so where that had lost its name before. */
  counted: boolean;
}

export interface CallsOptions {
  fileSystem: FileSystem;
  /** Whose requests all are taken to be. */
  caller: Caller;
  /** Others than the caller get in: what they make must not become a program that runs with the caller's rights. */
  others: boolean;
  /** A mistake in the file system; its caller got EIO. */
  onError: (error: unknown) => void;
}

/** chown(2): leave it as it is. */
const UNCHANGED = 0xffff_ffff;
/** The kernel has applied it already. */
const NO_UMASK = 0;
const O_RDWR = 2;

/**
 * The calls fuse-native makes, by path, as requests of a file system, by node. An operation that isn't here libfuse answers with ENOSYS. Errors become errno
 * numbers in `#answer` and `#count`.
 */
export class Calls {
  readonly #fileSystem: FileSystem;
  readonly #options: CallsOptions;
  readonly #paths: Paths;
  readonly #inodes = new NarrowInodes();
  readonly #open = new Map<number, Open>();
  readonly #free: number[] = [];

  constructor(options: CallsOptions) {
    this.#options = options;
    this.#fileSystem = options.fileSystem;
    this.#paths = new Paths(options.fileSystem, options.caller);
  }

  /** Gives a stat as an array for its C code. */
  readonly getattr = (path: string, done: Done): void => this.#answer(done, async () => [await this.#stat(path)]);

  readonly readlink = (path: string, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      const target = await this.#fileSystem.readlink((await lookup.find(path)).id);
      return [textOf(target)];
    }));

  readonly mknod = (path: string, mode: number, device: number, done: Done): void =>
    this.#make(path, done, async (parent, name) => {
      const how = { mode: this.#safe(mode), umask: NO_UMASK, rdevMajor: deviceMajor(device), rdevMinor: deviceMinor(device) };
      return await this.#fileSystem.mknod(this.#options.caller, parent, name, how);
    });

  readonly mkdir = (path: string, mode: number, done: Done): void =>
    this.#make(path, done, async (parent, name) => await this.#fileSystem.mkdir(this.#options.caller, parent, name, { mode: this.#safe(mode), umask: NO_UMASK }));

  readonly symlink = (target: string, path: string, done: Done): void =>
    this.#make(path, done, async (parent, name) => await this.#fileSystem.symlink(this.#options.caller, parent, name, bytesOf(target)));

  readonly link = (from: string, to: string, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      const { id } = await lookup.find(from);
      const { parent, name } = await lookup.place(to);
      lookup.hold((await this.#fileSystem.link(this.#options.caller, id, parent, name)).id);
    }));

  readonly unlink = (path: string, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      const { parent, name } = await lookup.place(path);
      await this.#fileSystem.unlink(this.#options.caller, parent, name);
    }));

  readonly rmdir = (path: string, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      const { parent, name } = await lookup.place(path);
      await this.#fileSystem.rmdir(this.#options.caller, parent, name);
      this.#paths.moved(path);
    }));

  /** libfuse removes an open file by giving it a hidden name; here it is removed at once, as it would be without libfuse. */
  readonly rename = (from: string, to: string, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      const [old, next] = [await lookup.place(from), await lookup.place(to)];
      const { caller } = this.#options;
      const hides = isHiddenName(next.name) ? await lookup.find(from) : undefined;
      // One that isn't open is given such a name by somebody else.
      if (hides === undefined || !this.#isOpen(hides.id)) {
        await this.#fileSystem.rename(caller, old.parent, old.name, next.parent, next.name, 0);
        this.#paths.moved(from);
        this.#paths.moved(to);
        return;
      }
      const { id } = hides;
      await this.#fileSystem.unlink(caller, old.parent, old.name);
      lookup.keep(id);
      this.#paths.hide(next.name, id);
    }));

  readonly chmod = (path: string, mode: number, done: Done): void => this.#change(path, { mode: mode & PERMISSIONS }, done);

  readonly chown = (path: string, uid: number, gid: number, done: Done): void =>
    this.#change(path, { ...(uid === UNCHANGED ? {} : { uid }), ...(gid === UNCHANGED ? {} : { gid }) }, done);

  readonly utimens = (path: string, atime: number, mtime: number, done: Done): void => this.#change(path, { atime: timeOf(atime), mtime: timeOf(mtime) }, done);

  readonly truncate = (path: string, size: number, done: Done): void => this.#change(path, { size }, done);

  readonly ftruncate = (_path: string, fd: number, size: number, done: Done): void =>
    this.#answer(done, async () => {
      const { id, handle } = this.#opened(fd);
      await this.#fileSystem.setattr(this.#options.caller, id, { size, handle });
    });

  readonly open = (path: string, flags: number, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      const { id } = await lookup.find(path);
      const how = { exec: (flags & FMODE_EXEC) !== 0, killPrivileges: false };
      const open = await this.#fileSystem.open(this.#options.caller, id, flags, how);
      return [this.#register({ id, handle: open.handle, counted: lookup.keep(id) })];
    }));

  /** The flags aren't handed over: it is opened for all. */
  readonly create = (path: string, mode: number, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      const { parent, name } = await lookup.place(path);
      const made = await this.#fileSystem.create(this.#options.caller, parent, name, O_RDWR, { mode: this.#safe(mode) & ~S_IFMT, umask: NO_UMASK });
      return [this.#register({ id: made.id, handle: made.open.handle, counted: true })];
    }));

  readonly read = (_path: string, fd: number, into: Buffer, length: number, offset: number, done: Done): void =>
    this.#count(done, async () => {
      const { id, handle } = this.#opened(fd);
      return await this.#fileSystem.read(id, handle, offset, into.subarray(0, length));
    });

  readonly write = (_path: string, fd: number, data: Buffer, length: number, offset: number, done: Done): void =>
    this.#count(done, async () => {
      const { id, handle } = this.#opened(fd);
      return await this.#fileSystem.write(id, handle, offset, data.subarray(0, length), { killPrivileges: false, fromCache: false });
    });

  readonly flush = (_path: string, fd: number, done: Done): void =>
    this.#answer(done, async () => {
      const { id, handle } = this.#opened(fd);
      await this.#fileSystem.flush(id, handle);
    });

  readonly release = (_path: string, fd: number, done: Done): void =>
    this.#answer(done, async () => {
      const { id, handle, counted } = this.#opened(fd);
      this.#open.delete(fd);
      this.#free.push(fd);
      this.#fileSystem.release(id, handle);
      if (counted) this.#fileSystem.forget(id, 1);
      if (!this.#isOpen(id)) this.#paths.reveal(id);
    });

  readonly fsync = (_path: string, dataOnly: number, fd: number, done: Done): void =>
    this.#answer(done, async () => {
      const { id, handle } = this.#opened(fd);
      await this.#fileSystem.fsync(id, handle, dataOnly !== 0);
    });

  readonly fsyncdir = (path: string, dataOnly: number, _fd: number, done: Done): void =>
    this.#answer(done, async () => await this.#inDirectory(path, async (id, handle) => void (await this.#fileSystem.fsyncdir(id, handle, dataOnly !== 0))));

  /** Names with what is known of each for the listing: its type and inode number. */
  readonly readdir = (path: string, done: Done): void =>
    this.#answer(done, async () => await this.#inDirectory(path, async (id, handle) => {
      const names: string[] = [];
      const stats: { mode: number; ino: number }[] = [];
      this.#fileSystem.readdir(id, handle, 0, ({ name, ino, mode }) => {
        // What isn't UTF-8 is shown, but nothing can be done with it.
        names.push(nameToBytes(name).toString('utf8'));
        stats.push({ mode, ino: this.#inodes.narrow(ino) });
        return true;
      });
      return [names, stats];
    }));

  readonly setxattr = (path: string, name: string, value: Buffer, _position: number, flags: number, done: Done): void => {
    // The bytes are libfuse's: an answer that comes later would find others there.
    const bytes = Buffer.from(value);
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      const { id } = await lookup.find(path);
      await this.#fileSystem.setxattr(this.#options.caller, id, bytesOf(name), bytes, flags, { killSetgid: false });
    }));
  };

  readonly getxattr = (path: string, name: string, _position: number, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => [await this.#fileSystem.getxattr((await lookup.find(path)).id, bytesOf(name))]));

  /** Gives the bytes of the whole list. */
  readonly listxattr = (path: string, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      const names = await this.#fileSystem.listxattr((await lookup.find(path)).id, this.#options.caller);
      return [nameToBytes(names.map((name) => `${name}\0`).join(''))];
    }));

  readonly removexattr = (path: string, name: string, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      await this.#fileSystem.removexattr(this.#options.caller, (await lookup.find(path)).id, bytesOf(name));
    }));

  readonly statfs = (path: string, done: Done): void =>
    this.#answer(done, async () => await this.#paths.within(async (lookup) => [statfsValue(await this.#fileSystem.statfs((await lookup.find(path)).id))]));

  async #stat(path: string): Promise<Uint32Array> {
    return await this.#paths.within(async (lookup) => {
      const found = await lookup.find(path);
      return statArray(found.stat ?? await this.#fileSystem.getattr(found.id), this.#inodes);
    });
  }

  #change(path: string, change: AttributeChange, done: Done): void {
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      await this.#fileSystem.setattr(this.#options.caller, (await lookup.find(path)).id, change);
    }));
  }

  /** Makes something under a name, which isn't held any longer. */
  #make(path: string, done: Done, make: (parent: number, name: Name) => Promise<{ id: number }>): void {
    this.#answer(done, async () => await this.#paths.within(async (lookup) => {
      const { parent, name } = await lookup.place(path);
      lookup.hold((await make(parent, name)).id);
    }));
  }

  /** Everything made is the caller's, whoever asked: a setuid program of somebody else must not come of that. */
  #safe(mode: number): number {
    return this.#options.others ? mode & ~(S_ISUID | S_ISGID) : mode;
  }

  async #inDirectory<T>(path: string, use: (id: number, handle: number) => Promise<T>): Promise<T> {
    return await this.#paths.within(async (lookup) => {
      const { id } = await lookup.find(path);
      const { handle } = await this.#fileSystem.opendir(this.#options.caller, id);
      try {
        return await use(id, handle);
      } finally {
        this.#fileSystem.releasedir(id, handle);
      }
    });
  }

  /** A number for an open file: above 0, small. */
  #register(open: Open): number {
    const fd = this.#free.pop() ?? this.#open.size + 1;
    this.#open.set(fd, open);
    return fd;
  }

  #isOpen(id: number): boolean {
    return [...this.#open.values()].some((open) => open.id === id);
  }

  #opened(fd: number): Open {
    const open = this.#open.get(fd);
    if (open === undefined) throw new FsError('EBADF', `Cannot use the open file ${fd}: there is none`);
    return open;
  }

  #answer(done: Done, work: () => Promise<unknown[] | void>): void {
    work().then((values) => done(0, ...(values ?? [])), (error: unknown) => done(this.#errno(error)));
  }

  #count(done: Done, work: () => Promise<number>): void {
    work().then(done, (error: unknown) => done(this.#errno(error)));
  }

  #errno(error: unknown): number {
    if (!isExpected(error)) this.#options.onError(error);
    return -toErrno(error);
  }
}

function textOf(target: Name): string {
  const text = nameToBytes(target).toString('utf8');
  if (text.includes('\ufffd')) throw new FsError('EILSEQ', 'Cannot read a symlink through fuse-native: its target isn\'t UTF-8');
  return text;
}
