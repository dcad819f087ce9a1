import type { Name } from '../../fs/name.ts';
import type { MountOptions, PassthroughMode } from '../../fs/transport/mount.ts';

/** One mount: where, over what, and how. Plain data, so that it can go to the serving thread. */
export interface MountSpec {
  target: Name;
  lower: { kind: 'directories'; paths: readonly Name[] } | { kind: 'layer'; store: string; layer: string };
  /** Absent: a read-only mount. */
  upper?: { directory: Name; work: Name; metacopy?: boolean };
  passthrough: PassthroughMode;
  volatile?: boolean;
  mount: MountOptions;
}
