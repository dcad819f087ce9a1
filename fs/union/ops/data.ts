import { FsError } from '../../errno.ts';
import { PERMISSIONS, S_ISGID, S_ISUID } from '../../stat.ts';
import { close, statFd } from '../../host/at.ts';
import { utimensFd } from '../../host/attributes.ts';
import { FALLOC_FL_PUNCH_HOLE, O_ACCMODE, O_RDONLY, TMPFS_MAGIC } from '../../host/constants.ts';
import { CANNOT_TELL, lseek as hostLseek, preadFull, preadNoWait, pwrite, statfs } from '../../host/file.ts';
import { addressOf } from '../../host/native.ts';
import { withoutPrivileges } from '../../layer/owners.ts';
import type { UpperTree } from '../../layer/upper.ts';
import type { FileHandle } from '../handles.ts';
import { perform } from '../job.ts';
import type { Node } from '../node.ts';
import type { Union } from '../state.ts';

/** Copying or allocating more bytes than this goes to a helper thread. */
const INLINE = 1 << 20;

export function openBacking(union: Union, node: Node, flags: number): number {
  return union.hasData(node) ? union.openUpper(node, flags) : union.openLower(node);
}

function descriptor(union: Union, handle: FileHandle): number {
  if (handle.fd === undefined) {
    handle.fd = openBacking(union, handle.node, handle.flags);
    handle.upper = union.hasData(handle.node);
  }
  return handle.fd;
}

export function read(union: Union, handleId: number, offset: number, into: Buffer): number | Promise<number> {
  return readFile(union, descriptor(union, union.handles.file(handleId)), offset, into);
}

/** Gives what is in memory at once; a helper thread reads what the disk must be waited for. */
export function readFile(union: Union, fd: number, offset: number, into: Buffer): number | Promise<number> {
  const { helpers } = union.options;
  if (helpers === undefined) return preadFull(fd, into, 0, into.length, offset);
  let done = 0;
  while (done < into.length) {
    const count = preadNoWait(fd, into, done, into.length - done, offset + done);
    if (count === 0) break;
    if (count < 0) {
      // tmpfs doesn't tell, but has no disk.
      if (count === CANNOT_TELL && statfs(fd).type === TMPFS_MAGIC) return preadFull(fd, into, 0, into.length, offset);
      const job = { kind: 'read', fd, address: addressOf(into) + BigInt(done), length: into.length - done, offset: offset + done } as const;
      return helpers.run(job, into).then((more) => done + more);
    }
    done += count;
  }
  return done;
}

export function write(union: Union, handleId: number, offset: number, data: Buffer, how: { killPrivileges: boolean; fromCache: boolean }): number {
  const handle = union.handles.file(handleId);
  const fd = descriptor(union, handle);
  // With a writeback cache the kernel decides what the mtime is, and tells where it changed: not when it gets round to writing.
  const before = how.fromCache && union.kernel?.writebackCache === true ? statFd(fd) : undefined;
  const length = union.usage === undefined ? data.length : union.usage.allowed(fd, offset, data.length);
  let done = 0;
  while (done < length) {
    try {
      done += pwrite(fd, data, done, length - done, offset + done);
    } catch (error) {
      // As write(2): what was written counts, the next call meets the error.
      if (done === 0) throw error;
      break;
    }
  }
  union.usage?.measured(statFd(fd));
  if (before !== undefined) utimensFd(fd, undefined, { sec: before.mtimeSec, nsec: before.mtimeNsec });
  if (how.killPrivileges) clearPrivileges(union.writable(), handle.node, fd);
  return done;
}

/** What Linux does when someone without CAP_FSETID writes: setuid goes, and setgid where the group may execute. The host drops capabilities itself. */
export function clearPrivileges({ owners }: UpperTree, node: Node, fd: number): void {
  if (node.unprivileged) return;
  const stat = owners.stat(fd);
  const { mode } = stat;
  const permissions = withoutPrivileges(stat);
  if (permissions !== (mode & PERMISSIONS)) owners.change(fd, { permissions });
  else if ((mode & (S_ISUID | S_ISGID)) === 0) node.unprivileged = true;
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
  try {
    return ignoreValue(union.run({ kind: 'sync', fd, how }));
  } finally {
    close(fd);
  }
}

function ignoreValue(value: number | Promise<number>): void | Promise<void> {
  return value instanceof Promise ? value.then(() => undefined) : undefined;
}

export function fallocate(union: Union, handleId: number, what: { mode: number; offset: number; length: number }, how?: { killPrivileges: boolean }): void | Promise<void> {
  const handle = union.handles.file(handleId);
  const job = { kind: 'allocate', fd: descriptor(union, handle), ...what } as const;
  if (how?.killPrivileges === true) clearPrivileges(union.writable(), handle.node, job.fd);
  if ((what.mode & FALLOC_FL_PUNCH_HOLE) === 0) union.usage?.require(what.length);
  return ignoreValue(measuring(union, job.fd, () => (what.length <= INLINE ? perform(job) : union.run(job))));
}

/** What a file takes after something was done to it, failing too. */
function measuring(union: Union, fd: number, act: () => number | Promise<number>): number | Promise<number> {
  const { usage } = union;
  if (usage === undefined) return act();
  const measure = (): void => usage.measured(statFd(fd));
  let done: number | Promise<number>;
  try {
    done = act();
  } catch (error) {
    measure();
    throw error;
  }
  if (done instanceof Promise) return done.finally(measure);
  measure();
  return done;
}

/** The host knows nothing of pages the kernel hasn't written yet, so it writes those first: they are there without a writeback cache too, where a mapping was written to. */
export function lseek(union: Union, handleId: number, offset: number, whence: number): number | Promise<number> {
  const seek = (): number => hostLseek(descriptor(union, union.handles.file(handleId)), offset, whence);
  const { node } = union.handles.file(handleId);
  if (union.kernel === undefined || !isWrittenByKernel(node)) return seek();
  return union.kernel.invalidateNode(node.id, offset, 0).then(seek);
}

/** Open for writing, and not passed through: also as long as a writable mapping is there, for that keeps the file open. */
function isWrittenByKernel(node: Node): boolean {
  for (const { flags, passthrough } of node.handles ?? []) if (!passthrough && (flags & O_ACCMODE) !== O_RDONLY) return true;
  return false;
}

interface Place {
  handle: number;
  offset: number;
}

export function copyFileRange(union: Union, what: { source: Place; target: Place; length: number }, how?: { killPrivileges: boolean }): number | Promise<number> {
  const { source, target, length } = what;
  const [from, to] = [union.handles.file(source.handle), union.handles.file(target.handle)];
  const job = { kind: 'copyRange', from: descriptor(union, from), fromOffset: source.offset, to: descriptor(union, to), toOffset: target.offset, length } as const;
  if (how?.killPrivileges === true) clearPrivileges(union.writable(), to.node, job.to);
  union.usage?.require(length);
  return measuring(union, job.to, () => (length <= INLINE ? perform(job) : union.run(job)));
}
