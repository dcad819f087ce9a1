import { createHash } from 'node:crypto';
import { closeSync, existsSync, readSync, rmSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { Change } from '../tree/change.ts';
import type { ContentSource, Entry, ObjectKey, Tree, TreeReader } from '../tree/entry.ts';
import { borrowedFrom } from './borrow.ts';
import { LayerContent, openContent } from './content.ts';
import { contentFiles, contentLinks } from './content-files.ts';
import { countContent } from './content-size.ts';
import { decodeEntry, Directory, encodeEntry } from './directory-object.ts';
import { replaceFile } from './durable.ts';
import { putContent, putLayer, putObject, type IndexOperation } from './index-database.ts';
import { shortId, type LayerId } from './layer-id.ts';
import { encodeObjects, readObjects } from './objects-file.ts';
import { layerNote } from './opening.ts';
import { contentPath, manifestPath, objectsPath, recipePath } from './paths.ts';
import type { LayerRecord } from './records.ts';
import { numbersIn } from './removal.ts';
import { treeOf, type StoreState } from './state.ts';
import { buildTree } from './tree-builder.ts';

export interface CheckProblem {
  /** A layer's id, "store", or "image …". */
  layer: string;
  problem: string;
  fixed: boolean;
}

export interface CheckOptions {
  /** Mend what can be mended. */
  rebuild?: boolean;
  /** Only these layers. */
  layers?: readonly LayerId[];
  /** The archive's bytes from recipe and content. */
  replay?: (recipePath: string, source: ContentSource) => AsyncIterable<Buffer>;
  /** What the archive does, read once more from recipe and content. */
  reapply?: (recipePath: string, source: ContentSource, parent: Tree | undefined, reader: TreeReader) => Promise<Change>;
  onProgress?: (done: number, total: number, what: string) => void;
}

/** Compares manifests, objects, index, content and recipes with each other, and with what they should hash to. Damage is told, not thrown. */
export async function checkStore(state: StoreState, options: CheckOptions): Promise<CheckProblem[]> {
  return await state.serially(async () => {
    const check = new Check(state, options);
    await check.run();
    return check.problems;
  });
}

class Check {
  readonly problems: CheckProblem[] = [];
  readonly #state: StoreState;
  readonly #options: CheckOptions;
  /** In how many layers' objects each object stands. */
  readonly #counts = new Map<ObjectKey, number>();
  /** Digests of content files by inode: linked ones are read once. */
  readonly #hashes = new Map<string, string>();

  constructor(state: StoreState, options: CheckOptions) {
    this.#state = state;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { table, paths, images } = this.#state;
    const { layers: only, onProgress } = this.#options;
    const layers = only === undefined ? table.layers() : table.layers().filter(({ id }) => only.includes(id));
    for (const number of numbersIn(paths.layers)) {
      if (table.byNumber(number) === undefined) this.#tell('store', `${manifestPath(paths.layer(number))} is missing or damaged; the layer in that directory can't be used`);
    }
    for (const [index, record] of layers.entries()) {
      onProgress?.(index, layers.length, shortId(record.id));
      await this.#layer(record);
    }
    onProgress?.(layers.length, layers.length, '');
    if (only === undefined) {
      await this.#objectCounts();
      if (this.problems.length === 0) this.#contentSize();
    }
    for (const image of images.all()) {
      const missing = image.layers.find((id) => table.layer(id) === undefined);
      if (missing !== undefined) this.#tell(`image ${image.names[0] ?? shortId(image.id)}`, `its layer ${shortId(missing)} is missing`);
    }
  }

  #tell(layer: string, problem: string, fixed = false): void {
    this.problems.push({ layer, problem, fixed });
  }

  async #layer(record: LayerRecord): Promise<void> {
    const { id } = record;
    if (record.parent !== undefined && this.#state.table.layer(record.parent) === undefined) {
      this.#tell(id, `the layer below it, ${shortId(record.parent)}, is missing`);
      return;
    }
    const objects = await this.#objects(record);
    if (objects === undefined) return;
    await this.#index(record, objects);
    await this.#content(record, objects);
    await this.#recipe(record);
  }

  /** The layer's objects, from its file, or made anew from its recipe. */
  async #objects(record: LayerRecord): Promise<Map<ObjectKey, Buffer> | undefined> {
    const path = objectsPath(this.#state.paths.layer(record.number));
    let damage: string;
    try {
      const objects = readObjects(path);
      if (objects.size === record.objects) return objects;
      damage = `${path} holds ${objects.size} objects, not ${record.objects}`;
    } catch (error) {
      damage = (error as Error).message;
    }
    if (!this.#options.rebuild || this.#options.reapply === undefined) {
      this.#tell(record.id, damage);
      return undefined;
    }
    try {
      const objects = await this.#reapply(record);
      const aside = `${path}.new`;
      rmSync(aside, { force: true });
      replaceFile(path, encodeObjects(objects), aside);
      this.#tell(record.id, damage, true);
      return objects;
    } catch (error) {
      this.#tell(record.id, `${damage}; making it anew failed: ${(error as Error).message}`);
      return undefined;
    }
  }

  async #reapply(record: LayerRecord): Promise<Map<ObjectKey, Buffer>> {
    const { paths, table, reader } = this.#state;
    const directory = paths.layer(record.number);
    const parentRecord = record.parent === undefined ? undefined : table.layer(record.parent);
    const parent = parentRecord && treeOf(parentRecord, reader);
    const root = await this.#options.reapply?.(recipePath(directory), new LayerContent(directory), parent, reader) as Change;
    const built = buildTree({ parent, layer: record.number, root, reader });
    if (encodeEntry(built.tree.root).toString('base64') !== record.root || built.links !== record.links) throw new Error('the recipe gives another tree than the manifest says');
    return built.objects;
  }

  async #index(record: LayerRecord, objects: ReadonlyMap<ObjectKey, Buffer>): Promise<void> {
    const { index } = this.#state;
    const mending: IndexOperation[] = [];
    let lost = 0;
    for (const [key, bytes] of objects) {
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
      try {
        index.object(key);
      } catch {
        lost++;
        mending.push(putObject(key, bytes, Math.max(1, index.objectCount(key))));
      }
    }
    const noted = (await index.layers()).get(record.number) === layerNote(record);
    if (!noted) mending.push(putLayer(record.number, layerNote(record)));
    if (lost === 0 && noted) return;
    if (this.#options.rebuild) await index.write(mending);
    this.#tell(record.id, noted ? `${lost} of its ${objects.size} objects are missing from the index or damaged there` : 'the index does not know it', this.#options.rebuild);
  }

  #contentSize(): void {
    const { paths, table, contentSize: { bytes, allocated } } = this.#state;
    const found = countContent(paths, table.layers());
    if (found.bytes !== bytes || found.allocated !== allocated) this.#tell('store', `the content of its layers has ${found.bytes} bytes, ${found.allocated} on disk, not ${bytes} and ${allocated}`);
  }

  async #content(record: LayerRecord, objects: ReadonlyMap<ObjectKey, Buffer>): Promise<void> {
    const { index, paths } = this.#state;
    const directory = record.borrowed === undefined ? paths.layer(record.number) : borrowedFrom(paths.layer(record.number));
    if (directory === undefined || !existsSync(directory)) {
      this.#tell(record.id, `its data is missing, which was in the additional store's ${directory ?? 'directory'}`);
      return;
    }
    const expected = contentOf(record, objects);
    const mending: IndexOperation[] = [];
    for (const { digest, path } of contentFiles(directory)) {
      const size = expected.get(digest);
      expected.delete(digest);
      const found = await this.#hash(path);
      if (found !== digest) this.#tell(record.id, `${path} is damaged: ${found}`);
      else if (size !== undefined && size !== contentLinks(path).size) this.#tell(record.id, `${path} has ${contentLinks(path).size} bytes, not ${size}`);
      else if (record.borrowed === undefined && index.contentLayer(digest) === undefined) mending.push(putContent(digest, record.number));
    }
    for (const digest of expected.keys()) this.#tell(record.id, `${contentPath(directory, digest)} is missing`);
    if (this.#options.rebuild && mending.length > 0) await index.write(mending);
  }

  /** The sha256 of a file, or why there is none. */
  async #hash(path: string): Promise<string> {
    const { inode } = contentLinks(path);
    const known = this.#hashes.get(inode);
    if (known !== undefined) return known;
    let found: string;
    try {
      found = await hashFile(path);
    } catch (error) {
      found = (error as Error).message;
    }
    this.#hashes.set(inode, found);
    return found;
  }

  async #recipe(record: LayerRecord): Promise<void> {
    if (this.#options.replay === undefined) return;
    const directory = this.#state.paths.layer(record.number);
    if (!existsSync(recipePath(directory))) {
      this.#tell(record.id, `${recipePath(directory)} is missing`);
      return;
    }
    try {
      const hash = createHash('sha256');
      for await (const piece of this.#options.replay(recipePath(directory), new LayerContent(directory))) hash.update(piece);
      const diffId = `sha256:${hash.digest('hex')}`;
      if (diffId !== record.diffId) this.#tell(record.id, `recipe and content give the archive ${diffId}, not ${record.diffId}`);
    } catch (error) {
      this.#tell(record.id, `recipe and content don't give the archive back: ${(error as Error).message}`);
    }
  }

  async #objectCounts(): Promise<void> {
    const { index } = this.#state;
    const mending: IndexOperation[] = [];
    for (const [key, count] of this.#counts) {
      if (index.objectCount(key) === count) continue;
      try {
        mending.push(putObject(key, index.object(key), count));
      } catch {
        // Told of already, as damage of its layer.
      }
    }
    if (mending.length === 0) return;
    if (this.#options.rebuild) await index.write(mending);
    this.#tell('store', `${mending.length} objects of the index are counted wrong`, this.#options.rebuild);
  }
}

/** The content a layer's own inodes need, with its sizes. */
function contentOf(record: LayerRecord, objects: ReadonlyMap<ObjectKey, Buffer>): Map<string, number> {
  const expected = new Map<string, number>();
  const note = ({ layer, content, size }: Entry): void => {
    if (layer === record.number && content !== undefined) expected.set(content.digest, size);
  };
  note(decodeEntry(Buffer.from(record.root, 'base64')));
  for (const [key, bytes] of objects) if (key !== record.links) new Directory(bytes).entries().forEach(note);
  return expected;
}

async function hashFile(path: string): Promise<string> {
  const fd = openContent(path);
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) {
      hash.update(buffer.subarray(0, count));
      await setImmediate();
    }
    return hash.digest('hex');
  } finally {
    closeSync(fd);
  }
}
