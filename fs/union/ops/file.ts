import { FsError, hasCode } from '../../errno.ts';
import type { Caller, OpenReply } from '../../file-system.ts';
import { S_IFREG, S_ISGID, S_ISUID } from '../../stat.ts';
import { close } from '../../host/at.ts';
import { O_ACCMODE, O_APPEND, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../host/constants.ts';
import { truncateFd } from '../../host/file.ts';
import { afterCopyUp } from '../copy-up.ts';
import type { Node } from '../node.ts';
import type { Union } from '../state.ts';
import { clearPrivileges, openBacking, readFile } from './data.ts';

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
  if ((flags & O_ACCMODE) === O_RDONLY && !truncates) return openToRead(union, node, how.exec);
  return afterCopyUp(union, node, truncates ? 'empty' : 'data', () => {
    refuseStaleBacking(union, node);
    const wanted = backingFlags(union, flags);
    const fd = openToWrite(union, node, flags, wanted === O_RDONLY ? O_RDWR : wanted);
    try {
      if (truncates) {
        truncateFd(fd, 0);
        if (how.killPrivileges) clearPrivileges(union.writable(), node, fd);
      }
    } catch (error) {
      close(fd);
      throw error;
    }
    return opened(union, node, { flags: wanted, fd, exec: how.exec });
  });
}

/** An append-only file (`chattr +a`) can only be opened as one; not with a writeback cache, which writes whole pages back. */
function openToWrite(union: Union, node: Node, flags: number, wanted: number): number {
  try {
    return union.openUpper(node, wanted);
  } catch (error) {
    if (!hasCode(error, 'EPERM') || (flags & O_APPEND) === 0 || union.kernel?.writebackCache === true) throw error;
    return union.openUpper(node, wanted | O_APPEND);
  }
}

/** Where the first bytes of a lower file decide about passthrough and have to come from the disk, a helper thread waits for them. */
function openToRead(union: Union, node: Node, exec: boolean, waited = false): OpenReply | Promise<OpenReply> {
  const how = { flags: O_RDONLY, fd: undefined, exec };
  if (waited || knownToPassThrough(union, node, how) !== undefined) return opened(union, node, how);
  const fd = openBacking(union, node, O_RDONLY);
  let start: number | Promise<number>;
  try {
    start = readFile(union, fd, 0, Buffer.allocUnsafeSlow(1));
  } catch (error) {
    close(fd);
    throw error;
  }
  if (!(start instanceof Promise)) return opened(union, node, { ...how, fd });
  close(fd);
  node.busy += 1;
  return start.then(() => openToRead(union, node, exec, true)).finally(() => {
    node.busy -= 1;
    union.table.release(node);
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
    const passthrough = knownToPassThrough(union, node, how) ?? union.lower.isElf(node.lower, fd);
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

/** undefined: it depends on the file's content. An inode is in one mode at a time: that of its first open. */
function knownToPassThrough(union: Union, node: Node, how: { flags: number; fd: number | undefined; exec: boolean }): boolean | undefined {
  const { passthrough = 'auto' } = union.options;
  if (union.kernel?.passthrough !== true || passthrough === 'never') return false;
  for (const handle of node.handles ?? []) return handle.passthrough;
  if (union.usage !== undefined && (union.hasData(node) || how.flags !== O_RDONLY)) return false;
  // The kernel's own writes to a backing file are made with our rights, and would leave setuid and setgid as they are.
  if (how.flags !== O_RDONLY && !node.unprivileged && how.fd !== undefined) {
    node.unprivileged = (union.writable().owners.stat(how.fd).mode & (S_ISUID | S_ISGID)) === 0;
    if (!node.unprivileged) return false;
  }
  return passthrough === 'always' || union.hasData(node) || union.upper === undefined || how.exec || undefined;
}

export function release(union: Union, handleId: number): void {
  const handle = union.handles.files.get(handleId);
  if (handle === undefined) return;
  union.handles.removeFile(handle);
  const { node } = handle;
  if (handle.passthrough && ![...(node.handles ?? [])].some((other) => other.passthrough)) union.closeBacking(node);
  union.table.release(node);
}
