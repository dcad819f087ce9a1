import { DirectoryStack } from '../../fs/layer/directory-stack.ts';
import { EmptyLayer } from '../../fs/layer/empty-layer.ts';
import type { Layer } from '../../fs/layer/layer.ts';
import type { Helpers } from '../../fs/union/helpers.ts';
import { UnionFs } from '../../fs/union/union-fs.ts';
import { openIndexedLayer } from '../store/indexed-layer.ts';
import type { LayerId } from '../store/layer-id.ts';
import type { MountSpec } from './spec.ts';

/** The file system a mount is to show. `close` what is below it when it has been destroyed. */
export async function openUnion(spec: MountSpec, helpers: Helpers): Promise<{ fileSystem: UnionFs; close: () => void }> {
  const lower = await openLower(spec);
  const fileSystem = new UnionFs({
    lower, helpers, passthrough: spec.passthrough,
    ...(spec.upper === undefined ? { statistics: '/' } : { upper: spec.upper }),
    ...(spec.volatile === true ? { volatile: true } : {}),
  });
  return { fileSystem, close: () => lower.close() };
}

async function openLower(spec: MountSpec): Promise<Layer> {
  if (spec.lower.kind === 'layer') return await openIndexedLayer({ root: spec.lower.store, layerId: spec.lower.layer as LayerId });
  return spec.lower.paths.length === 0 ? new EmptyLayer() : new DirectoryStack(spec.lower.paths);
}
