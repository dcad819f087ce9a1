import type { AttributeChange } from '../../file-system.ts';
import { attempt, FsError } from '../../errno.ts';
import { PERMISSIONS, S_IFDIR, S_IFLNK, S_IFREG, type Stat } from '../../stat.ts';
import { close, statFd } from '../../host/at.ts';
import { utimensAt, utimensFd } from '../../host/attributes.ts';
import { O_WRONLY } from '../../host/constants.ts';
import { truncateFd } from '../../host/file.ts';
import { afterCopyUp } from '../copy-up.ts';
import type { Node } from '../node.ts';
import type { Union } from '../state.ts';
import { clearPrivileges } from './data.ts';

export function getattr(union: Union, id: number): Stat {
  return union.stat(union.table.get(id));
}

export function setattr(union: Union, id: number, change: AttributeChange): Stat | Promise<Stat> {
  const node = union.table.get(id);
  union.writable();
  if (!node.upper && node.removed && onlyTimes(change)) {
    node.times = { ...node.times, ...timesOf(change) };
    return union.stat(node);
  }
  const need = change.size === undefined ? 'metadata' : change.size === 0 ? 'empty' : 'data';
  return afterCopyUp(union, node, need, () => apply(union, node, change));
}

function onlyTimes({ mode, uid, gid, size }: AttributeChange): boolean {
  return mode === undefined && uid === undefined && gid === undefined && size === undefined;
}

/** Times as they are shown for a removed file of the lower, which isn't worth a copy. */
function timesOf({ atime, mtime }: AttributeChange): Partial<Stat> {
  const milliseconds = Date.now();
  const now = { sec: Math.floor(milliseconds / 1000), nsec: (milliseconds % 1000) * 1_000_000 };
  const times: Partial<Stat> = { ctimeSec: now.sec, ctimeNsec: now.nsec };
  const [access, modified] = [atime, mtime].map((time) => (time === 'now' ? now : time));
  if (access !== undefined) Object.assign(times, { atimeSec: access.sec, atimeNsec: access.nsec });
  if (modified !== undefined) Object.assign(times, { mtimeSec: modified.sec, mtimeNsec: modified.nsec });
  return times;
}

function apply(union: Union, node: Node, change: AttributeChange): Stat {
  if (change.size !== undefined) truncate(union, node, change.size, change.killPrivileges === true);
  const { uid, gid, mode, atime, mtime } = change;
  const [owner, times] = [uid !== undefined || gid !== undefined, atime !== undefined || mtime !== undefined];
  const { owners } = union.writable();
  const target = union.target(node);
  if (times && !owner && mode === undefined && typeof target !== 'number') {
    // The commonest change, in one call.
    utimensAt(target.directory, target.name, atime, mtime);
  } else if (owner || mode !== undefined || times) {
    union.withDescriptor(node, (fd) => {
      const before = Number(owner) + Number(mode !== undefined) + Number(times) > 1 ? owners.stat(fd) : undefined;
      try {
        if (owner || mode !== undefined) owners.change(fd, { uid, gid, permissions: mode === undefined || node.type === S_IFLNK ? undefined : mode & PERMISSIONS });
        if (times) utimensFd(fd, atime, mtime);
      } catch (error) {
        // A change of several things that failed at one of them has changed none.
        if (before !== undefined) attempt(() => owners.change(fd, { uid: before.uid, gid: before.gid, permissions: node.type === S_IFLNK ? undefined : before.mode & PERMISSIONS }));
        throw error;
      }
    });
    if (mode !== undefined) node.unprivileged = false;
  }
  return union.stat(node);
}

function truncate(union: Union, node: Node, size: number, killPrivileges: boolean): void {
  if (node.type !== S_IFREG) throw new FsError(node.type === S_IFDIR ? 'EISDIR' : 'EINVAL', `Cannot set the size of node ${node.id}: not a regular file`);
  const fd = union.openUpper(node, O_WRONLY);
  try {
    truncateFd(fd, size);
    union.usage?.measured(statFd(fd));
    if (killPrivileges) clearPrivileges(union.writable(), node, fd);
  } finally {
    close(fd);
  }
}
