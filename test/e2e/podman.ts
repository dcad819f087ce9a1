import { chownSync, existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { type Bench, type Result, until } from '../helpers/cli.ts';
import { needsOverlayfs } from '../helpers/needs.ts';
import { engineImage, type EngineImage } from './sample-image.ts';
import { SubordinateUser } from './subordinate-user.ts';

const OVERLAYFS = 0x794c7630;

export interface PodmanOptions {
  /** What mounts in place of the kernel's overlayfs. */
  mountProgram?: string;
  /** Run by an unprivileged user with subordinate ids; else by root. */
  rootless?: boolean;
  /** Further storage options, such as "overlay.force_mask=700". */
  storage?: string[];
}

/** Debian's podman and buildah on a storage of their own, below a bench's directory, without network. */
export class Podman {
  readonly directory: string;
  readonly #bench: Bench;
  readonly #storage: string[];
  readonly #engine: string[];
  readonly #environment: string[];
  readonly #user: SubordinateUser | undefined;

  /** Those of one name share a storage. */
  constructor(bench: Bench, name: string, { mountProgram, rootless = false, storage = [] }: PodmanOptions = {}) {
    this.#bench = bench;
    this.directory = bench.path(name);
    for (const part of ['', '/tmp', '/runtime']) mkdirSync(`${this.directory}${part}`, { recursive: true, mode: 0o700 });
    // Lower limits than podman's own, which a container of our own, or a service, may not raise its limits to.
    // Locks in shared memory are one set for all podmans of a user.
    writeFileSync(`${this.directory}/containers.conf`, `[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\nnetns = "none"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\nlock_type = "file"\n`);
    if (rootless) {
      bench.sh(`chmod 711 ${bench.directory}`);
      this.#user = new SubordinateUser(this.directory);
      for (const part of ['', '/tmp', '/runtime']) chownSync(`${this.directory}${part}`, SubordinateUser.id, SubordinateUser.id);
    }
    // Overlayfs can't have its upper on overlayfs.
    const driver = mountProgram === undefined && (needsOverlayfs !== false || statfsSync(this.directory).type === OVERLAYFS) ? 'vfs' : 'overlay';
    const options = [...(mountProgram === undefined ? [] : [`overlay.mount_program=${mountProgram}`]), ...storage];
    this.#storage = ['--root', `${this.directory}/graph`, '--runroot', `${this.directory}/run`, '--storage-driver', driver, ...options.flatMap((option) => ['--storage-opt', option])];
    this.#engine = [...this.#storage, '--tmpdir', `${this.directory}/libpod`, '--cgroup-manager', 'cgroupfs', '--runtime', 'runc'];
    this.#environment = [`XDG_RUNTIME_DIR=${this.directory}/runtime`, `CONTAINERS_CONF=${this.directory}/containers.conf`, `TMPDIR=${this.directory}/tmp`, `HOME=${this.directory}`];
  }

  /** Runs podman; whatever its exit code. */
  try(...argv: string[]): Result {
    return this.#run(['podman', ...this.#engine, ...argv]);
  }

  /** Runs podman while other things are done; whatever its exit code. */
  start(...argv: string[]): Promise<Result> {
    return this.#bench.later(...this.#words(['podman', ...this.#engine, ...argv]));
  }

  /** Runs podman, which must succeed; its output. */
  podman(...argv: string[]): string {
    return succeeded(this.try(...argv), `podman ${argv.join(' ')}`);
  }

  buildah(...argv: string[]): string {
    return succeeded(this.#run(['buildah', ...this.#storage, ...argv]), `buildah ${argv.join(' ')}`);
  }

  image(name: string): EngineImage {
    return engineImage(this.podman('image', 'inspect', name));
  }

  /** Every name of an image, in full. */
  names(name: string): string[] {
    const [{ RepoTags }] = JSON.parse(this.podman('image', 'inspect', name)) as [{ RepoTags: string[] }];
    return RepoTags.sort();
  }

  runImage(name: string, ...argv: string[]): string {
    return this.podman('run', '--rm', '--pull=never', '--network', 'none', name, ...argv);
  }

  /**
   * Runs a shell script where podman's mounts are seen, and its owners are root's: for an unprivileged user, in podman's user namespace. `podman` in it is on this
   * storage. It must succeed; its output.
   */
  sh(script: string): string {
    const shell = ['/bin/bash', '-euo', 'pipefail', '-c', `podman() { command podman ${this.#engine.join(' ')} "$@"; }; ${script}`];
    return this.#user === undefined ? succeeded(this.#run(shell), script) : this.podman('unshare', ...shell);
  }

  /** Ends the process that keeps an unprivileged user's namespaces, if there is one. Containers have to be gone. */
  async close(): Promise<void> {
    const file = `${this.directory}/libpod/pause.pid`;
    if (!existsSync(file)) return;
    const pid = readFileSync(file, 'utf8');
    process.kill(Number(pid), 'SIGKILL');
    await until(() => !existsSync(`/proc/${pid}/ns`), 'the process that keeps the namespaces has ended');
  }

  #run(argv: string[]): Result {
    return this.#bench.run(...this.#words(argv));
  }

  #words(argv: string[]): [command: string, argv: string[]] {
    const [command, ...rest] = [...(this.#user?.command(['env']) ?? ['env']), ...this.#environment, ...argv];
    return [command as string, rest];
  }
}

export function succeeded(result: Result, what: string): string {
  if (result.code !== 0) throw new Error(`${what} ended with ${result.code}:\n${result.err}${result.out}`);
  return result.out;
}
