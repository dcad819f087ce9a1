import { CAP_SYS_ADMIN, hasCapability } from '../../fs/host/process.ts';
import { type Name, nameToText } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';
import type { MountPoint } from '../volume/mount-point.ts';
import type { Context } from './context.ts';
import { clearLeftovers, finishMount } from './leftovers.ts';
import { type MountRecord, MountRecords } from './mount-record.ts';
import { MountSources } from './mount-sources.ts';
import type { StoreMountRequest } from './store-mount.ts';

/** What a mount has to do for mount points to be attached to it. `rm`: volumes without a name are removed at its end. UFS_MOUNT. */
export async function attaching(context: Context, points: readonly MountPoint[], { target, rm }: { target: Name; rm: boolean }): Promise<Pick<StoreMountRequest, 'prepare' | 'finish'>> {
  await clearLeftovers(context);
  if (points.length === 0) return {};
  if (!hasCapability(CAP_SYS_ADMIN)) throw new UfsError('UFS_MOUNT', `Cannot mount anything in "${nameToText(target)}": only root may, and who is root of a user namespace (unshare -Urm)`);
  const sources = await MountSources.setUp(context, points, nameToText(target));
  const record: MountRecord = { target, volumes: [...sources.volumes], removeAnonymous: rm };
  const records = new MountRecords((await context.store()).root);
  const name = records.add(record);
  return {
    prepare: async (mounted) => {
      await sources.fill(target);
      context.mounter.attach(mounted, sources.attachments(), (attached) => {
        record.attached = attached;
        records.replace(name, record);
      });
    },
    finish: async ({ failed }) => {
      await sources.release();
      await finishMount(context, { ...record, removeAnonymous: rm || failed });
      records.remove(name);
    },
  };
}
