import { errnoNumber } from '../errno.ts';
import type { Name } from '../name.ts';
import { O_DIRECTORY, O_RDONLY } from './constants.ts';
import { close, openAt } from './at.ts';
import { failed, lastErrno, libc } from './native.ts';

export interface HostDirent {
  name: Name;
  /** d_type: 0 unknown, else the type bits of st_mode shifted right by 12. */
  type: number;
  ino: number;
}

const buffer = Buffer.alloc(256 * 1024);

/** All names of a directory but "." and ".."; the descriptor may be an O_PATH one. */
export function listDirectory(directory: number): HostDirent[] {
  const fd = openAt(directory, '.', O_RDONLY | O_DIRECTORY);
  try {
    const entries: HostDirent[] = [];
    for (;;) {
      const length = libc.getdents64(fd, buffer, buffer.length) as number;
      if (length < 0) {
        if (lastErrno() === errnoNumber('EINTR')) continue;
        throw failed('read a directory');
      }
      if (length === 0) return entries;
      readEntries(length, entries);
    }
  } finally {
    close(fd);
  }
}

/** struct linux_dirent64 of getdents64(2). */
function readEntries(length: number, entries: HostDirent[]): void {
  for (let offset = 0; offset < length; ) {
    const size = buffer.readUInt16LE(offset + 16);
    const start = offset + 19;
    const end = buffer.indexOf(0, start);
    const name = buffer.latin1Slice(start, end);
    if (name !== '.' && name !== '..') {
      const ino = buffer.readUInt32LE(offset) + buffer.readUInt32LE(offset + 4) * 0x1_0000_0000;
      entries.push({ name, type: buffer[offset + 18] as number, ino });
    }
    offset += size;
  }
}
