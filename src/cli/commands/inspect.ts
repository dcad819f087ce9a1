import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { hasCode } from '../../../fs/errno.ts';
import { close, openPath } from '../../../fs/host/at.ts';
import { O_NOFOLLOW, O_PATH } from '../../../fs/host/constants.ts';
import { getXattrIfAny } from '../../../fs/host/xattr.ts';
import { nameFromText, nameToText } from '../../../fs/name.ts';
import { UfsError } from '../../errors.ts';
import { chainOf, findSubject, withSubject } from '../../graph/trees.ts';
import { metricText } from '../../plugin/metric-text.ts';
import type { StoreStatus } from '../../store/store.ts';
import type { Context } from '../context.ts';
import { age, bytes, json, shortId, table } from '../output.ts';
import { mountedAt } from '../mounted.ts';

/** The virtual xattr of a mount's files that names the layer they come from: in no namespace of the kernel's, which has none for symlinks and devices. */
const LAYER_XATTR = 'ufs.layer';

/** layers, inspect, status, which: looking at the store and at mounts. */
export function inspectCommands(program: Command, context: Context): void {
  const { io } = context;

  program.command('layers')
    .description('List the layers, or those of an image, from the bottom up.')
    .argument('[image]', 'name or id of an image, container or layer')
    .option('--json', 'as JSON')
    .action(async (subject: string | undefined, options: { json?: boolean }) => {
      const store = await context.store({ create: true });
      const layers = subject === undefined ? store.layers() : await withSubject(store, subject, (found) => chainOf(store, found));
      if (options.json === true) await io.out(json(layers.map(({ id, parent, diffId, size, ownBytes, archiveSize, created }) => ({ id, parent, diffId, size, ownBytes, archiveSize, created }))));
      else await io.out(table(['ID', 'PARENT', 'SIZE', 'ON DISK', 'CREATED'], layers.map((layer) => [shortId(layer.id), layer.parent === undefined ? '-' : shortId(layer.parent), bytes(layer.size), bytes(layer.ownBytes), age(layer.created)])));
    });

  program.command('inspect')
    .description('Tell everything about a container, image or layer, as JSON.')
    .argument('<subject>', 'name or id')
    .action(async (text: string) => {
      const store = await context.store();
      const subject = findSubject(store, text);
      if (subject.kind === 'image') await io.out(json({ kind: 'image', id: subject.image.id, names: subject.image.names, layers: subject.image.layers, created: subject.image.created, store: subject.image.store, config: JSON.parse(subject.image.config.toString()) as unknown }));
      else if (subject.kind === 'layer') await io.out(json({ ...subject.layer, root: undefined, objects: undefined, links: undefined }));
      else await io.out(json({ ...subject.container, mounted: mountedAt(context, subject.container) }));
    });

  program.command('status')
    .description('Tell what the store holds and what is mounted.')
    .option('--json', 'as JSON')
    .option('--prometheus', 'as metrics, with those of Docker\'s calls where `ufs serve` answers them')
    .action(async (options: { json?: boolean; prometheus?: boolean }) => {
      const store = await context.store({ create: true });
      const status = { ...(await store.status()), mounts: context.mounts().map(({ spec }) => nameToText(spec.target)), servedBy: context.serving ? process.pid : undefined };
      if (options.prometheus === true) await io.out(storeMetrics(status) + [...new Set(context.plugins.map(({ metrics }) => metrics))].map((metrics) => metrics.prometheus()).join(''));
      else if (options.json === true) await io.out(json(status));
      else {
        const rows: [string, string][] = [
          ['Store', status.root], ['Layers', String(status.layers)], ['Images', String(status.images)], ['Containers', String(status.containers)],
          ['Content', bytes(status.contentBytes)], ['Index', bytes(status.indexBytes)], ['Mounts', status.mounts.join(', ') || 'none'],
        ];
        await io.out(rows.map(([name, value]) => `${`${name}:`.padEnd(12)}${value}\n`).join(''));
      }
    });

  program.command('which')
    .description('Tell the layer a file of a mount comes from.')
    .argument('<path>', 'a path in a mount; a symlink is itself asked about, not followed')
    .option('--json', 'as JSON')
    .action(async (path: string, options: { json?: boolean }) => {
      const at = resolve(io.cwd, path);
      const layer = layerOf(at);
      if (layer === undefined) throw new UfsError('UFS_NOT_MOUNTED', `Cannot tell the layer of "${at}": it isn't in a mount of ufs`);
      await io.out(options.json === true ? json({ path: at, layer }) : `${layer}\n`);
    });
}

function storeMetrics(status: StoreStatus & { mounts: string[] }): string {
  const gauge = (name: string, help: string, value: number): string => metricText(`ufs_${name}`, 'gauge', help, [['', value]]);
  return [
    gauge('layers', 'Layers of the store.', status.layers), gauge('images', 'Images of the store.', status.images), gauge('containers', 'Writable layers of the store.', status.containers),
    gauge('mounts', 'Mounts of the store.', status.mounts.length), gauge('content_bytes', 'File data of all layers, what they share counted once.', status.contentBytes),
    gauge('index_bytes', 'Size of the index.', status.indexBytes), gauge('removed', 'Layers and containers that are being deleted.', status.removed),
  ].join('');
}

/** The layer a file comes from; undefined outside of ufs's mounts. */
function layerOf(path: string): string | undefined {
  let fd: number;
  try {
    fd = openPath(nameFromText(join(realpathSync(dirname(path)), basename(path))), O_PATH | O_NOFOLLOW);
  } catch (error) {
    const why = hasCode(error, 'ENOENT') ? 'there is no such file' : (error as Error).message;
    throw new UfsError('UFS_NOT_FOUND', `Cannot tell the layer of "${path}": ${why}`, { cause: error });
  }
  try {
    return getXattrIfAny(fd, LAYER_XATTR)?.toString();
  } finally {
    close(fd);
  }
}
