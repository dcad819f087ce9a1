import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { nameFromText } from '../../fs/name.ts';
import type { PassthroughMode } from '../../fs/transport/mount.ts';
import type { Transport } from '../../fs/transport/transport.ts';
import { applyLayer } from '../../src/graph/apply.ts';
import { commitContainer } from '../../src/graph/commit.ts';
import { Mounter } from '../../src/mount/mounter.ts';
import type { Mounted } from '../../src/mount/mounter.ts';
import type { MountSpec } from '../../src/mount/spec.ts';
import type { LayerId } from '../../src/store/layer-id.ts';
import { openLayerFromFiles } from '../../src/store/layer-from-files.ts';
import { Store } from '../../src/store/store.ts';
import { dumpLayer } from '../union/driver.ts';

/** What is below a mount: plain directories, or a container of an image, whose layers were imported from archives of these directories. */
export type LowerKind = 'directories' | 'image';

/** Something to mount, over and over; all of it is below `base`, a directory. */
export interface Mountable {
  /** The upper directory: what is put there before the first mount is in the mount. */
  upper: string;
  /** What no mount may change. */
  kept: string[];
  /** Gives the path it is mounted on, always the same. */
  mount(): Promise<string>;
  unmount(): Promise<void>;
  /** A line a path of the layer that what was changed on an image is committed as. */
  committed(): Promise<string[]>;
  close(): Promise<void>;
}

/** Makes `lowers`, topmost first, mountable. */
export async function mountable(kind: LowerKind, lowers: string[], options: { base: string; passthrough: PassthroughMode; transport?: Transport }): Promise<Mountable> {
  const made = kind === 'image' ? await container(lowers, options.base) : directories(lowers, options.base);
  const target = path.join(options.base, 'mnt');
  fs.mkdirSync(target);
  const mounter = new Mounter((message) => console.error(message));
  const spec: MountSpec = { target: nameFromText(target), passthrough: options.passthrough, transport: options.transport, mount: { source: 'ufs', allowOther: true }, ...made.sides };
  let mounted: Mounted | undefined;
  return {
    upper: made.upper, kept: made.kept,
    mount: async () => {
      mounted = await mounter.mount(spec);
      return target;
    },
    unmount: async () => {
      if (mounted !== undefined) await mounter.unmount(mounted);
      mounted = undefined;
    },
    committed: made.committed,
    close: async () => {
      await mounter.close();
      await made.close();
    },
  };
}

interface Made {
  upper: string;
  kept: string[];
  sides: Pick<MountSpec, 'lower' | 'upper'>;
  committed(): Promise<string[]>;
  close(): Promise<void>;
}

function directories(lowers: string[], base: string): Made {
  const [upper, work] = [path.join(base, 'upper'), path.join(base, 'work')];
  for (const made of [upper, work]) fs.mkdirSync(made, { recursive: true });
  return {
    upper, kept: lowers, close: async () => undefined,
    committed: async () => {
      throw new Error('Directories have no store to commit to');
    },
    sides: { lower: { kind: 'directories', paths: lowers.map(nameFromText) }, upper: { directory: nameFromText(upper), work: nameFromText(work) } },
  };
}

/** As `ufs import` and `ufs mount` make one. */
async function container(lowers: string[], base: string): Promise<Made> {
  const store = await Store.open(path.join(base, 'store'), { create: true });
  let top: LayerId | undefined;
  for (const lower of lowers.toReversed()) top = (await applyLayer(store, archiveOf(lower), { parent: top })).id;
  const made = await store.createContainer({ parent: top as LayerId });
  const { diff, work } = made;
  return {
    upper: diff,
    kept: store.layers().map(({ number }) => path.join(store.root, 'layers', String(number))),
    sides: { lower: { kind: 'layer', store: store.root, layer: top as LayerId }, upper: { directory: nameFromText(diff), work: nameFromText(work), metacopy: true } },
    committed: async () => {
      const { layer } = await commitContainer(store, made, {});
      const merged = openLayerFromFiles({ root: store.root, layerId: layer.id });
      try {
        return dumpLayer(merged);
      } finally {
        merged.close();
      }
    },
    close: async () => await store.close(),
  };
}

/** All of a directory, as GNU tar writes it. */
async function* archiveOf(directory: string): AsyncGenerator<Buffer> {
  const argv = ['--format=posix', '--xattrs', '--xattrs-include=*', '--numeric-owner', '--sparse', '--warning=no-file-ignored', '-C', directory, '-cf', '-', '.'];
  const tar = spawn('tar', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve, reject) => tar.on('error', reject).on('close', resolve));
  for await (const chunk of tar.stdout) yield chunk as Buffer;
  const code = await ended;
  if (code !== 0) throw new Error(`tar of ${directory} ended with ${code}`);
}
