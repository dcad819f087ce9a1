import { FsError } from '../errno.ts';
import { close } from '../host/at.ts';
import type { ListedEntry } from './listing.ts';
import type { Node } from './node.ts';

export interface FileHandle {
  readonly id: number;
  readonly node: Node;
  /** open(2) flags for the backing file. */
  readonly flags: number;
  /** Opened when first needed: in passthrough mostly never. */
  fd: number | undefined;
  /** `fd` is of the upper file. */
  upper: boolean;
  readonly passthrough: boolean;
}

export interface DirectoryHandle {
  readonly id: number;
  readonly node: Node;
  /** The names as they were at the first read. */
  entries: ListedEntry[] | undefined;
}

/** Open files and directories of one mount. */
export class Handles {
  readonly files = new Map<number, FileHandle>();
  readonly directories = new Map<number, DirectoryHandle>();
  #nextId = 1;

  addFile(file: Omit<FileHandle, 'id'>): FileHandle {
    const handle = { ...file, id: this.#nextId++ };
    this.files.set(handle.id, handle);
    (handle.node.handles ??= new Set()).add(handle);
    return handle;
  }

  file(id: number): FileHandle {
    const handle = this.files.get(id);
    if (handle === undefined) throw new FsError('EBADF', `Cannot find open file ${id}`);
    return handle;
  }

  removeFile(handle: FileHandle): void {
    this.files.delete(handle.id);
    handle.node.handles?.delete(handle);
    if (handle.fd !== undefined) close(handle.fd);
  }

  addDirectory(node: Node): DirectoryHandle {
    const handle: DirectoryHandle = { id: this.#nextId++, node, entries: undefined };
    this.directories.set(handle.id, handle);
    node.busy += 1;
    return handle;
  }

  directory(id: number): DirectoryHandle {
    const handle = this.directories.get(id);
    if (handle === undefined) throw new FsError('EBADF', `Cannot find open directory ${id}`);
    return handle;
  }

  removeDirectory(handle: DirectoryHandle): void {
    this.directories.delete(handle.id);
    handle.node.busy -= 1;
  }

  close(): void {
    for (const handle of this.files.values()) if (handle.fd !== undefined) close(handle.fd);
    this.files.clear();
    this.directories.clear();
  }
}
