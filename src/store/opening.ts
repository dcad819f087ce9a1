import { randomUUID } from 'node:crypto';
import { chmodSync, closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeSync, constants } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { hasCode } from '../../fs/errno.ts';
import { flock, LOCK_EX, LOCK_NB } from '../../fs/host/file.ts';
import { UfsError } from '../errors.ts';
import { serializer } from '../serializer.ts';
import { contentFiles } from './content-files.ts';
import { countContent, NO_CONTENT } from './content-size.ts';
import { FILE_MODE, makeDirectory, replaceFile, syncDirectory, writeNewFile } from './durable.ts';
import { ImageTable } from './image-table.ts';
import { damaged, IndexDatabase, putContent, putContentSize, putLastNumber, putLayer, putObject, type IndexOperation } from './index-database.ts';
import { LayerTable } from './layer-table.ts';
import { FORMAT_VERSION, readManifest } from './manifest.ts';
import { ObjectReader } from './object-reader.ts';
import { readObjects } from './objects-file.ts';
import { manifestPath, objectsPath, StorePaths } from './paths.ts';
import { Pool } from './pool.ts';
import type { Manifest } from './records.ts';
import { forgetting, numbersIn, rootObject } from './removal.ts';
import type { StoreState } from './state.ts';
import { settlePool } from './store-pool.ts';

export interface StoreOptions {
  /** Make the store where there is none. */
  create?: boolean;
  /** Throw the index away and make it anew from the layers. */
  rebuild?: boolean;
  /** Told what was mended or swept away at open. */
  log?: (message: string) => void;
  /** For tests of crashes: called before each step that makes something durable. */
  step?: (name: string) => void;
}

interface StoreFile {
  format: number;
  uuid: string;
}

/** Opens a store: takes its lock, sweeps what a crash left, and brings the index in line with the layers. `unlock` gives the lock back. */
export async function openStore(root: string, options: StoreOptions): Promise<{ state: StoreState; unlock: () => void }> {
  const paths = new StorePaths(locate(root, options.create === true));
  checkStoreFile(paths, options.create === true);
  const lock = takeLock(paths);
  const unlock = (): void => closeSync(lock);
  try {
    const log = options.log ?? (() => undefined);
    if (!existsSync(paths.storeFile)) await initialize(paths);
    const { uuid } = readStoreFile(paths);
    sweep(paths, log);
    const index = options.rebuild === true ? await newIndex(paths, uuid) : await IndexDatabase.open(paths.index, uuid);
    try {
      const state = await load(paths, uuid, index, { ...options, log });
      return { state, unlock };
    } catch (error) {
      await index.close();
      throw error;
    }
  } catch (error) {
    unlock();
    throw error;
  }
}

/** The real path of a store's directory, which nobody else may write to. */
function locate(root: string, create: boolean): string {
  const path = resolve(root);
  if (!existsSync(path)) {
    if (!create) throw new UfsError('UFS_STORE_MISSING', `Cannot open the store ${path}: no such directory`);
    makeWithParents(path);
    chmodSync(path, 0o700);
  }
  const real = realpathSync(path);
  const stat = statSync(real);
  if (!stat.isDirectory()) throw new UfsError('UFS_STORE_MISSING', `Cannot open the store ${path}: not a directory`);
  if ((stat.mode & 0o022) !== 0) {
    if (readdirSync(real).length > 0) throw new UfsError('UFS_STORE_UNSAFE', `Cannot use ${path} as a store: others may write to it (mode ${(stat.mode & 0o7777).toString(8)})`);
    chmodSync(real, 0o700);
  }
  return real;
}

/** mkdir -p. Not mkdirSync's `recursive`, which never ends where a parent is there but nothing can be made in it, as in /proc. */
function makeWithParents(path: string): void {
  try {
    if (!existsSync(dirname(path))) makeWithParents(dirname(path));
    mkdirSync(path);
  } catch (error) {
    if (error instanceof UfsError) throw error;
    throw new UfsError('UFS_STORE_MISSING', `Cannot make a store in ${path}: ${(error as Error).message}; --root chooses another place`, { cause: error });
  }
}

