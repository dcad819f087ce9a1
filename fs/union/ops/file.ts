import { FsError } from '../../errno.ts';
import type { Caller, OpenReply } from '../../file-system.ts';
import { S_IFREG, S_ISGID, S_ISUID } from '../../stat.ts';
import { close, reopen, statFd } from '../../host/at.ts';
import { chmodFd, utimensFd } from '../../host/attributes.ts';
import { O_ACCMODE, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../host/constants.ts';
import { fallocate as hostFallocate, lseek as hostLseek, preadFull, pwrite, truncateFd } from '../../host/file.ts';
import { afterCopyUp } from '../copy-up.ts';
import type { FileHandle } from '../handles.ts';
import type { Node } from '../node.ts';
import type { Union } from '../state.ts';

/** Copies longer than this go to a helper thread. */
const INLINE = 1 << 20;

/**
 * The flags a backing file is opened with. Appending, direct and synchronous I/O are the kernel's: it sends offsets, and asks for syncs. With a writeback
 * cache it also reads what it is about to write parts of.
 */
export function backingFlags(union: Union, flags: number): number {
  const access = flags & O_ACCMODE;
  return access === O_WRONLY && union.kernel?.writebackCache === true ? O_RDWR : access;
}

export function open(union: Union, _caller: Caller, id: number, flags: number, how: { exec: boolean; killPrivileges: boolean }): OpenReply | Promise<OpenReply> {
  const node = union.table.get(id);
  if (node.type !== S_IFREG) throw new FsError('EINVAL', `Cannot open node ${id}: not a regular file`);
  const truncates = (flags & O_TRUNC) !== 0;
  if ((flags & O_ACCMODE) === O_RDONLY && !truncates) return opened(union, node, { flags: O_RDONLY, fd: undefined, exec: how.exec });
  return afterCopyUp(union, node, truncates ? 'empty' : 'data', () => {
    refuseStaleBacking(union, node);
    const wanted = backingFlags(union, flags);
    const fd = union.openUpper(node, wanted === O_RDONLY ? O_RDWR : wanted);
    try {
      if (truncates) {
        truncateFd(fd, 0);
        if (how.killPrivileges) clearPrivileges(node, fd);
      }
    } catch (error) {
      close(fd);
      throw error;
    }
    return opened(union, node, { flags: wanted, fd, exec: how.exec });
  });
}

/**
 * The kernel reads a lower file by itself for those who have it open, and can't be told to read another. The next lookup gets a fresh node, for the copy
 * in the upper: ESTALE makes the kernel look again.
 */
function refuseStaleBacking(union: Union, node: Node): void {
  if (node.backing === undefined || node.backing.upper) return;
  node.times = union.stat(node);
  for (const { parent, name } of [...node.links]) {
    union.table.detach(node, parent, name);
    union.kernel?.invalidateEntry(parent.id, name);
  }
  union.table.dropKeys(node);
  node.upper = false;
  node.removed = true;
  throw new FsError('ESTALE', `Cannot write to node ${node.id}: readers have its lower file open`);
}

/** Registers an open file. `fd` is taken over; undefined: opened here, or when needed. */
export function opened(union: Union, node: Node, how: { flags: number; fd: number | undefined; exec: boolean }): OpenReply {
  let { fd } = how;
  try {
    const passthrough = passesThrough(union, node, how);
    if (passthrough && node.backing === undefined) {
      fd ??= openBacking(union, node, how.flags);
      node.backing = { id: (union.kernel as { openBacking(fd: number): number }).openBacking(fd), upper: union.hasData(node) };
    }
    if (!passthrough) fd ??= openBacking(union, node, how.flags);
    const handle = union.handles.addFile({ node, flags: how.flags, fd, upper: union.hasData(node), passthrough });
    if (passthrough) {
      if (how.flags !== O_RDONLY) node.stalePages = true;
      return { handle: handle.id, passthrough: (node.backing as { id: number }).id };
    }
    const keepCache = !node.stalePages;
    node.stalePages = false;
    return { handle: handle.id, keepCache };
  } catch (error) {
    if (fd !== undefined) close(fd);
    throw error;
  }
}

/** An inode is in one mode at a time: that of its first open. */
function passesThrough(union: Union, node: Node, how: { flags: number; fd: number | undefined; exec: boolean }): boolean {
  const { passthrough = 'auto' } = union.options;
  if (union.kernel?.passthrough !== true || passthrough === 'never') return false;
  for (const handle of node.handles ?? []) return handle.passthrough;
  // The kernel's own writes to a backing file are made with our rights, and would leave setuid and setgid as they are.
  if (how.flags !== O_RDONLY && !node.unprivileged && how.fd !== undefined) {
    node.unprivileged = (statFd(how.fd).mode & (S_ISUID | S_ISGID)) === 0;
    if (!node.unprivileged) return false;
  }
  return passthrough === 'always' || union.hasData(node) || union.upper === undefined || how.exec || union.lower.isElf(node.lower);
}

function openBacking(union: Union, node: Node, flags: number): number {
  return union.hasData(node) ? union.openUpper(node, flags) : union.openLower(node);
}

function descriptor(union: Union, handle: FileHandle): number {
  if (handle.fd === undefined) {
    handle.fd = openBacking(union, handle.node, handle.flags);
    handle.upper = union.hasData(handle.node);
  }
  return handle.fd;
}

export function read(union: Union, handleId: number, offset: number, into: Buffer): number {
  return preadFull(descriptor(union, union.handles.file(handleId)), into, 0, into.length, offset);
}

export function write(union: Union, handleId: number, offset: number, data: Buffer, how: { killPrivileges: boolean; fromCache: boolean }): number {
  const handle = union.handles.file(handleId);
  const fd = descriptor(union, handle);
  // With a writeback cache the kernel decides what the mtime is, and tells where it changed: not when it gets round to writing.
  const before = how.fromCache && union.kernel?.writebackCache === true ? statFd(fd) : undefined;
  let done = 0;
  while (done < data.length) {
    try {
      done += pwrite(fd, data, done, data.length - done, offset + done);
    } catch (error) {
      // As write(2): what was written counts, the next call meets the error.
      if (done === 0) throw error;
      break;
    }
  }
  if (before !== undefined) utimensFd(fd, undefined, { sec: before.mtimeSec, nsec: before.mtimeNsec });
  if (how.killPrivileges) clearPrivileges(handle.node, fd);
  return done;
}

/** What Linux does when someone without CAP_FSETID writes: setuid goes, and setgid where the group may execute. The host drops capabilities itself. */
export function clearPrivileges(node: Node, fd: number): void {
  if (node.unprivileged) return;
  const { mode } = statFd(fd);
  const dropped = (mode & S_ISUID) | ((mode & 0o010) !== 0 ? mode & S_ISGID : 0);
  if (dropped !== 0) chmodFd(fd, mode & 0o7777 & ~dropped);
  else if ((mode & (S_ISUID | S_ISGID)) === 0) node.unprivileged = true;
}

export function release(union: Union, handleId: number): void {
  const handle = union.handles.files.get(handleId);
  if (handle === undefined) return;
  union.handles.removeFile(handle);
  const { node } = handle;
  if (handle.passthrough && ![...(node.handles ?? [])].some((other) => other.passthrough)) union.closeBacking(node);
  union.table.release(node);
}

export function fsync(union: Union, handleId: number, dataOnly: boolean): void | Promise<void> {
  if (union.options.volatile === true) throw new FsError('ENOSYS', 'Cannot sync a volatile mount');
  const handle = union.handles.file(handleId);
  if (!handle.node.upper) return undefined;
  if (!union.hasData(handle.node)) return syncMetadata(union, handle.node);
  return ignoreValue(union.run({ kind: 'sync', fd: descriptor(union, handle), how: dataOnly ? 'data' : 'all' }));
}

/** A reader's descriptor is of the lower file, but owner, mode and times are the upper's. */
function syncMetadata(union: Union, node: Node): void | Promise<void> {
  return syncAndClose(union, union.openUpper(node, O_RDONLY), 'all');
}

export function syncAndClose(union: Union, fd: number, how: 'all' | 'fileSystem'): void | Promise<void> {
  let done: number | Promise<number>;
  try {
    done = union.run({ kind: 'sync', fd, how });
  } catch (error) {
    close(fd);
    throw error;
  }
  if (done instanceof Promise) return ignoreValue(done.finally(() => close(fd)));
  close(fd);
  return undefined;
}

export function ignoreValue(value: number | Promise<number>): void | Promise<void> {
  return value instanceof Promise ? value.then(() => undefined) : undefined;
}

export function fallocate(union: Union, handleId: number, mode: number, offset: number, length: number): void {
  hostFallocate(descriptor(union, union.handles.file(handleId)), mode, offset, length);
}

export function lseek(union: Union, handleId: number, offset: number, whence: number): number {
  return hostLseek(descriptor(union, union.handles.file(handleId)), offset, whence);
}

interface Place {
  handle: number;
  offset: number;
}

export function copyFileRange(union: Union, source: Place, target: Place, length: number): number | Promise<number> {
  const [from, to] = [union.handles.file(source.handle), union.handles.file(target.handle)];
  const job = { kind: 'copyRange', from: descriptor(union, from), fromOffset: source.offset, to: descriptor(union, to), toOffset: target.offset, length } as const;
  if (length <= INLINE || union.options.helpers === undefined) return union.run(job);
  // Releases may come meanwhile: the thread has descriptors of its own.
  const [mine, theirs] = [reopen(job.from, O_RDONLY), reopen(job.to, O_WRONLY)];
  const done = union.options.helpers.run({ ...job, from: mine, to: theirs });
  return done.finally(() => {
    close(mine);
    close(theirs);
  });
}
