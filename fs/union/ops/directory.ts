import type { DirectoryEntry, NodeReply } from '../../file-system.ts';
import { FsError } from '../../errno.ts';
import { S_IFDIR } from '../../stat.ts';
import { openAt } from '../../host/at.ts';
import { O_DIRECTORY, O_RDONLY } from '../../host/constants.ts';
import { readFileMarks } from '../../layer/file-marks.ts';
import type { DirectoryHandle } from '../handles.ts';
import { firstBehind, inLastingOrder, type ListedEntry } from '../listing.ts';
import { mergeDirectory, type MergedEntry } from '../merge.ts';
import type { Node } from '../node.ts';
import type { Union } from '../state.ts';
import { syncAndClose } from './data.ts';

export function opendir(union: Union, id: number): { handle: number; keepCache: boolean; cacheDirectory: boolean } {
  // Names change only through the kernel, which keeps its cache of them in step.
  return { handle: union.handles.addDirectory(union.directory(id)).id, keepCache: true, cacheDirectory: true };
}

export function releasedir(union: Union, handleId: number): void {
  const handle = union.handles.directories.get(handleId);
  if (handle === undefined) return;
  union.handles.removeDirectory(handle);
  union.table.release(handle.node);
}

type Add = (entry: DirectoryEntry, node: NodeReply | undefined) => boolean;

/** Offsets come from the names: nothing is given twice or left out while names come and go. */
export function readdir(union: Union, handleId: number, offset: number, add: (entry: DirectoryEntry) => boolean): void {
  const { node, entries } = snapshot(union, handleId, offset);
  if (!addDots(union, node, offset, add)) return;
  for (let index = firstBehind(entries, offset); index < entries.length; index += 1) {
    const entry = entries[index];
    if (!add({ name: entry.name, ino: inodeNumber(union, node, entry), mode: entry.type, offset: entry.offset })) return;
  }
}

export function readdirplus(union: Union, handleId: number, offset: number, add: Add): void {
  const { node: directory, entries } = snapshot(union, handleId, offset);
  if (!addDots(union, directory, offset, add)) return;
  for (let index = firstBehind(entries, offset); index < entries.length; index += 1) {
    const { name, offset: behind } = entries[index];
    const found = union.child(directory, name);
    // Gone since the list was read.
    if (found === undefined) continue;
    const { node } = found;
    const reply = union.reply(node, found.stat);
    if (!add({ name, ino: reply.stat.ino, mode: node.type, offset: behind }, reply)) {
      union.table.forget(node.id, 1);
      return;
    }
  }
}

function snapshot(union: Union, handleId: number, offset: number): DirectoryHandle & { entries: ListedEntry[] } {
  const handle = union.handles.directory(handleId);
  // From the start again is rewinddir(3): what is there now.
  if (offset === 0 || handle.entries === undefined) handle.entries = inLastingOrder(mergeDirectory(union, union.sides(handle.node)));
  return handle as DirectoryHandle & { entries: ListedEntry[] };
}

function addDots(union: Union, node: Node, offset: number, add: Add): boolean {
  if (offset === 0 && !add({ name: '.', ino: union.stat(node).ino, mode: S_IFDIR, offset: 1 }, undefined)) return false;
  return offset > 1 || add({ name: '..', ino: union.stat(node.links[0]?.parent ?? node).ino, mode: S_IFDIR, offset: 2 }, undefined);
}

/** d_ino is st_ino, also for what was copied up or is merged. */
function inodeNumber(union: Union, directory: Node, entry: MergedEntry): number {
  if (entry.lower !== undefined) return entry.ino;
  const known = directory.children?.get(entry.name);
  if (known?.ino !== undefined) return known.ino;
  const { upper, lower } = union.sides(directory);
  if (upper === undefined || union.upper === undefined) return entry.ino;
  if (entry.type !== S_IFDIR) return readFileMarks({ directory: upper.fd, name: entry.name }).origin?.ino ?? entry.ino;
  if (lower === undefined && known !== undefined) return entry.ino;
  const found = union.child(directory, entry.name);
  if (found === undefined) return entry.ino;
  const { ino } = union.stat(found.node, found.stat);
  union.table.release(found.node);
  return ino;
}

export function fsyncdir(union: Union, id: number): void | Promise<void> {
  if (union.options.volatile === true) throw new FsError('ENOSYS', 'Cannot sync a volatile mount');
  const node = union.directory(id);
  return node.upper && !node.removed ? syncDirectory(union, union.descriptors.get(node), 'all') : undefined;
}

/** Syncs a directory, or the file system it is on. */
export function syncDirectory(union: Union, directory: number, how: 'all' | 'fileSystem'): void | Promise<void> {
  return syncAndClose(union, openAt(directory, '.', O_RDONLY | O_DIRECTORY), how);
}
