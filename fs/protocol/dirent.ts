import type { DirectoryEntry, NodeReply } from '../file-system.ts';
import { direntType } from '../stat.ts';
import { FOR_EVER, writeEntry } from './encode.ts';
import { fuse_dirent, fuse_entry_out } from './structs.ts';

/** Packs directory entries into a reply's body, as many as fit. */
export class DirentPacker {
  private readonly bytes: Buffer;
  private readonly view: DataView;
  private readonly start: number;
  private readonly end: number;
  private readonly validity: number;
  private offset: number;

  constructor(bytes: Buffer, view: DataView, start: number, room: number, validity = FOR_EVER) {
    this.bytes = bytes;
    this.view = view;
    this.start = start;
    this.end = Math.min(start + room, bytes.length);
    this.validity = validity;
    this.offset = start;
  }

  /** Bytes packed so far. */
  get length(): number {
    return this.offset - this.start;
  }

  /** A fuse_dirent; false, and nothing is written, where it has no room. */
  readonly add = (entry: DirectoryEntry): boolean => this.put(entry, this.offset);

  /** A fuse_direntplus. */
  readonly addPlus = (entry: DirectoryEntry, node: NodeReply | undefined): boolean => {
    const at = this.offset;
    if (!this.put(entry, at + fuse_entry_out.size)) return false;
    writeEntry(this.view, at, node, this.validity);
    return true;
  };

  private put(entry: DirectoryEntry, at: number): boolean {
    const nameEnd = at + fuse_dirent.size + entry.name.length;
    // Records are padded to 8 bytes; the size of what comes before a dirent is a multiple of 8.
    const next = nameEnd + (-(nameEnd - this.start) & 7);
    if (next > this.end) return false;
    fuse_dirent.write(this.view, at, { ino: entry.ino, off: entry.offset, namelen: entry.name.length, type: direntType(entry.mode) });
    this.bytes.latin1Write(entry.name, at + fuse_dirent.size);
    if (next !== nameEnd) this.bytes.fill(0, nameEnd, next);
    this.offset = next;
    return true;
  }
}
