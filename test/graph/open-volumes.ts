import { join } from 'node:path';
import { CountedMounts } from '../../src/graph/mounts.ts';
import { Volumes } from '../../src/graph/volumes.ts';
import { Mounter } from '../../src/mount/mounter.ts';
import { Store } from '../../src/store/store.ts';

/** A store and its volumes, none of which is mounted. `step`: called before each step that makes something durable. */
export async function openVolumes(root: string, options: { create?: boolean; step?: (name: string) => void } = {}): Promise<{ store: Store; volumes: Volumes }> {
  const store = await Store.open(root, options);
  const mounts = new CountedMounts({ directory: join(root, 'run/volumes'), client: new Mounter(), log: () => undefined });
  return { store, volumes: await Volumes.open({ store, mounts, holdersFile: join(root, 'run/holders.json'), log: () => undefined }) };
}
