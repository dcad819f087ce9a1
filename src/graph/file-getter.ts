import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import type { Layer } from '../../fs/layer/layer.ts';
import { joinName, type Name, nameFromText } from '../../fs/name.ts';
import { isDirectory, isRegular } from '../../fs/stat.ts';
import { UfsError } from '../errors.ts';
import { treeChanges } from '../changes/changes.ts';

/** The files of a layer, one after another or several at once, by path: what tar-split asks for to put an archive together. To be closed. */
export class FileGetter {
  readonly #layer: Layer;
  /** Those that are given; absent: all. */
  readonly #paths: ReadonlySet<Name> | undefined;
  readonly #close: () => void;

  /** `before`: only files that differ from those of this tree are given. `close`: called when it is closed. */
  constructor({ before, layer, close }: { before?: Layer | undefined; layer: Layer; close: () => void }) {
    this.#layer = layer;
    this.#paths = before && new Set(treeChanges(before, layer).map(({ path }) => path));
    this.#close = close;
  }

  /**
   * The content of a regular file: "etc/passwd", with or without "/" or "./" in front; no symlink on the way is followed. The stream may outlive this. UFS_NOT_FOUND, also for what
   * isn't one of the files given; UFS_NOT_A_FILE.
   */
  get(path: string): Readable {
    const names = nameFromText(path).split('/').filter((name) => name !== '' && name !== '.');
    const whole = names.reduce((above, name) => joinName(above, name), '' as Name);
    const node = this.#find(names);
    if (node === undefined || this.#paths?.has(whole) === false) throw new UfsError('UFS_NOT_FOUND', `Cannot get "${path}": ${node === undefined ? 'there is no such file' : 'it isn\'t changed here'}`);
    if (!isRegular(this.#layer.stat(node))) throw new UfsError('UFS_NOT_A_FILE', `Cannot get "${path}": it is not a regular file`);
    return createReadStream('', { fd: this.#layer.open(node), highWaterMark: 1 << 18 });
  }

  close(): void {
    this.#close();
  }

  #find(names: readonly Name[]): unknown {
    let node: unknown = this.#layer.root;
    for (const name of names) {
      if (node === undefined || !isDirectory(this.#layer.stat(node))) return undefined;
      node = this.#layer.lookup(node, name);
    }
    return node;
  }
}
