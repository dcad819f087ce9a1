import { statfsSync, writeFileSync } from 'node:fs';
import type { Bench, Result } from '../helpers/cli.ts';
import { needsOverlayfs } from '../helpers/needs.ts';
import { engineImage, type EngineImage } from './sample-image.ts';

const OVERLAYFS = 0x794c7630;

/** Debian's podman and buildah on a storage of their own, below a bench's directory, without network. */
export class Podman {
  readonly #bench: Bench;
  readonly #storage: string[];
  readonly #environment: string[];
  readonly #directory: string;

  constructor(bench: Bench, name: string) {
    this.#bench = bench;
    this.#directory = bench.path(name);
    bench.sh(`mkdir -p ${this.#directory}/tmp`);
    // Lower limits than podman's own, which a container of our own, or a service, may not raise its limits to.
    writeFileSync(`${this.#directory}/containers.conf`, `[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\nnetns = "none"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n`);
    // Overlayfs can't have its upper on overlayfs.
    const driver = needsOverlayfs !== false || statfsSync(this.#directory).type === OVERLAYFS ? 'vfs' : 'overlay';
    this.#storage = ['--root', `${this.#directory}/graph`, '--runroot', `${this.#directory}/run`, '--storage-driver', driver];
    this.#environment = ['env', '-u', 'XDG_RUNTIME_DIR', `CONTAINERS_CONF=${this.#directory}/containers.conf`, `TMPDIR=${this.#directory}/tmp`, `HOME=${this.#directory}`];
  }

  /** Runs podman; whatever its exit code. */
  try(...argv: string[]): Result {
    return this.#run(['podman', ...this.#storage, '--tmpdir', `${this.#directory}/libpod`, '--cgroup-manager', 'cgroupfs', '--runtime', 'runc', ...argv]);
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

  #run(argv: string[]): Result {
    return this.#bench.run(this.#environment[0] as string, [...this.#environment.slice(1), ...argv]);
  }
}

export function succeeded(result: Result, what: string): string {
  if (result.code !== 0) throw new Error(`${what} ended with ${result.code}:\n${result.err}${result.out}`);
  return result.out;
}
