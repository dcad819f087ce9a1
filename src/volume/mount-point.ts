import type { Mount, MountType } from './mount.ts';
import type { Volume } from './volume.ts';

/** What is to be mounted where in a container (moby, daemon/volume/mounts/mounts.go). The parser makes them; `setup` makes the source available. */
export class MountPoint {
  /** Absolute path of a bind's source, and of a volume's once it is known; else empty. */
  source: string;
  /** Absolute path in the container, clean. */
  destination: string;
  rw: boolean;
  /** A volume's; empty: an anonymous one. */
  name: string;
  /** A volume's; empty: the default. */
  driver: string;
  type: MountType;
  /** The words after the second colon of `-v`, or the options of `--tmpfs`, as they were given. */
  mode: string;
  /** A `Propagation` of a bind, else empty. */
  propagation: string;
  /** What the image has at the destination is copied to the volume if that is empty. */
  copyData: boolean;
  /** Whom the volume was mounted for: from `setup` to the last `cleanup`, else empty. */
  id = '';
  /** What was asked for. */
  spec: Mount;
  /** `setup` leaves a bind's source as it is: it was found to exist. */
  skipMountpointCreation = false;
  /** The volume that is mounted; whoever found or made it sets it. */
  volume: Volume | undefined;

  constructor(fields: Pick<MountPoint, 'destination' | 'type' | 'rw' | 'spec'> & Partial<Pick<MountPoint, 'source' | 'name' | 'driver' | 'mode' | 'propagation' | 'copyData'>>) {
    this.destination = fields.destination;
    this.type = fields.type;
    this.rw = fields.rw;
    this.spec = fields.spec;
    this.source = fields.source ?? '';
    this.name = fields.name ?? '';
    this.driver = fields.driver ?? '';
    this.mode = fields.mode ?? '';
    this.propagation = fields.propagation ?? '';
    this.copyData = fields.copyData ?? false;
  }
}
