import { createReadStream, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { fullImageName, shortImageName } from '../../archive/image-name.ts';
import { saveDockerArchive, saveOciArchive, saveOciDirectory } from '../../archive/image-save.ts';
import { UfsError } from '../../errors.ts';
import { importArchive, loadImages, savedImages } from '../../graph/images.ts';
import { findSubject, topLayer } from '../../graph/trees.ts';
import type { Context } from '../context.ts';
import { age, bytes, json, shortId, table } from '../output.ts';
import { Progress } from '../progress.ts';
import { writeArchive } from '../write-archive.ts';

/** load, import, images, save: images in and out. */
export function imageCommands(program: Command, context: Context): void {
  const { io } = context;

  program.command('load')
    .description('Load images from a docker-save archive or an OCI layout (a directory or tar, plain or compressed).')
    .argument('<file>', 'the archive or directory; - reads an archive from standard input')
    .option('--name <name>', 'name the image so instead of as the archive says')
    .option('--json', 'say what was loaded as JSON')
    .action(async (file: string, options: { name?: string; json?: boolean }) => {
      const store = await context.store({ create: true });
      const progress = new Progress(io, 'Loading', sizeOf(context, file));
      try {
        const images = await loadImages(store, file === '-' ? io.input() : resolve(io.cwd, file), {
          signal: io.signal, warn: (message) => io.err(`ufs: ${message}\n`), progress: (done, entries) => progress.update(done, entries),
          ...(options.name === undefined ? {} : { names: [fullImageName(options.name)] }),
        });
        progress.end();
        if (options.json === true) await io.out(json(images.map(({ id, names, layers }) => ({ id, names, layers }))));
        else for (const { id, names, layers } of images) await io.out(`Loaded ${names.map(shortImageName).join(', ') || 'an image without a name'} (${shortId(id)}, ${layers.length} layers)\n`);
      } catch (error) {
        throw explained(error, 'load', file);
      } finally {
        progress.end();
      }
    });

  program.command('import')
    .description('Import a tar as a layer: a whole root file system, or with --parent the changes on top of another layer.')
    .argument('<tar>', 'the tar, plain or compressed; - reads it from standard input')
    .option('--name <name>', 'make it an image of this name')
    .option('--parent <layer>', 'the layer or image it goes on top of')
    .action(async (tar: string, options: { name?: string; parent?: string }) => {
      const store = await context.store({ create: true });
      const parent = options.parent === undefined ? undefined : topLayer(findSubject(store, options.parent, ['image', 'layer']));
      const progress = new Progress(io, 'Importing', sizeOf(context, tar));
      try {
        const stream = tar === '-' ? io.input() : (createReadStream(resolve(io.cwd, tar), { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>);
        const { layer } = await importArchive(store, stream, {
          name: options.name, parent, signal: io.signal, warn: (message) => io.err(`ufs: ${message}\n`), progress: (done, entries) => progress.update(done, entries),
        });
        progress.end();
        await io.out(`${layer.id}\n`);
      } catch (error) {
        throw explained(error, 'import', tar);
      } finally {
        progress.end();
      }
    });

  program.command('images')
    .description('List the images.')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const store = await context.store({ create: true });
      const images = store.images().map((image) => ({
        id: image.id, names: image.names.map(shortImageName), layers: image.layers.length, created: image.created,
        size: image.layers.reduce((sum, id) => sum + (store.layer(id)?.size ?? 0), 0),
      }));
      if (options.json === true) await io.out(json(images));
      else await io.out(table(['NAME', 'ID', 'LAYERS', 'SIZE', 'CREATED'], images.map((image) => [image.names.join(', ') || '-', shortId(image.id), String(image.layers), bytes(image.size), age(image.created)])));
    });

  program.command('save')
    .description('Save images as an archive that docker, podman and skopeo load; every layer is, byte for byte, the archive it was made from.')
    .argument('<image...>', 'names or ids')
    .option('-o, --output <file>', 'where to; standard output unless given')
    .option('--format <format>', 'docker (also an OCI layout), oci, or oci-dir', 'docker')
    .action(async (names: string[], options: { output?: string; format: string }) => {
      const store = await context.store();
      const images = savedImages(store, names);
      if (options.format === 'oci-dir') {
        if (options.output === undefined) throw new UfsError('UFS_USAGE', 'Cannot save a directory to standard output: give --output');
        await saveOciDirectory(images, resolve(io.cwd, options.output));
      } else if (options.format === 'docker') await writeArchive(context, 'Saving', saveDockerArchive(images), options.output);
      else if (options.format === 'oci') await writeArchive(context, 'Saving', saveOciArchive(images), options.output);
      else throw new UfsError('UFS_USAGE', `Cannot save as "${options.format}": formats are docker, oci and oci-dir`);
    });
}

/** Bytes of a file, for progress; undefined for what isn't one. */
function sizeOf(context: Context, file: string): number | undefined {
  if (file === '-') return undefined;
  const stat = statSync(resolve(context.io.cwd, file), { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.size : undefined;
}

/** An error that says what was attempted on which file; an interruption stays what it is. */
function explained(error: unknown, action: string, file: string): unknown {
  if (!(error instanceof Error) || error.name === 'AbortError') return error;
  const why = 'code' in error && error.code === 'ENOENT' && 'path' in error ? `there is no ${String(error.path)}` : error.message;
  return new UfsError('UFS_ARCHIVE', `Cannot ${action} ${file === '-' ? 'standard input' : `"${file}"`}: ${why}`, { cause: error });
}
