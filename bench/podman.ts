import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join, resolve } from 'node:path';
import { Bench } from '../test/helpers/cli.ts';
import { Podman } from '../test/e2e/podman.ts';
import { Figures, machine, seconds } from './figures.ts';

/** What podman's users wait for, on the kernel's overlayfs, and with fuse-overlayfs and ufs as mount programs, in turns in one run. See README.md beside this file. */
const option = (name: string): string | undefined => process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
const rounds = Number(option('rounds') ?? 3);
const rootless = !process.argv.includes('--root');
// podman wants short paths.
const base = mkdtempSync('/var/tmp/ufs-');
/** All storages are in a file system of its own, fresh, which is ext4 as it is made by default. The machine's may be without a journal, or overlayfs, on which there is no overlayfs. */
const disk = join(base, 'disk');

function run(command: string, ...argv: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, argv, { cwd: base });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${argv.join(' ')}\n${stderr.toString()}`);
  return stdout.toString();
}
const sh = (script: string): string => run('/bin/bash', '-euo', 'pipefail', '-c', script);

interface Contender {
  name: string;
  podman: Podman;
}

const FILES = 10_000;
/** Longer than a mount server stays without mounts. */
const IDLE = 'sleep 3';

/** Work, in this order; what is before `timed` isn't measured. */
const jobs: { name: string; rootless?: true; before?: (podman: Podman) => void; timed: (podman: Podman) => void; after?: (podman: Podman) => void }[] = [
  { name: 'import of Debian', timed: (podman) => void podman.podman('import', '-q', join(base, 'debian.tar'), 'debian') },
  { name: 'run --rm true, while nothing else runs', before: () => void sh(IDLE), timed: (podman) => void podman.runImage('debian', 'true') },
  {
    name: 'run --rm true', before: (podman) => void podman.podman('run', '-d', '--name', 'other', 'debian', 'sleep', '600'),
    timed: (podman) => void podman.runImage('debian', 'true'), after: (podman) => void podman.podman('rm', '-f', '-t', '0', 'other'),
  },
  { name: 'build', timed: (podman) => void podman.podman('build', '-q', '--no-cache', '--isolation', 'chroot', '-t', 'built', join(base, 'context')), after: (podman) => void podman.podman('rmi', 'built') },
  {
    name: 'commit of 10,000 files',
    before: (podman) => void podman.podman('run', '--name', 'maker', 'debian', 'sh', '-c', `mkdir /many; for d in $(seq 100); do mkdir /many/$d; for f in $(seq ${FILES / 100}); do echo "file $f of $d" >/many/$d/$f; done; done`),
    timed: (podman) => void podman.podman('commit', '-q', 'maker', 'many'), after: (podman) => void podman.podman('rm', 'maker'),
  },
  {
    name: 'diff of 10 changes in 17,000 files', before: (podman) => void podman.podman('run', '--name', 'changer', 'many', 'sh', '-c', 'for i in 1 2 3 4 5; do echo new >/many/50/new$i; done; echo more >>/many/7/7; chmod 600 /many/8/8; rm -r /many/9'),
    timed: (podman) => void podman.podman('diff', 'changer'), after: (podman) => (podman.podman('rm', 'changer'), void podman.podman('rmi', 'many')),
  },
  {
    name: 'first start with --userns=keep-id of 1 GB in 10,000 files', rootless: true, before: (podman) => void podman.podman('import', '-q', join(base, 'big.tar'), 'big'),
    timed: (podman) => void podman.podman('run', '--rm', '--userns=keep-id', 'big', '/busybox', 'true'), after: (podman) => void podman.podman('rmi', 'big'),
  },
  { name: 'rmi of Debian', timed: (podman) => void podman.podman('rmi', '-f', 'debian') },
];

/** The root file systems, and a folder to build on one from. */
function prepare(): void {
  const given = option('rootfs');
  if (given !== undefined) run('cp', resolve(given), 'debian.tar');
  else {
    sh(`mirror=$(sed -n 's/^URIs: *\\([^ ]*\\).*/\\1/p; s/^deb  *\\(\\[[^]]*\\]  *\\)\\?\\([^ ]*\\).*/\\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true)
      debootstrap --variant=minbase bookworm rootfs \${mirror:+"$mirror"} >debootstrap.log
      rm -f rootfs/var/cache/apt/archives/*.deb; tar --numeric-owner --xattrs --xattrs-include='*' --format=posix --sort=name -C rootfs -cf debian.tar .; rm -rf rootfs`);
  }
  sh(`mkdir -p big/1; cp /bin/busybox big; for f in $(seq 100); do head -c 100k /dev/urandom >big/1/$f; done; for d in $(seq 2 100); do cp -r big/1 big/$d; done; tar -C big -cf big.tar .; rm -r big
    mkdir -p context/src; for d in $(seq 10); do mkdir context/src/$d; for f in $(seq 50); do echo "source $f in $d" >context/src/$d/$f; done; done`);
  writeFileSync(join(base, 'context', 'Dockerfile'), `FROM debian
COPY src /srv/src
RUN cp -a /srv/src /srv/copy && rm -r /srv/src/1
RUN rm -rf /usr/share/doc && chown -R 1000:1000 /usr/share/perl5 && mv /usr/share/zoneinfo /usr/share/zones
USER 1000
RUN echo mine >/tmp/mine
CMD ["true"]
`);
  sh('chmod 711 .; chmod -R a+rX context *.tar');
}

function round({ name: contender, podman }: Contender, results: Figures | undefined): void {
  for (const { name, rootless: only, before, timed, after } of jobs) {
    if (only === true && !rootless) continue;
    before?.(podman);
    sh('sync -f disk');
    const time = seconds(() => timed(podman));
    results?.add(name, contender, time);
    after?.(podman);
  }
}

function report(results: Figures): void {
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify({ rounds, rootless, kernel: release(), node: process.version, cpus: cpus().length, results }, null, 2));
    return;
  }
  console.log(`${machine()}; ${run('podman', '--version').trim()}, ${rootless ? 'rootless' : 'as root'}; ${run('fuse-overlayfs', '--version').split('\n')[0]}; median of ${rounds} rounds, in seconds (and min–max); smaller ratios are better for ufs\n`);
  console.log(results.table(['overlayfs', 'fuse-overlayfs', 'ufs'], 'ufs', [['fuse-overlayfs'], ['overlayfs']]));
}

mkdirSync(disk);
sh('fallocate -l 16G image; mkfs.ext4 -q -E nodiscard,lazy_itable_init=0 image; mount -o loop image disk; chmod 711 disk');
process.env['TMPDIR'] = disk;
const bench = new Bench();
const contenders: Contender[] = [];
try {
  prepare();
  const ours = bench.path('ufs-overlay');
  writeFileSync(ours, `#!/bin/sh\nexec ${process.execPath} ${resolve(import.meta.dirname, '../src/overlay/main.js')} "$@"\n`, { mode: 0o755 });
  for (const [name, mountProgram] of [['overlayfs'], ['fuse-overlayfs', run('which', 'fuse-overlayfs').trim()], ['ufs', ours]] as const) {
    contenders.push({ name, podman: new Podman(bench, name.slice(0, 1), { rootless, ...(mountProgram === undefined ? {} : { mountProgram }) }) });
  }
  const results = new Figures();
  // The first round isn't measured: what is in no cache yet is paid once.
  for (let number = 0; number <= rounds; number += 1) {
    const first = number % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) round(contender, number === 0 ? undefined : results);
  }
  report(results);
} finally {
  for (const { podman } of contenders) {
    podman.try('rm', '-af', '-t', '0');
    await podman.close();
  }
  bench.close();
  sh(`for try in $(seq 50); do umount disk && exit; sleep 0.2; done; umount -l disk`);
  rmSync(base, { recursive: true, force: true });
}
