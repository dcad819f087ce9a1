import type { FsStatistics } from '../file-system.ts';
import { encodeDevice } from '../protocol/encode.ts';
import type { Stat } from '../stat.ts';

/** What fits one number of its arrays. */
const LIMIT = 2 ** 32;

/** Inode numbers of 32 bits: those that fit are themselves, others get one from the top, for as long as this lives. */
export class NarrowInodes {
  readonly #given = new Map<number, number>();

  narrow(ino: number): number {
    if (ino < LIMIT) return ino;
    let given = this.#given.get(ino);
    if (given === undefined) this.#given.set(ino, (given = LIMIT - 1 - (this.#given.size % (LIMIT / 2))));
    return given;
  }
}

/** A stat in the form fuse-native's C code takes it; its own JavaScript makes a link count of 0 into 1. */
export function statArray(stat: Stat, inodes: NarrowInodes): Uint32Array {
  const array = new Uint32Array(18);
  array.set([stat.mode, stat.uid, stat.gid]);
  setWide(array, 3, stat.size);
  array.set([0, stat.nlink, inodes.narrow(stat.ino), encodeDevice(stat.rdevMajor, stat.rdevMinor), stat.blockSize], 5);
  setWide(array, 10, stat.blocks);
  setWide(array, 12, milliseconds(stat.atimeSec, stat.atimeNsec));
  setWide(array, 14, milliseconds(stat.mtimeSec, stat.mtimeNsec));
  setWide(array, 16, milliseconds(stat.ctimeSec, stat.ctimeNsec));
  return array;
}

function setWide(array: Uint32Array, index: number, value: number): void {
  array[index] = value % LIMIT;
  array[index + 1] = Math.floor(value / LIMIT);
}

/** Unsigned there: what is before 1970 can't be told. */
function milliseconds(sec: number, nsec: number): number {
  return Math.max(0, sec * 1000 + Math.floor(nsec / 1e6));
}

/** The time of a count of milliseconds, which may be negative. */
export function timeOf(count: number): { sec: number; nsec: number } {
  const sec = Math.floor(count / 1000);
  return { sec, nsec: (count - sec * 1000) * 1e6 };
}

/** As fuse-native's statfs callback wants it: counts of 32 bits, so the unit grows until they fit. */
export function statfsValue(statistics: FsStatistics): Record<string, number> {
  let scale = 1;
  while (statistics.blocks / scale >= LIMIT) scale *= 2;
  const count = (blocks: number): number => Math.floor(blocks / scale);
  const files = (count_: number): number => Math.min(count_, LIMIT - 1);
  return {
    bsize: statistics.blockSize * scale, frsize: statistics.fragmentSize * scale, blocks: count(statistics.blocks), bfree: count(statistics.freeBlocks),
    bavail: count(statistics.availableBlocks), files: files(statistics.files), ffree: files(statistics.freeFiles), favail: files(statistics.freeFiles),
    namemax: statistics.nameMax,
  };
}
