/** A range of ids: `size` of them from `containerId` inside on are those from `hostId` outside on. */
export interface IdMap {
  containerId: number;
  hostId: number;
  size: number;
}

export interface InitOptions {
  /** "<data-root>/<driver's name>". */
  home: string;
  /** dockerd's `--storage-opt`, each "key=value". */
  options: readonly string[];
  uidMaps: readonly IdMap[];
  gidMaps: readonly IdMap[];
}

export interface CreateOptions {
  /** The layer it stands on; absent: on nothing. */
  parent: string | undefined;
  /** SELinux's; empty without. */
  mountLabel: string;
  /** `docker run --storage-opt`: "size" → "64m". */
  storageOptions: Readonly<Record<string, string>>;
}

export type ChangeKind = 'modified' | 'added' | 'deleted';

/**
 * What a graph driver does for Docker (moby, daemon/graphdriver/driver.go). Ids are what Docker calls a layer: a handler passes on only well-formed ones.
 * Whatever is thrown is Docker's error message. Calls overlap: an `applyDiff` may be fed by a `diff` that is still going on.
 */
export interface GraphDriver {
  /** At each start of dockerd. After a restart of the plugin alone it isn't called again. */
  init(options: InitOptions): Promise<void>;
  capabilities(): { reproducesExactDiffs: boolean };
  /** A layer of an image to be: it is filled by `applyDiff`, or, by BuildKit, written to after `get`. */
  create(id: string, options: CreateOptions): Promise<void>;
  /** A container's writable layer. */
  createReadWrite(id: string, options: CreateOptions): Promise<void>;
  /** A layer that isn't there is no error. */
  remove(id: string): Promise<void>;
  /** Mounts a layer with all below it; the absolute path. Each call is matched by one of `put`. */
  get(id: string, mountLabel: string): Promise<string>;
  /** A layer that isn't mounted, or isn't there, is no error. */
  put(id: string): Promise<void>;
  exists(id: string): Promise<boolean>;
  /** Rows for `docker info`. */
  status(): Promise<readonly (readonly [string, string])[]>;
  /** For `docker inspect`. */
  metadata(id: string): Promise<Readonly<Record<string, string>>>;
  /** dockerd ends. */
  cleanup(): Promise<void>;
  /**
   * What a layer changes relative to another (any one, or nothing: then it is all of it), as an uncompressed tar. Throws before the first byte where it
   * can; an error after that breaks the connection.
   */
  diff(id: string, parent: string | undefined): Promise<AsyncIterable<Buffer>>;
  /** Sorted by path; paths begin with "/". */
  changes(id: string, parent: string | undefined): Promise<readonly { path: Buffer; kind: ChangeKind }[]>;
  /** Fills a layer from an uncompressed tar; the bytes of its files. */
  applyDiff(id: string, parent: string | undefined, archive: AsyncIterable<Buffer>): Promise<number>;
  /** The bytes of the files a layer changes. */
  diffSize(id: string, parent: string | undefined): Promise<number>;
}
