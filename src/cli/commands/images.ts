import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { hasCode } from '../../../fs/errno.ts';
import { fullImageName, shortImageName } from '../../archive/image-name.ts';
import { type SavedImage, saveDockerArchive, saveOciArchive, saveOciDirectory } from '../../archive/image-save.ts';
import { UfsError } from '../../errors.ts';
import type { Work } from '../../graph/apply.ts';
import { importArchive, loadImages, savedImages } from '../../graph/images.ts';
import { findImage, topLayer, withSubject } from '../../graph/trees.ts';
import type { LayerId } from '../../store/layer-id.ts';
import type { Store } from '../../store/store.ts';
import type { Context } from '../context.ts';
import { age, bytes, counted, json, shortId, table } from '../output.ts';
import { withProgress } from '../progress.ts';
import { writeArchive } from '../write-archive.ts';

/** load, import, images, save: images in and out. */
export function imageCommands(program: Command, context: Context): void {
  const { io } = context;

  /** Loads or imports; an error says which file it was about, an interruption stays what it is. */
  const work = async <Made>(action: 'load' | 'import', file: string, run: (how: Work) => Promise<Made>): Promise<Made> => {
    try {
      return await withProgress(io, action === 'load' ? 'Loading' : 'Importing', run, sizeOf(context, file));
    } catch (error) {
      throw explained(error, action, file);
    }
  };

  program.command('load')
    .description('Load images from a docker-save archive or an OCI layout (a directory or tar, plain or compressed).')
    .argument('<file>', 'the archive or directory; - reads an archive from standard input')
    .option('--name <name>', 'name the image so instead of as the archive says')
    .option('--json', 'say what was loaded as JSON')
    .action(async (file: string, options: { name?: string; json?: boolean }) => {
      const store = await context.store({ create: true });
      const names = options.name === undefined ? {} : { names: [fullImageName(options.name)] };
      const images = await work('load', file, (how) => loadImages(store, file === '-' ? io.input() : resolve(io.cwd, file), { ...how, ...names }));
      if (options.json === true) await io.out(json(images.map(({ id, names, layers }) => ({ id, names, layers }))));
      else for (const { id, names, layers } of images) await io.out(`Loaded ${names.map(shortImageName).join(', ') || 'an image without a name'} (${shortId(id)}, ${counted(layers.length, 'layer')})\n`);
    });

  program.command('import')
    .description('Import a tar as a layer: a whole root file system, or with --parent the changes on top of another layer. Prints the layer\'s id.')
    .argument('<tar>', 'the tar, plain or compressed; - reads it from standard input')
    .option('--name <name>', 'make it an image of this name')
    .option('--parent <layer>', 'the layer or image it goes on top of')
    .option('--json', 'say what was made as JSON')
    .action(async (tar: string, options: { name?: string; parent?: string; json?: boolean }) => {
      const store = await context.store({ create: true });
      const name = options.name === undefined ? undefined : fullImageName(options.name);
      const importOn = (parent?: LayerId): ReturnType<typeof importArchive> => work('import', tar, (how) => importArchive(store, tar === '-' ? io.input() : readFile(resolve(io.cwd, tar)), { ...how, name, parent }));
      const { layer, image } = options.parent === undefined ? await importOn() : await withSubject(store, options.parent, (subject) => importOn(topLayer(subject)), ['image', 'layer']);
      await io.out(options.json === true ? json({ image: image?.id, names: image?.names, layer: layer.id }) : `${layer.id}\n`);
    });

  program.command('images')
    .description('List the images.')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const store = await context.store({ create: true });
      const size = layerSizes(store);
      const images = store.images().map((image) => ({
        id: image.id, names: image.names, layers: image.layers.length, created: image.created, store: image.store,
        size: image.layers.reduce((sum, id) => sum + size(id), 0),
      }));
      if (options.json === true) await io.out(json(images));
      else {
        const others = images.some(({ store: root }) => root !== undefined);
        await io.out(table(['NAME', 'ID', 'LAYERS', 'SIZE', 'CREATED', ...(others ? ['STORE'] : [])], images.map((image) => [
          image.names.map(shortImageName).join(', ') || '-', shortId(image.id), String(image.layers), bytes(image.size), age(image.created), ...(others ? [image.store ?? '-'] : []),
        ])));
      }
      for (const { problem } of store.additionalStores()) if (problem !== undefined) io.err(`ufs: an additional store could not be consulted: ${problem.message}\n`);
    });

  program.command('save')
    .description('Save images as an archive that docker, podman and skopeo load; every layer is, byte for byte, the archive it was made from.')
    .argument('<image...>', 'names or ids')
    .option('-o, --output <file>', 'where to; standard output unless given')
    .addOption(new Option('--format <format>', 'docker (also an OCI layout), oci, or oci-dir').choices(['docker', 'oci', 'oci-dir']).default('docker'))
    .action(async (names: string[], options: { output?: string; format: string }) => {
      const store = await context.store();
      const releases: (() => void)[] = [];
      try {
        for (const name of names) releases.push(await store.borrow(findImage(store, name).layers.at(-1), 'an image being saved'));
        const images = savedImages(store, names);
        if (options.format === 'oci-dir') {
          if (options.output === undefined) throw new UfsError('UFS_USAGE', 'Cannot save a directory to standard output: give --output');
          await saveDirectory(images, resolve(io.cwd, options.output));
        } else await writeArchive(context, 'Saving', options.format === 'oci' ? saveOciArchive(images) : saveDockerArchive(images), options.output);
      } finally {
        for (const release of releases) release();
      }
    });
}

/** Tells the bytes of a layer, wherever it is; 0 for one that is nowhere. */
function layerSizes(store: Store): (id: LayerId) => number {
  const others = store.additionalStores().flatMap((other) => other.store?.layers() ?? []);
  return (id) => (store.layer(id) ?? others.map((layers) => layers.layer(id)).find((layer) => layer !== undefined))?.size ?? 0;
}

/** Bytes of a file, for progress; undefined for what isn't one. */
function sizeOf(context: Context, file: string): number | undefined {
  if (file === '-') return undefined;
  const stat = statSync(resolve(context.io.cwd, file), { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.size : undefined;
}

function readFile(path: string): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
}

async function saveDirectory(images: SavedImage[], directory: string): Promise<void> {
  if (existsSync(directory) && (!statSync(directory).isDirectory() || readdirSync(directory).length > 0)) {
    throw new UfsError('UFS_OUTPUT', `Cannot save to "${directory}": it is there already, and no empty directory`);
  }
  await saveOciDirectory(images, directory);
}

function explained(error: unknown, action: string, file: string): unknown {
  if (!(error instanceof Error) || error.name === 'AbortError') return error;
  const why = hasCode(error, 'ENOENT') && 'path' in error ? `there is no ${String(error.path)}` : hasCode(error, 'EISDIR') ? 'it is a directory, not a tar' : error.message;
  return new UfsError('UFS_ARCHIVE', `Cannot ${action} ${file === '-' ? 'standard input' : `"${file}"`}: ${why}`, { cause: error });
}
