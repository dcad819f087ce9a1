export type MountType = 'bind' | 'volume' | 'tmpfs';

/** Whether what is mounted later on one side shows on the other (mount_namespaces(7)); with r, in all mounts below too. */
export type Propagation = 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave';

/** A mount as Docker's API takes it (moby, api/types/mount/mount.go). `parseMountSpec` says whether it makes sense: until then the words in it may be any. */
export interface Mount {
  /** A `MountType`. The API's other types (image, npipe, cluster) are refused as unknown. */
  type: string;
  /** The path of a bind, the name of a volume (none: an anonymous one); nothing for a tmpfs. */
  source?: string;
  /** Where in the container. */
  target?: string;
  readOnly?: boolean;
  /** For macOS and Windows. Nothing looks at it here. */
  consistency?: string;
  bindOptions?: BindOptions;
  volumeOptions?: VolumeOptions;
  tmpfsOptions?: TmpfsOptions;
}

export interface BindOptions {
  /** A `Propagation`. */
  propagation?: string;
  /** Without the mounts below the source. */
  nonRecursive?: boolean;
  /** A source that doesn't exist becomes a directory. */
  createMountpoint?: boolean;
  /** A read-only mount leaves the mounts below it as they are. */
  readOnlyNonRecursive?: boolean;
  /** It is an error if the mounts below it can't be made read-only too. */
  readOnlyForceRecursive?: boolean;
}

export interface VolumeOptions {
  /** What the image has at the target isn't copied to an empty volume. */
  noCopy?: boolean;
  labels?: Readonly<Record<string, string>>;
  /** A directory or file in the volume, which is mounted instead of it. */
  subpath?: string;
  driverConfig?: DriverConfig;
}

export interface DriverConfig {
  name?: string;
  options?: Readonly<Record<string, string>>;
}

export interface TmpfsOptions {
  sizeBytes?: number;
  /** Permission bits of its root directory. */
  mode?: number;
  /** Others, each one word, or a word and its value. */
  options?: readonly (readonly string[])[];
}
