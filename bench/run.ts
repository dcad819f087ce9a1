import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join, resolve } from 'node:path';
import { Figures, machine, seconds } from './figures.ts';

/** The same work on a plain directory, kernel overlayfs, fuse-overlayfs and ufs, in one run; prints ratios. See README.md beside this file. */
const MAIN = resolve(import.meta.dirname, '../src/cli/main.js');
const rounds = Number(process.argv.find((word) => word.startsWith('--rounds='))?.slice(9) ?? 3);
const asJson = process.argv.includes('--json');
const base = mkdtempSync('/var/tmp/ufs-bench-');

function sh(script: string): void {
  const { status, stderr } = spawnSync('/bin/bash', ['-euo', 'pipefail', '-c', script], { cwd: base });
  if (status !== 0) throw new Error(`${script}\n${stderr.toString()}`);
}

/** One way to have the lower tree under a writable directory. */
interface Contender {
  name: string;
  mount(target: string, lower: string, upper: string, work: string): void;
}

const contenders: Contender[] = [
  { name: 'plain', mount: (target, lower) => sh(`cp -a ${lower}/. ${target}/`) },
  { name: 'overlayfs', mount: (target, lower, upper, work) => sh(`mount -t overlay overlay -o lowerdir=${lower},upperdir=${upper},workdir=${work} ${target}`) },
  { name: 'fuse-overlayfs', mount: (target, lower, upper, work) => sh(`fuse-overlayfs -o lowerdir=${lower},upperdir=${upper},workdir=${work} ${target}`) },
  { name: 'ufs', mount: (target, lower, upper, work) => sh(`${process.execPath} ${MAIN} mount --detach -o lowerdir=${lower},upperdir=${upper},workdir=${work},metacopy=on ${target}`) },
];

/** Work done in a mounted directory, in this order; each is a shell script. `cold`: the kernel's caches are dropped first. */
const jobs: { name: string; script: string; cold?: boolean }[] = [
  { name: 'walk, cold', script: 'find . -printf "%s %m\\n"', cold: true },
  { name: 'walk, warm', script: 'find . -printf "%s %m\\n"' },
  { name: 'read small files, cold', script: 'cat tree/*/* | cksum', cold: true },
  { name: 'read small files, warm', script: 'cat tree/*/* | cksum' },
  { name: 'read 256 MB, cold', script: 'cat big >/dev/null', cold: true },
  { name: 'create 3000 files', script: 'mkdir new; for d in $(seq 30); do mkdir new/$d; (cd new/$d; touch $(seq 100)); done' },
  { name: 'append to 500 lower files', script: 'for f in tree/1/*; do echo x >>$f; done' },
  { name: 'write 256 MB', script: 'dd if=/dev/zero of=written bs=1M count=256 status=none' },
  { name: 'untar 4000 files', script: 'mkdir untar; tar -xf ../tree.tar -C untar' },
  { name: 'chown -R', script: 'chown -R 1:1 tree/2' },
  { name: 'delete', script: 'rm -r new tree/3 untar' },
];

function prepare(): void {
  sh(`mkdir lower lower/tree
    for d in $(seq 8); do mkdir lower/tree/$d; for f in $(seq 500); do echo "file $f in $d, with some bytes that make it a file" >lower/tree/$d/$f; done; done
    dd if=/dev/urandom of=lower/big bs=1M count=256 status=none; tar -cf tree.tar -C lower tree; sync -f .`);
}

function runRound(contender: Contender, results: Figures): void {
  const [target, upper, work] = ['mnt', 'upper', 'work'].map((name) => join(base, name)) as [string, string, string];
  for (const path of [target, upper, work]) mkdirSync(path);
  contender.mount(target, join(base, 'lower'), upper, work);
  for (const { name, script, cold } of jobs) {
    sh(`sync -f .${cold === true ? '; echo 3 >/proc/sys/vm/drop_caches' : ''}`);
    const time = seconds(() => {
      const { status, stderr } = spawnSync('/bin/bash', ['-euc', script], { cwd: target, stdio: ['ignore', 'ignore', 'pipe'] });
      if (status !== 0) throw new Error(`${contender.name}, ${name}: ${stderr.toString()}`);
    });
    results.add(name, contender.name, time);
  }
  spawnSync('umount', [target]);
  sh('rm -rf mnt upper work');
}

/** Import beside what it can't be faster than: unpacking the tar, and syncing. */
function load(results: Figures): void {
  const name = 'load 4000 files (plain: tar and sync)';
  for (let round = 0; round < rounds; round += 1) {
    results.add(name, 'plain', seconds(() => sh('mkdir unpacked; tar -xf tree.tar -C unpacked; sync -f unpacked')));
    results.add(name, 'ufs', seconds(() => sh(`${process.execPath} ${MAIN} --root ${base}/store import tree.tar`)));
    sh('rm -rf unpacked store');
  }
}

function report(results: Figures): void {
  if (asJson) {
    console.log(JSON.stringify({ rounds, kernel: release(), node: process.version, cpus: cpus().length, results }, null, 2));
    return;
  }
  console.log(`${machine()}; median of ${rounds} rounds, in seconds (and min–max); the last columns are ratios, smaller is better for ufs\n`);
  console.log(results.table(contenders.map(({ name }) => name), 'ufs', [['fuse-overlayfs'], ['overlayfs', 'plain']]));
}

try {
  prepare();
  const results = new Figures();
  for (let round = 0; round < rounds; round += 1) {
    // In another order each time: ext4 creates slowly where much was deleted a moment ago, so nobody should always come after the same.
    const first = round % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) runRound(contender, results);
  }
  load(results);
  report(results);
} finally {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const target = line.split(' ')[4];
    if (target?.startsWith(`${base}/`) === true) spawnSync('umount', ['-l', target]);
  }
  rmSync(base, { recursive: true, force: true });
}
