import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Bench } from './cli.ts';
import { needsProgram, needsRootAndFuse } from './needs.ts';

/** Why containers of this image can't be run here; false where they can. */
export const needsBusyboxAndRunc: string | false = needsRootAndFuse || needsProgram('runc') || needsProgram('busybox');

const COMMANDS = ['sh', 'cat', 'ls', 'id', 'mount', 'stat', 'sleep', 'echo', 'touch', 'mkdir', 'rm', 'env', 'pwd', 'wc', 'md5sum', 'head', 'grep', 'stty', 'tty', 'chmod', 'chown', 'readlink', 'mknod', 'true', 'dd', 'umount', 'cut'];

/** How an image wants to be run, as its configuration says it. */
export interface ImageConfig {
  Env?: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  WorkingDir?: string;
  User?: string;
}

/** Writes a docker archive, `busybox.tar`, of an image "busybox": busybox with accounts of its own, and what `script` makes in its root directory. */
export function writeBusybox(bench: Bench, config: ImageConfig, script = ''): void {
  bench.sh(`mkdir -p root/bin root/etc root/tmp image; chmod 1777 root/tmp; cp "$(command -v busybox)" root/bin/busybox; for c in ${COMMANDS.join(' ')}; do ln -s busybox root/bin/$c; done
    printf 'root:x:0:0::/root:/bin/sh\\nworker:x:1000:1001::/work:/bin/sh\\n' >root/etc/passwd; printf 'root:x:0:\\nworkers:x:1001:\\nhelpers:x:1002:worker\\nothers:x:1003:root,worker\\n' >root/etc/group
    (cd root; ${script}
    ); tar --numeric-owner -cf image/layer.tar -C root .; rm -rf root`);
  const diffId = `sha256:${createHash('sha256').update(readFileSync(bench.path('image/layer.tar'))).digest('hex')}`;
  writeFileSync(bench.path('image/config.json'), JSON.stringify({ architecture: 'amd64', os: 'linux', config, rootfs: { type: 'layers', diff_ids: [diffId] } }));
  writeFileSync(bench.path('image/manifest.json'), JSON.stringify([{ Config: 'config.json', RepoTags: ['busybox:latest'], Layers: ['layer.tar'] }]));
  bench.sh('tar -cf busybox.tar -C image .; rm -r image');
}
