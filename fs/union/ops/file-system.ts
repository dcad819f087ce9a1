import type { FsStatistics } from '../../file-system.ts';
import { FsError } from '../../errno.ts';
import { NAME_MAX } from '../../name.ts';
import { S_IFDIR, S_IFREG } from '../../stat.ts';
import { close } from '../../host/at.ts';
import { O_DIRECTORY, O_RDONLY } from '../../host/constants.ts';
import { ioctl as hostIoctl } from '../../host/file.ts';
import { AUFS_PREFIX } from '../../layer/whiteout.ts';
import { afterCopyUp } from '../copy-up.ts';
import type { Union } from '../state.ts';
import { syncDirectory } from './directory.ts';

export function statfs(union: Union): FsStatistics {
  const host = union.statistics();
  if (host === undefined) {
    return { blocks: 0, freeBlocks: 0, availableBlocks: 0, files: 0, freeFiles: 0, blockSize: 4096, fragmentSize: 4096, nameMax: NAME_MAX };
  }
  const { blockSize, fragmentSize, nameMax } = host;
  let { blocks, freeBlocks, availableBlocks, files, freeFiles } = host;
  if (union.usage !== undefined) {
    union.usage.refresh();
    const free = Math.floor(union.usage.free / fragmentSize);
    const { total } = union.usage;
    if (total !== Infinity) blocks = Math.floor(total / fragmentSize);
    [freeBlocks, availableBlocks] = [Math.min(free, freeBlocks), Math.min(free, availableBlocks)];
    const { inodes, freeInodes } = union.usage;
    if (inodes !== Infinity) [files, freeFiles] = [inodes, Math.min(freeInodes, freeFiles)];
  }
  const longest = union.upper?.spelling === 'aufs' ? NAME_MAX - AUFS_PREFIX.length : NAME_MAX;
  return { blocks, freeBlocks, availableBlocks, files, freeFiles, blockSize, fragmentSize, nameMax: Math.min(nameMax || NAME_MAX, longest) };
}

export function syncfs(union: Union): void | Promise<void> {
  if (union.upper === undefined || union.options.volatile === true) return undefined;
  return syncDirectory(union, union.upper.root, 'fileSystem');
}

/** ioctls of linux/fs.h that read and change the flags lsattr(1) shows; _IOR and _IOW of a long, and of its 32-bit twin. */
const GET_FLAGS = [0x80086601, 0x80046601];
const SET_FLAGS = [0x40086602, 0x40046602];
const GET_ATTRIBUTES = 0x801c581f;
const SET_ATTRIBUTES = 0x401c5820;

export function ioctl(union: Union, id: number, command: number, argument: Buffer, outSize: number): Buffer | Promise<Buffer> {
  const node = union.table.get(id);
  const reads = GET_FLAGS.includes(command) || command === GET_ATTRIBUTES;
  const writes = SET_FLAGS.includes(command) || command === SET_ATTRIBUTES;
  if ((!reads && !writes) || (node.type !== S_IFREG && node.type !== S_IFDIR)) {
    throw new FsError('ENOTTY', `Cannot do ioctl 0x${command.toString(16)}: not one of this file system`);
  }
  if (reads) {
    if (!node.upper && node.type === S_IFDIR) return Buffer.alloc(outSize);
    const out = Buffer.alloc(Math.max(outSize, 32));
    withFile(union, id, (fd) => hostIoctl(fd, command, out));
    return out.subarray(0, outSize);
  }
  union.writable();
  const copy = Buffer.alloc(Math.max(argument.length, 32));
  argument.copy(copy);
  return afterCopyUp(union, node, 'data', () => {
    withFile(union, id, (fd) => hostIoctl(fd, command, copy));
    return Buffer.alloc(0);
  });
}

function withFile(union: Union, id: number, use: (fd: number) => void): void {
  const node = union.table.get(id);
  const isDirectory = node.type === S_IFDIR;
  const fd = node.upper ? union.openUpper(node, isDirectory ? O_RDONLY | O_DIRECTORY : O_RDONLY) : union.lower.open(node.lower);
  try {
    use(fd);
  } finally {
    close(fd);
  }
}
