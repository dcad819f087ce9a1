import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join, resolve } from 'node:path';
import { Bench } from '../test/helpers/cli.ts';
import { Dockerd } from '../test/e2e/dockerd.ts';
import { ServedDriver } from '../test/e2e/served-driver.ts';
import { Figures, machine, seconds } from './figures.ts';

/** What docker users wait for, on the drivers overlay2, vfs and ufs, each with a dockerd of its own, in turns in one run. See README.md beside this file. */
const option = (name: string): string | undefined => process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
const rounds = Number(option('rounds') ?? 3);
const base = mkdtempSync('/var/tmp/ufs-bench-');
/** All daemons work in a file system of its own, fresh, which is ext4 as it is made by default. The machine's may be without a journal, or overlayfs, on which there is no overlay2. */
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
  dockerd: Dockerd;
}

const FILES = 10_000;
const CHANGES = `for i in 1 2 3 4 5; do echo new >/many/50/new$i; done; echo more >>/many/7/7; echo more >>/etc/hostname.old; chmod 600 /many/8/8; rm /many/9/9; rm -r /usr/share/doc/bash`;

/** Work, in this order; what is before `timed` isn't measured. */
const jobs: { name: string; before?: (dockerd: Dockerd) => void; timed: (dockerd: Dockerd) => void; after?: (dockerd: Dockerd) => void }[] = [
  { name: 'import of Debian', timed: (dockerd) => void dockerd.docker('import', join(base, 'debian.tar'), 'debian') },
  { name: 'run --rm true', timed: (dockerd) => void dockerd.runImage('debian', 'true') },
  { name: 'build', timed: (dockerd) => build(dockerd, false), after: (dockerd) => void dockerd.docker('rmi', 'built') },
  { name: 'build with BuildKit', timed: (dockerd) => build(dockerd, true), after: (dockerd) => void dockerd.docker('builder', 'prune', '-af') },
  {
    name: 'commit of 10,000 files',
    before: (dockerd) => void dockerd.docker('run', '--name', 'maker', '--network', 'none', 'debian', 'sh', '-c',
      `mkdir /many; for d in $(seq 100); do mkdir /many/$d; for f in $(seq ${FILES / 100}); do echo "file $f of $d" >/many/$d/$f; done; done`),
    timed: (dockerd) => void dockerd.docker('commit', 'maker', 'big'),
  },
  {
    name: 'diff of 10 changes',
    before: (dockerd) => void dockerd.docker('run', '--name', 'changer', '--network', 'none', 'big', 'sh', '-c', CHANGES),
    timed: (dockerd) => void dockerd.docker('diff', 'changer'),
    after: (dockerd) => void dockerd.docker('rm', 'maker', 'changer'),
  },
  { name: 'rmi of both', timed: (dockerd) => void dockerd.docker('rmi', '-f', 'built', 'big', 'debian') },
];

function build(dockerd: Dockerd, kit: boolean): void {
  dockerd.buildKit = kit;
  try {
    dockerd.docker('build', '-q', '--no-cache', '--network', 'none', '-t', 'built', join(base, 'context'));
  } finally {
    dockerd.buildKit = false;
  }
}

/** The root file system, and a folder to build on it from. */
function prepare(): void {
  const given = option('rootfs');
  if (given !== undefined) run('cp', resolve(given), 'debian.tar');
  else {
    sh(`mirror=$(sed -n 's/^URIs: *\\([^ ]*\\).*/\\1/p; s/^deb  *\\(\\[[^]]*\\]  *\\)\\?\\([^ ]*\\).*/\\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true)
      debootstrap --variant=minbase bookworm rootfs \${mirror:+"$mirror"} >debootstrap.log
      rm -f rootfs/var/cache/apt/archives/*.deb; tar --numeric-owner --xattrs --xattrs-include='*' --format=posix --sort=name -C rootfs -cf debian.tar .; rm -rf rootfs`);
  }
  sh(`mkdir -p context/src; for d in $(seq 10); do mkdir context/src/$d; for f in $(seq 50); do echo "source $f in $d" >context/src/$d/$f; done; done`);
  writeFileSync(join(base, 'context', 'Dockerfile'), `FROM debian
COPY src /srv/src
RUN cp -a /srv/src /srv/copy && rm -r /srv/src/1
RUN rm -rf /usr/share/doc && chown -R 1000:1000 /usr/share/perl5 && mv /usr/share/zoneinfo /usr/share/zones
USER 1000
RUN echo mine >/tmp/mine
CMD ["true"]
`);
}

function round(contender: Contender, results: Figures | undefined): void {
  for (const { name, before, timed, after } of jobs) {
    before?.(contender.dockerd);
    sh('sync -f disk');
    const time = seconds(() => timed(contender.dockerd));
    results?.add(name, contender.name, time);
    after?.(contender.dockerd);
  }
}

function report(results: Figures): void {
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify({ rounds, kernel: release(), node: process.version, cpus: cpus().length, results }, null, 2));
    return;
  }
  console.log(`${machine()}; ${run('/usr/sbin/dockerd', '--version').trim()}; median of ${rounds} rounds, in seconds (and min–max); smaller ratios are better for ufs\n`);
  console.log(results.table(['overlay2', 'vfs', 'ufs'], 'ufs', [['overlay2'], ['vfs']]));
}

mkdirSync(disk);
sh('fallocate -l 16G image; mkfs.ext4 -q -E nodiscard,lazy_itable_init=0 image; mount -o loop image disk');
process.env['TMPDIR'] = disk;
const bench = new Bench();
const daemons: Dockerd[] = [];
let driver: ServedDriver | undefined;
try {
  prepare();
  driver = await ServedDriver.start(bench);
  const contenders: Contender[] = [];
  for (const [name, options] of [['overlay2', { driver: 'overlay2' }], ['vfs', { driver: 'vfs' }], ['ufs', driver.daemon]] as const) {
    const dockerd = await Dockerd.start(bench, name, options);
    daemons.push(dockerd);
    contenders.push({ name, dockerd });
  }
  const results = new Figures();
  // The first round isn't measured: daemons stay up for long, and what one that was just started has to load and compile is paid once.
  for (let number = 0; number <= rounds; number += 1) {
    const first = number % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) round(contender, number === 0 ? undefined : results);
  }
  report(results);
} finally {
  for (const dockerd of daemons) await dockerd.stop();
  await driver?.stop();
  bench.close();
  run('umount', disk);
  rmSync(base, { recursive: true, force: true });
}
