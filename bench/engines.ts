import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join, resolve } from 'node:path';
import { Figures, machine, seconds } from './figures.ts';

/** An engine on one of the ways to have layers. */
export interface Contender<E> {
  name: string;
  engine: E;
}

/** Work of an engine; what is before `timed` isn't measured. */
export interface Job<E> {
  name: string;
  before?: (engine: E) => void;
  timed: (engine: E) => void;
  after?: (engine: E) => void;
}

/** The value of a flag of the command line. */
export const option = (name: string): string | undefined => process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);

/**
 * Where engines are measured: a directory with a file system of its own in it (`disk`), fresh, which is ext4 as it is made by default. The machine's may be without a
 * journal, or overlayfs, on which there is no overlayfs. Temporary files of this process are there from then on.
 */
export class EngineBench {
  readonly base: string;
  readonly rounds = Number(option('rounds') ?? 3);

  /** `prefix`: how the directory's name begins. */
  constructor(prefix: string) {
    this.base = mkdtempSync(`/var/tmp/${prefix}`);
    mkdirSync(this.path('disk'));
    this.sh('fallocate -l 16G image; mkfs.ext4 -q -E nodiscard,lazy_itable_init=0 image; mount -o loop image disk');
    process.env['TMPDIR'] = this.path('disk');
  }

  path(name: string): string {
    return join(this.base, name);
  }

  run(command: string, ...argv: string[]): string {
    const { status, stdout, stderr, error } = spawnSync(command, argv, { cwd: this.base });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`${command} ${argv.join(' ')}\n${stderr.toString()}`);
    return stdout.toString();
  }

  sh(script: string): string {
    return this.run('/bin/bash', '-euo', 'pipefail', '-c', script);
  }

  /** debian.tar, a root file system, which --rootfs may give, and in `context` what is built on it. */
  makeInputs(): void {
    const given = option('rootfs');
    if (given !== undefined) this.run('cp', resolve(given), 'debian.tar');
    else {
      this.sh(`mirror=$(sed -n 's/^URIs: *\\([^ ]*\\).*/\\1/p; s/^deb  *\\(\\[[^]]*\\]  *\\)\\?\\([^ ]*\\).*/\\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true)
        debootstrap --variant=minbase bookworm rootfs \${mirror:+"$mirror"} >debootstrap.log
        rm -f rootfs/var/cache/apt/archives/*.deb; tar --numeric-owner --xattrs --xattrs-include='*' --format=posix --sort=name -C rootfs -cf debian.tar .; rm -rf rootfs`);
    }
    this.sh(`mkdir -p context/src; for d in $(seq 10); do mkdir context/src/$d; for f in $(seq 50); do echo "source $f in $d" >context/src/$d/$f; done; done`);
    writeFileSync(this.path('context/Dockerfile'), `FROM debian
COPY src /srv/src
RUN cp -a /srv/src /srv/copy && rm -r /srv/src/1
RUN rm -rf /usr/share/doc && chown -R 1000:1000 /usr/share/perl5 && mv /usr/share/zoneinfo /usr/share/zones
USER 1000
RUN echo mine >/tmp/mine
CMD ["true"]
`);
  }

  /** Has the contenders do all jobs in turns. The first round isn't measured: what is in no cache yet, or has to be compiled, is paid once. */
  measure<E>(contenders: readonly Contender<E>[], jobs: readonly Job<E>[]): Figures {
    const results = new Figures();
    for (let number = 0; number <= this.rounds; number += 1) {
      const first = number % contenders.length;
      for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) this.#round(contender, jobs, number === 0 ? undefined : results);
    }
    return results;
  }

  #round<E>({ name: contender, engine }: Contender<E>, jobs: readonly Job<E>[], results: Figures | undefined): void {
    for (const { name, before, timed, after } of jobs) {
      before?.(engine);
      this.sh('sync -f disk');
      const time = seconds(() => timed(engine));
      results?.add(name, contender, time);
      after?.(engine);
    }
  }

  /** Prints the table, or with --json all figures. `about`: of the engines, in words and for programs. */
  report(results: Figures, table: string, about: { words: string; json?: object }): void {
    if (process.argv.includes('--json')) console.log(JSON.stringify({ rounds: this.rounds, ...about.json, kernel: release(), node: process.version, cpus: cpus().length, results }, null, 2));
    else console.log(`${machine()}; ${about.words}; median of ${this.rounds} rounds, in seconds (and min–max); smaller ratios are better for ufs\n\n${table}`);
  }

  /** Takes all away; a mount of an engine that has just ended may hold the disk for a moment. */
  close(): void {
    this.sh('for try in $(seq 50); do umount disk && exit; sleep 0.2; done; umount -l disk');
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** A shell script that makes 10,000 files in /many. */
export const MAKE_MANY = 'mkdir /many; for d in $(seq 100); do mkdir /many/$d; for f in $(seq 100); do echo "file $f of $d" >/many/$d/$f; done; done';
