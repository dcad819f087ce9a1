import { FsError } from '../errno.ts';
import type { Name } from '../name.ts';
import { nameToText } from '../name.ts';
import { S_IFDIR, type Stat } from '../stat.ts';
import type { Layer, LayerEntry } from './layer.ts';

const STAT: Stat = {
  mode: S_IFDIR | 0o755, uid: 0, gid: 0, size: 0, blocks: 0, blockSize: 4096, nlink: 2, ino: 1, rdevMajor: 0, rdevMinor: 0, atimeSec: 0, atimeNsec: 0,
  mtimeSec: 0, mtimeNsec: 0, ctimeSec: 0, ctimeNsec: 0, btimeSec: 0, btimeNsec: 0,
};

/** A tree of one empty directory: what a container without an image stands on. */
export class EmptyLayer implements Layer<'root'> {
  readonly root = 'root' as const;
  readonly #stat: Stat;

  /** `times`: of its root; the epoch unless told. */
  constructor(times: Partial<Pick<Stat, 'mtimeSec' | 'mtimeNsec'>> = {}) {
    this.#stat = { ...STAT, mtimeSec: times.mtimeSec ?? 0, mtimeNsec: times.mtimeNsec ?? 0 };
  }

  lookup(): undefined {
    return undefined;
  }

  list(): LayerEntry<'root'>[] {
    return [];
  }

  stat(): Stat {
    return { ...this.#stat };
  }

  identity(): string {
    return 'root';
  }

  readlink(): Name {
    throw new FsError('EINVAL', 'Cannot read the root as a symlink');
  }

  listXattr(): Name[] {
    return [];
  }

  getXattr(): undefined {
    return undefined;
  }

  open(node: 'root'): number {
    throw new FsError('EISDIR', `Cannot open "${nameToText(node)}": a directory`);
  }

  isElf(): boolean {
    return false;
  }

  subtreeKey(): string {
    return 'empty';
  }

  origin(): string {
    return 'empty';
  }

  close(): void {}
}
