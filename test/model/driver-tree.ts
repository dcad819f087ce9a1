import { FsError } from '../../fs/errno.ts';
import { O_RDONLY, O_RDWR, O_TRUNC } from '../../fs/host/constants.ts';
import { nameFromText } from '../../fs/name.ts';
import { isDirectory, S_IFIFO, S_IFMT, S_IFREG, type Stat } from '../../fs/stat.ts';
import { type Driver, ROOT } from '../union/driver.ts';
import type { Operation } from './operation.ts';

interface Open {
  id: number;
  handle: number;
  appends: boolean;
  writes: boolean;
}

/** What steps of a script do to a union in memory: what the kernel would ask of it. */
export class DriverTree {
  driver: Driver;
  readonly #slots = new Map<number, Open>();

  constructor(driver: Driver) {
    this.driver = driver;
  }

  run(operation: Operation): string {
    try {
      return this.#run(operation) ?? 'done';
    } catch (error) {
      if (error instanceof FsError) return error.code;
      throw error;
    }
  }

  close(): void {
    for (const slot of [...this.#slots.keys()]) this.#close(slot);
  }

  #close(slot: number): void {
    const open = this.#slots.get(slot);
    if (open === undefined) return;
    this.#slots.delete(slot);
    this.driver.fs.release(open.id, open.handle);
    this.driver.fs.forget(open.id, 1);
  }

  #hold(slot: number, open: Open): void {
    this.#close(slot);
    this.#slots.set(slot, open);
  }

  #run(operation: Operation): string | void {
    const { fs } = this.driver;
    const open = 'slot' in operation ? this.#slots.get(operation.slot) as Open : (undefined as never);
    if ('slot' in operation && open === undefined && !['open', 'create', 'tmpfile'].includes(operation.do)) return 'nothing open';
    const writer = (): void => {
      if (!open.writes) throw new FsError('EBADF', 'Cannot write: open for reading');
    };
    switch (operation.do) {
      case 'open': {
        const { id, stat } = this.driver.find(operation.path);
        try {
          if ((stat.mode & S_IFMT) === S_IFIFO || isDirectory(stat)) {
            fs.forget(id, 1);
            return 'not a file';
          }
          if ((stat.mode & S_IFMT) !== S_IFREG) throw new FsError('ELOOP', 'Cannot open');
          const flags = operation.flags === 'r' ? O_RDONLY : operation.flags === 'w+' ? O_RDWR | O_TRUNC : O_RDWR;
          const { handle } = fs.open(ROOT, id, flags, { exec: false, killPrivileges: false }) as { handle: number };
          return this.#hold(operation.slot, { id, handle, appends: operation.flags === 'a', writes: operation.flags !== 'r' });
        } catch (error) {
          fs.forget(id, 1);
          throw error;
        }
      }
      case 'create': {
        const made = this.driver.in(operation.path, (parent, name) => fs.create(ROOT, parent, name, O_RDWR, { mode: 0o644, umask: 0 }));
        return this.#hold(operation.slot, { id: made.id, handle: made.open.handle, appends: false, writes: true });
      }
      case 'tmpfile': {
        const made = this.driver.at(operation.path, (id) => fs.tmpfile(ROOT, id, O_RDWR, { mode: 0o640, umask: 0 }));
        return this.#hold(operation.slot, { id: made.id, handle: made.open.handle, appends: false, writes: true });
      }
      case 'close': return this.#close(operation.slot);
      case 'fstat': return told(fs.getattr(open.id));
      case 'fsync': return void fs.fsync(open.id, open.handle, false);
      case 'pread': {
        const into = Buffer.alloc(operation.length);
        return into.latin1Slice(0, fs.read(open.id, open.handle, operation.offset, into) as number);
      }
      case 'pwrite': {
        writer();
        const offset = open.appends ? fs.getattr(open.id).size : operation.offset;
        return String(fs.write(open.id, open.handle, offset, Buffer.from(operation.data, 'latin1'), { killPrivileges: false, fromCache: false }));
      }
      case 'ftruncate':
        writer();
        return void fs.setattr(ROOT, open.id, { size: operation.size, handle: open.handle });
      case 'fchmod': return void fs.setattr(ROOT, open.id, { mode: operation.mode });
      case 'linkat':
        // What has lost its last name gets no new one, unless it never had any: the kernel sees to that.
        return this.driver.in(operation.path, (parent, name) => fs.forget((fs.link(ROOT, open.id, parent, name) as { id: number }).id, 1));
      case 'mkdir': return this.driver.mkdir(operation.path);
      case 'rmdir': return this.driver.rmdir(operation.path);
      case 'unlink': return this.driver.unlink(operation.path);
      case 'symlink': return this.driver.symlink('nowhere', operation.path);
      case 'mkfifo': return this.driver.in(operation.path, (parent, name) => fs.forget(fs.mknod(ROOT, parent, name, { mode: S_IFIFO | 0o644, umask: 0, rdevMajor: 0, rdevMinor: 0 }).id, 1));
      case 'list': return this.driver.names(operation.path).join('\n');
      case 'stat': return told(this.driver.stat(operation.path));
      case 'truncate': return this.driver.set(operation.path, { size: operation.size });
      case 'chmod': return this.driver.set(operation.path, { mode: operation.mode });
      case 'chown': return this.driver.set(operation.path, { uid: operation.owner, gid: operation.owner });
      case 'utimes': {
        this.driver.set(operation.path, { atime: { sec: operation.time, nsec: 5 }, mtime: { sec: operation.time, nsec: 7 } });
        const { mtimeSec, mtimeNsec } = this.driver.stat(operation.path);
        return String(BigInt(mtimeSec) * 1_000_000_000n + BigInt(mtimeNsec));
      }
      case 'setxattr': return this.driver.setXattr(operation.path, operation.name, operation.value);
      case 'removexattr': return this.driver.at(operation.path, (id) => void fs.removexattr(ROOT, id, nameFromText(operation.name)));
      case 'rename': return this.driver.rename(operation.path, operation.to, operation.flags);
      case 'link': return this.driver.link(operation.path, operation.to);
      case 'remount': return this.close();
      case 'check': return undefined;
    }
  }
}

function told(stat: Stat): string {
  const both = `${stat.mode.toString(8)} ${stat.uid}:${stat.gid}`;
  return isDirectory(stat) ? both : `${both} nlink ${stat.nlink} size ${stat.size}`;
}
