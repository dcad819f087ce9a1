import * as host from 'node:fs';
import { join } from 'node:path';
import { errnoName } from '../../fs/errno.ts';
import { linkAt, linkFd, openPath, renameAt, close as closeFd } from '../../fs/host/at.ts';
import { utimensAt } from '../../fs/host/attributes.ts';
import { AT_FDCWD, O_DIRECTORY, O_PATH } from '../../fs/host/constants.ts';
import { mknodAt, openTemporary } from '../../fs/host/make.ts';
import { S_IFIFO } from '../../fs/stat.ts';
import { xattrs } from '../posix/case.ts';
import { truncatePath } from '../posix/system.ts';
import type { Operation } from './operation.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC } = host.constants;
const FLAGS = { r: O_RDONLY, 'r+': O_RDWR, 'w+': O_RDWR | O_TRUNC, a: O_RDWR | O_APPEND };

/** What steps of a script do to a directory, by system calls; each gives all that can be told of how it went. */
export class HostTree {
  readonly #root: string;
  readonly #slots = new Map<number, number>();

  constructor(root: string) {
    this.#root = root;
  }

  run(operation: Operation): string {
    try {
      return this.#run(operation) ?? 'done';
    } catch (error) {
      const { code, errno } = error as NodeJS.ErrnoException;
      if (code === undefined && errno === undefined) throw error;
      return code ?? errnoName(Math.abs(errno ?? 0));
    }
  }

  close(): void {
    for (const fd of this.#slots.values()) host.closeSync(fd);
    this.#slots.clear();
  }

  #hold(slot: number, fd: number): void {
    const before = this.#slots.get(slot);
    if (before !== undefined) host.closeSync(before);
    this.#slots.set(slot, fd);
  }

  #run(operation: Operation): string | void {
    const at = 'path' in operation ? join(this.#root, operation.path) : '';
    const fd = 'slot' in operation ? this.#slots.get(operation.slot) : undefined;
    if ('slot' in operation && fd === undefined && !['open', 'create', 'tmpfile'].includes(operation.do)) return 'nothing open';
    switch (operation.do) {
      // A fifo would wait for somebody at its other end.
      case 'open': return host.lstatSync(at).isFIFO() || host.lstatSync(at).isDirectory() ? 'not a file' : this.#hold(operation.slot, host.openSync(at, FLAGS[operation.flags] | O_NOFOLLOW | O_NONBLOCK));
      case 'create': return this.#hold(operation.slot, host.openSync(at, O_RDWR | O_CREAT | O_EXCL, 0o644));
      case 'tmpfile': {
        const directory = openPath(at, O_PATH | O_DIRECTORY | O_NOFOLLOW);
        try {
          return this.#hold(operation.slot, openTemporary(directory, O_RDWR, 0o640) as number);
        } finally {
          closeFd(directory);
        }
      }
      case 'close':
        this.#slots.delete(operation.slot);
        return host.closeSync(fd as number);
      case 'fstat': return told(host.fstatSync(fd as number));
      case 'fsync': return host.fsyncSync(fd as number);
      case 'pread': {
        const into = Buffer.alloc(operation.length);
        return into.latin1Slice(0, host.readSync(fd as number, into, 0, into.length, operation.offset));
      }
      case 'pwrite': return String(host.writeSync(fd as number, operation.data, operation.offset, 'latin1'));
      case 'ftruncate': return host.ftruncateSync(fd as number, operation.size);
      case 'fchmod': return host.fchmodSync(fd as number, operation.mode);
      case 'linkat': return linkFd(fd as number, AT_FDCWD, at);
      case 'mkdir': return host.mkdirSync(at, 0o755);
      case 'rmdir': return host.rmdirSync(at);
      case 'unlink': return host.unlinkSync(at);
      case 'symlink': return host.symlinkSync('nowhere', at);
      case 'mkfifo': return mknodAt(AT_FDCWD, at, S_IFIFO | 0o644, 0, 0);
      case 'list': return host.readdirSync(at, { withFileTypes: true }).map((entry) => `${entry.name} ${entry.isDirectory()} ${entry.isFile()} ${entry.isSymbolicLink()}`).sort().join('\n');
      case 'stat': return told(host.lstatSync(at));
      case 'truncate': return truncatePath(at, operation.size);
      case 'chmod': return host.chmodSync(at, operation.mode);
      case 'chown': return host.lchownSync(at, operation.owner, operation.owner);
      case 'utimes':
        utimensAt(AT_FDCWD, at, { sec: operation.time, nsec: 5 }, { sec: operation.time, nsec: 7 });
        return String(host.lstatSync(at, { bigint: true }).mtimeNs);
      case 'setxattr': return xattrs.set(at, operation.name, operation.value);
      case 'removexattr': return xattrs.remove(at, operation.name);
      case 'rename': return renameAt(AT_FDCWD, at, AT_FDCWD, join(this.#root, operation.to), operation.flags);
      case 'link': return linkAt(AT_FDCWD, at, AT_FDCWD, join(this.#root, operation.to));
      case 'remount': return this.close();
      case 'check': return undefined;
    }
  }
}

function told(stat: host.Stats): string {
  const both = `${stat.mode.toString(8)} ${stat.uid}:${stat.gid}`;
  return stat.isDirectory() ? both : `${both} nlink ${stat.nlink} size ${stat.size}`;
}
