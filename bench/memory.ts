import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join, resolve } from 'node:path';

/** What servers take of memory while a large tree is walked again and again, forgotten by the kernel in between. See README.md beside this file. */
const MAIN = resolve(import.meta.dirname, '../src/cli/main.js');
const option = (name: string, otherwise: number): number => Number(process.argv.find((word) => word.startsWith(`--${name}=`))?.split('=')[1] ?? otherwise);
const files = option('files', 1_000_000);
const walks = option('walks', 10);
const base = mkdtempSync('/var/tmp/ufs-memory-');
const target = join(base, 'mnt');

function run(command: string, ...argv: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, argv, { cwd: base });
  if (status !== 0) throw new Error(`${command} ${argv.join(' ')}\n${stderr.toString()}`);
  return stdout.toString();
}

const sh = (script: string): string => run('/bin/bash', '-euo', 'pipefail', '-c', script);
const ufs = (...words: string[]): string => run(process.execPath, MAIN, '--root', join(base, 'store'), ...words);

const DIRECTORIES = `lowerdir=${base}/lower,upperdir=${base}/upper,workdir=${base}/work`;
/** A way to serve the tree, and what to do when it is unmounted. */
const contenders: { name: string; mount: () => void; unmounted?: () => void }[] = [
  { name: 'fuse-overlayfs', mount: () => run('fuse-overlayfs', '-o', DIRECTORIES, target) },
  { name: 'ufs, directories', mount: () => ufs('mount', '--detach', '-o', DIRECTORIES, target) },
  { name: 'ufs, an image', mount: () => ufs('mount', '--detach', '--name', 'walked', 'image', target), unmounted: () => ufs('rm', 'walked') },
];

/** Directories of a thousand empty files each, as they are and as an image. */
function prepare(): void {
  for (const name of ['mnt', 'upper', 'work']) mkdirSync(join(base, name));
  for (let made = 0; made < files; ) {
    const directory = join(base, 'lower', `directory${made / 1000}`);
    mkdirSync(directory, { recursive: true });
    for (const end = Math.min(files, made + 1000); made < end; made += 1) closeSync(openSync(join(directory, `file${made}`), 'w'));
  }
  sh('tar -cf lower.tar -C lower .');
  ufs('import', 'lower.tar', '--name', 'image');
  sh('rm lower.tar; sync -f .');
}

/** Megabytes of a process that are resident, now or at most so far. */
function memory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
}

interface Figures {
  mounted: number;
  walked: number[];
  forgotten: number[];
  most: number;
}

function measure({ mount, unmounted }: (typeof contenders)[number]): Figures {
  mount();
  const pid = Number(run('pgrep', '-n', '-f', base));
  const figures: Figures = { mounted: memory(pid, 'VmRSS'), walked: [], forgotten: [], most: 0 };
  for (let walk = 0; walk < walks; walk += 1) {
    sh(`find ${target} -ls >/dev/null`);
    figures.walked.push(memory(pid, 'VmRSS'));
    writeFileSync('/proc/sys/vm/drop_caches', '2');
    // Its quiet moments.
    sh('sleep 5');
    figures.forgotten.push(memory(pid, 'VmRSS'));
  }
  figures.most = memory(pid, 'VmHWM');
  run('umount', target);
  unmounted?.();
  return figures;
}

function report(results: Map<string, Figures>): void {
  const row = (title: string, value: (figures: Figures) => string | number): void => console.log(`| ${title} | ${[...results.values()].map(value).join(' | ')} |`);
  console.log(`Linux ${release()}, Node ${process.version}; ${files} files; resident megabytes after a walk, and when the kernel has forgotten it\n`);
  console.log(`| when | ${[...results.keys()].join(' | ')} |\n| --- |${' --- |'.repeat(results.size)}`);
  row('mounted', ({ mounted }) => mounted);
  for (let walk = 0; walk < walks; walk += 1) row(`walk ${walk + 1}`, ({ walked, forgotten }) => `${walked[walk]} → ${forgotten[walk]}`);
  row('at most', ({ most }) => most);
}

try {
  prepare();
  report(new Map(contenders.map((contender) => [contender.name, measure(contender)])));
} finally {
  spawnSync('umount', ['-l', target]);
  rmSync(base, { recursive: true, force: true });
}
