import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before } from 'node:test';
import { Bench, until } from '../helpers/cli.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';
import { processesWith } from '../helpers/processes.ts';
import { readableFor } from '../helpers/user-namespace.ts';
import { installMountProgram } from '../overlay/install.ts';
import { Podman } from './podman.ts';
import { writeContext } from './sample-image.ts';
import { needsSubordinateUser } from './subordinate-user.ts';

/** Why podman can't be run on ufs here; false where it can. */
export const needsPodman: string | false = needsRootAndFuse || ['podman', 'buildah', 'runc'].map(needsProgram).find((missing) => missing !== false) || needsSubordinateUser;

/** The folder of this build. */
const BUILD = resolve(import.meta.dirname, '../..');

/**
 * What a tree holds, a line for each thing: kinds, modes, owners, sizes, targets; devices; content; names of one file; xattrs. Without times, which are different in
 * what is built twice, and without the root itself.
 */
const TREE = `tree() { (cd "$1"; export LC_ALL=C
  find . -mindepth 1 \\( -type d -printf '%P %M %U:%G\\n' -o -printf '%P %M %U:%G %s %l\\n' \\) | sort
  find . \\( -type c -o -type b \\) -exec stat -c '%n %t:%T' {} + | sort
  find . -type f -exec sha256sum {} + | sort -k 2
  find . ! -type d -links +1 -printf '%i %P\\n' | sort -k 2 | awk '{ names[$1] = names[$1] " " $2 } END { for (inode in names) if (split(names[inode], each, " ") > 1) print "linked" names[inode] }' | sort
  find . -print0 | sort -z | xargs -0 getfattr -h -d -e hex -m '^(user|security[.]capability)'); }; `;

/** Podman with ufs as its mount program, and another podman beside it, on the kernel's overlayfs, that is told the same. */
export class PodmanOnUfs {
  readonly bench = new Bench();
  readonly rootless: boolean;
  readonly program: string;
  readonly ufs: Podman;
  readonly native: Podman;
  readonly #copy: string;

  private constructor(rootless: boolean) {
    this.rootless = rootless;
    this.bench.sh('chmod 711 .');
    this.#copy = mkdtempSync(join(tmpdir(), 'ufs-clone-'));
    this.program = this.bench.path('ufs-overlay');
    const installed = installMountProgram(this.bench.path('installed'), rootless ? readableFor(BUILD, this.#copy) : BUILD);
    writeFileSync(this.program, `#!/bin/sh\nUFS_OVERLAY_IDLE=2 exec ${installed} "$@"\n`, { mode: 0o755 });
    this.ufs = new Podman(this.bench, 'ufs', { rootless, mountProgram: this.program });
    this.native = new Podman(this.bench, 'native', { rootless });
  }

  /** For the tests of a `describe`: made before them, with `prepare`, and taken away after them. */
  static during({ rootless }: { rootless: boolean }, prepare: (podman: PodmanOnUfs) => void = () => undefined): { readonly now: PodmanOnUfs } {
    let podman: PodmanOnUfs | undefined;
    before(() => {
      podman = new PodmanOnUfs(rootless);
      writeContext(podman.bench);
      prepare(podman);
    });
    after(() => podman?.close());
    return {
      get now() {
        return podman as PodmanOnUfs;
      },
    };
  }

  /** Does the same on ufs and on overlayfs, with the same result. */
  same<T>(work: (podman: Podman) => T): T {
    const [ours, theirs] = [work(this.ufs), work(this.native)];
    assert.deepEqual(ours, theirs);
    return ours;
  }

  /** The lines of `tree` for an image. */
  tree(podman: Podman, image: string): string[] {
    return this.treeAt(podman, `podman image mount ${image}`, `podman image unmount ${image}`);
  }

  /** The lines of `tree` for what one shell command mounts, and another one unmounts. */
  treeAt(podman: Podman, mount: string, unmount: string): string[] {
    return podman.sh(`${TREE} tree "$(${mount})"; ${unmount} >/dev/null`).split('\n');
  }

  /** The processes that serve the mounts of a podman. */
  servers(podman: Podman = this.ufs): number[] {
    return processesWith((word) => word.startsWith(`${podman.directory}/runtime/ufs-overlay/`));
  }

  /** Removes all images and containers: then nothing is mounted, served or left. */
  async endsClean(podman: Podman = this.ufs): Promise<void> {
    podman.podman('rm', '-af', '-t', '0');
    podman.podman('rmi', '-af');
    podman.podman('volume', 'prune', '-f');
    assert.equal(podman.sh(`grep -c ' ${podman.directory}/.*fuse' /proc/self/mountinfo || true`), '0\n');
    await until(() => this.servers(podman).length === 0, 'the server ends with its last mount');
    assert.deepEqual(podman.sh(`cd ${podman.directory}/graph/overlay; find . -mindepth 1 ! -name .has-mount-program ! -name l`), '');
    assert.deepEqual(podman.sh(`cd ${podman.directory}/runtime; find ufs-overlay -mindepth 1 ! -name log`), '');
  }

  async close(): Promise<void> {
    for (const podman of [this.ufs, this.native]) {
      podman.try('rm', '-af', '-t', '0');
      await podman.close();
      for (const pid of this.servers(podman)) process.kill(pid);
    }
    this.bench.close();
    rmSync(this.#copy, { recursive: true, force: true });
  }
}
