/** The driver a volume has where none is named. */
export const DEFAULT_DRIVER = 'local';

/** `global`: each machine of a cluster has the same volumes; `local`: they are this machine's. */
export type VolumeScope = 'local' | 'global';

/** Makes and removes volumes (moby, daemon/volume/volume.go). What its methods throw is what the user is told. */
export interface Driver {
  readonly name: string;
  /** `options`: `docker volume create -o`. Where there is one of that name already, it is given as it is. */
  create(name: string, options: Readonly<Record<string, string>>): Promise<Volume>;
  remove(volume: Volume): Promise<void>;
  list(): Promise<readonly Volume[]>;
  /** Throws where there is none. */
  get(name: string): Promise<Volume>;
  scope(): VolumeScope;
}

/** A place for data that outlives containers. */
export interface Volume {
  readonly name: string;
  readonly driverName: string;
  /** The absolute path of its data; empty where that is known only while it is mounted. */
  path(): Promise<string>;
  /** Makes its data available to a holder, `id`; the absolute path it is at. A holder may mount more than once, and gives each back. */
  mount(id: string): Promise<string>;
  /** Gives back what `mount` gave this holder. */
  unmount(id: string): Promise<void>;
  /** `undefined` where nobody knows. */
  createdAt(): Promise<Date | undefined>;
  /** What a driver tells of a volume, in words of its own. */
  status(): Promise<Readonly<Record<string, unknown>>>;
}

/** A volume with what its user gave it. */
export interface DetailedVolume extends Volume {
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly scope: VolumeScope;
}
