import type { IdRange } from '../../fs/id-map.ts';
import type { OwnersNamespace } from '../../fs/layer/override-stat.ts';
import type { Name } from '../../fs/name.ts';
import type { MountOptions, PassthroughMode } from '../../fs/transport/mount.ts';
import type { Transport } from '../../fs/transport/transport.ts';
import type { RoomOfUpper } from '../store/upper-room.ts';

/** One mount: where, over what, and how. Plain data, so that it can go to the serving thread or process. */
export interface MountSpec {
  target: Name;
  /** `data`: directories that only metadata-only copies have their data in. */
  lower: { kind: 'directories'; paths: readonly Name[]; data?: readonly Name[] } | { kind: 'layer'; store: string; layer: string };
  /** Uppers that aren't written to any more, on the lower and below the upper, bottom first. */
  between?: readonly { directory: Name; work: Name }[];
  /** Absent: a read-only mount. `limit`: bytes it may take; `room`: its part of what the whole store may take. */
  upper?: { directory: Name; work: Name; limit?: number; room?: RoomOfUpper; metacopy?: boolean; redirects?: boolean; namespace?: 'user'; ownersInXattrs?: OwnersNamespace };
  /** Directory of the container the upper is of: what it may take is as that says, from now on. */
  limitsOf?: string;
  /** Owners that are kept are shown as others. */
  idMaps?: { uid: readonly IdRange[]; gid: readonly IdRange[] };
  /** All files are shown as belonging to one user or group; new ones belong to who makes them, or to who serves the mount where that isn't root. */
  squash?: { uid?: number; gid?: number };
  passthrough: PassthroughMode;
  /** What the kernel is told, or told that there isn't. `timeout`: seconds it may keep names and attributes; by default for ever. */
  kernel?: { writeback?: false; acls?: false; xattrs?: false; timeout?: number };
  /** By default dev-fuse. */
  transport?: Transport;
  volatile?: boolean;
  mount: MountOptions;
}