/** What a store whose making was interrupted may hold. */
const UNFINISHED = ['lock', 'layers', 'images', 'index', 'staging', 'trash', 'empty', 'pool', 'store.json.new', 'lost+found'];

/** Refuses a directory that is no store and can't become one. */
function checkStoreFile(paths: StorePaths, create: boolean): void {
  if (existsSync(paths.storeFile)) return;
  if (existsSync(paths.layers) && readdirSync(paths.layers).length > 0) {
    throw new UfsError('UFS_STORE_MISSING', `Cannot open the store ${paths.root}: it holds layers, but store.json is missing`);
  }
  if (!create) throw new UfsError('UFS_STORE_MISSING', `Cannot open the store ${paths.root}: there is none`);
  const foreign = readdirSync(paths.root).find((name) => !UNFINISHED.includes(name));
  if (foreign !== undefined) throw new UfsError('UFS_STORE_MISSING', `Cannot make a store in ${paths.root}: it holds other files ("${foreign}")`);
}

/** The lock is the kernel's (flock), so it ends with the process; the pid in the file is for people. */
function takeLock(paths: StorePaths): number {
  const fd = openSync(paths.lock, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, FILE_MODE);
  try {
    flock(fd, LOCK_EX | LOCK_NB);
  } catch (cause) {
    closeSync(fd);
    if (!hasCode(cause, 'EAGAIN', 'EWOULDBLOCK')) throw cause;
    const pid = readFileSync(paths.lock, 'utf8').trim();
    throw new UfsError('UFS_STORE_LOCKED', `Cannot open the store ${paths.root}: ${pid === '' ? 'another process' : `process ${pid}`} has it open`, { cause });
  }
  ftruncateSync(fd, 0);
  writeSync(fd, `${process.pid}\n`, 0);
  return fd;
}

/** store.json comes last: without it there is no store yet, and the next attempt starts over. */
async function initialize(paths: StorePaths): Promise<void> {
  for (const path of [paths.layers, paths.images, paths.staging, paths.trash]) makeDirectory(path);
  if (!existsSync(paths.empty)) writeNewFile(paths.empty, '');
  rmSync(paths.index, { recursive: true, force: true });
  const uuid = randomUUID();
  await (await createIndex(paths, uuid)).close();
  syncDirectory(paths.root);
  const file: StoreFile = { format: FORMAT_VERSION, uuid };
  rmSync(`${paths.storeFile}.new`, { force: true });
  replaceFile(paths.storeFile, `${JSON.stringify(file)}\n`, `${paths.storeFile}.new`);
}

/** What store.json says. */
export function readStoreFile(paths: StorePaths): StoreFile {
  let file: StoreFile;
  try {
    file = JSON.parse(readFileSync(paths.storeFile, 'utf8')) as StoreFile;
  } catch (cause) {
    throw new UfsError('UFS_STORE_DAMAGED', `Cannot read ${paths.storeFile}: ${(cause as Error).message}`, { cause });
  }
  if (file.format !== FORMAT_VERSION) {
    throw new UfsError('UFS_STORE_VERSION', `Cannot open the store ${paths.root}: its format is ${file.format}, this program knows ${FORMAT_VERSION}`);
  }
  return file;
}

async function createIndex(paths: StorePaths, uuid: string): Promise<IndexDatabase> {
  makeDirectory(paths.index);
  return await IndexDatabase.create(paths.index, uuid);
}

async function newIndex(paths: StorePaths, uuid: string): Promise<IndexDatabase> {
  const lastNumber = await lastNumberIn(paths, uuid);
  if (existsSync(paths.index)) renameSync(paths.index, paths.trashed(`index-${randomUUID()}`));
  const index = await createIndex(paths, uuid);
  await index.write([putLastNumber(lastNumber)]);
  return index;
}

