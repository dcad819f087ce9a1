import { CAPABILITIES, defaultMounts, MASKED_PATHS, type OciMount, READONLY_PATHS } from './defaults.ts';
import type { ProcessUser } from './user.ts';

/** The version of the runtime-spec that is written. */
const OCI_VERSION = '1.0.2';

/** Where and as whom a container runs. */
export interface HostSide {
  /** Whether this is the first user namespace. */
  initial: boolean;
  /** Whether group 5, of terminals, can be given to files. */
  ttyGroup: boolean;
  /** Whether a process may be in further groups: not where an unprivileged user has mapped the only id they have. */
  furtherGroups: boolean;
  /** For who isn't root: the ids that root of the container's own user namespace has outside. */
  map?: { uid: number; gid: number };
}

export interface ContainerConfig {
  rootfs: string;
  hostname: string;
  process: { args: string[]; env: string[]; cwd: string; user: ProcessUser; terminal: boolean };
  /** The root file system isn't written to. */
  readonly: boolean;
  /** `host`: the machine's network; `none`: one with nothing in it. */
  network: 'host' | 'none';
  /** What is mounted besides the kernel's file systems, or instead of one of them; by depth. */
  mounts: readonly OciMount[];
  /** How mounts are passed on between the root file system and the host (mount_namespaces(7)); by default they aren't. */
  propagation?: 'rslave' | 'shared';
}

/** The config.json of a bundle (runtime-spec, config.md), with Docker's defaults. */
export function bundleConfig({ rootfs, hostname, process, readonly, network, mounts, propagation }: ContainerConfig, host: HostSide): object {
  const { user, ...rest } = process;
  const namespaces = ['mount', 'pid', 'ipc', 'uts', ...(network === 'none' ? ['network'] : []), ...(host.map === undefined ? [] : ['user'])];
  const mapping = (id: number): object => ({ containerID: 0, hostID: id, size: 1 });
  return {
    ociVersion: OCI_VERSION,
    root: { path: rootfs, readonly },
    hostname,
    process: { ...rest, user: host.furtherGroups ? user : { ...user, additionalGids: [] }, noNewPrivileges: false, capabilities: capabilitiesOf(user) },
    mounts: withDefaults(mounts, host, readonly),
    linux: {
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      namespaces: namespaces.map((type) => ({ type })),
      ...(host.map === undefined ? {} : { uidMappings: [mapping(host.map.uid)], gidMappings: [mapping(host.map.gid)] }),
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
      maskedPaths: MASKED_PATHS, readonlyPaths: READONLY_PATHS,
    },
  };
}

/** Who isn't root has none until a program gives them some, as after execve(2). */
function capabilitiesOf({ uid }: ProcessUser): object {
  return { bounding: CAPABILITIES, ...(uid === 0 ? { effective: CAPABILITIES, permitted: CAPABILITIES } : {}) };
}

function withDefaults(mounts: readonly OciMount[], host: HostSide, readonly: boolean): OciMount[] {
  const own = new Set(mounts.map(({ destination }) => destination));
  const kept = defaultMounts(host).filter(({ destination }) => !own.has(destination) && !(own.has('/dev') && destination.startsWith('/dev/')));
  const writable = ['/proc', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue'];
  return [...kept.map((mount) => (readonly && !writable.includes(mount.destination) && !mount.options.includes('ro') ? { ...mount, options: [...mount.options, 'ro'] } : mount)), ...mounts];
}