/** What was being made when the last process ended goes to the trash. */
function sweep(paths: StorePaths, log: (message: string) => void): void {
  for (const path of [paths.layers, paths.images, paths.staging, paths.trash]) makeDirectory(path);
  if (!existsSync(paths.empty)) writeNewFile(paths.empty, '');
  for (const name of readdirSync(paths.staging)) {
    log(`Swept ${name}, which was left in staging`);
    renameSync(`${paths.staging}/${name}`, paths.trashed(`${name}-${randomUUID()}`));
  }
}

/** What the index that is thrown away knows better than anything else, where it can still be read. */
async function lastNumberIn(paths: StorePaths, uuid: string): Promise<number> {
  try {
    const index = await IndexDatabase.open(paths.index, uuid);
    try {
      return index.lastNumber();
    } finally {
      await index.close();
    }
  } catch {
    return 0;
  }
}

async function load(paths: StorePaths, uuid: string, index: IndexDatabase, options: StoreOptions & { log: (message: string) => void }): Promise<StoreState> {
  const table = new LayerTable();
  const numbers = numbersIn(paths.layers);
  for (const number of numbers) {
    try {
      table.add(readManifest(manifestPath(paths.layer(number))));
    } catch (error) {
      options.log(`${(error as Error).message}; the layer is left out`);
    }
  }
  const lastNumber = [...numbers, ...numbersIn(paths.trash), ...(await index.layers()).keys()].reduce((a, b) => Math.max(a, b), index.lastNumber());
  const state: StoreState = {
    paths, uuid, index, table, lastNumber,
    contentSize: index.contentSize() ?? NO_CONTENT,
    pool: new Pool(paths.root, paths.pool),
    reader: new ObjectReader((key) => index.object(key)),
    images: new ImageTable(paths, options.log),
    uses: new Map(),
    nextNumber: 1 + lastNumber,
    log: options.log,
    step: options.step ?? (() => undefined),
    serially: serializer(),
  };
  try {
    const changed = await reconcile(state, new Set(numbers));
    if (changed || index.contentSize() === undefined) {
      state.contentSize = countContent(paths, table.layers());
      await index.write([putContentSize(state.contentSize)]);
    }
    await settlePool(state);
    return state;
  } catch (error) {
    state.pool.close();
    throw error;
  }
}

/** Makes the index say what the layers' own files say: the files are the truth. `present` are the layers' directories, readable or not. True where anything had to be changed. */
async function reconcile(state: StoreState, present: ReadonlySet<number>): Promise<boolean> {
  const known = await state.index.layers();
  const gone = [...known.keys()].filter((number) => !present.has(number));
  let changed = gone.length > 0;
  if (changed) {
    state.log(`The index knew ${gone.length} layers that are not there; they are dropped from it`);
    await state.index.write(forgetting(state, gone).operations);
  }
  for (const manifest of state.table.all()) {
    if (known.get(manifest.number) === layerNote(manifest)) continue;
    changed = true;
    try {
      await state.index.write(remembering(state, manifest));
      state.log(`The index had lost ${manifest.kind} ${manifest.id}; it is in it again`);
    } catch (error) {
      state.log(`The index has lost ${manifest.kind} ${manifest.id}, and it can't be mended: ${(error as Error).message}`);
    }
  }
  return changed;
}

/** What the index notes of a layer. */
export function layerNote(manifest: Manifest): string {
  return manifest.kind === 'layer' ? `${manifest.id} ${rootObject(manifest)}` : manifest.id;
}

/** The batch that brings a layer into the index from its own files. */
export function remembering(state: StoreState, manifest: Manifest): IndexOperation[] {
  const operations = [putLayer(manifest.number, layerNote(manifest))];
  if (manifest.kind === 'container') return operations;
  const directory = state.paths.layer(manifest.number);
  const objects = readObjects(objectsPath(directory));
  if (objects.size !== manifest.objects) throw damaged(state.paths.index, `layer ${manifest.id} has ${objects.size} objects, not ${manifest.objects}`);
  for (const [key, bytes] of objects) operations.push(putObject(key, bytes, state.index.objectCount(key) + 1));
  for (const { digest } of contentFiles(directory)) operations.push(putContent(digest, manifest.number));
  return operations;
}
