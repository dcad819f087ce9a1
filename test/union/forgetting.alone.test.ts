import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { MessageChannel, Worker } from 'node:worker_threads';
import { signalEventfd } from '../../fs/host/process.ts';
import { nameFromText } from '../../fs/name.ts';
import { mount, unmount } from '../../fs/transport/mount.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { Scratch } from './driver.ts';
import type { Counts, ServeUnion } from './serve-union.ts';

/** More directories than descriptors are kept (384), a third of them in the upper alone and a third merged. */
const DIRECTORIES = 900;
const FILES = 20;
/** All nodes there can be: 900 directories, of which 300 have files on both sides, and the root. */
const ALL = 1 + DIRECTORIES + (DIRECTORIES + DIRECTORIES / 3) * FILES;
/** Descriptors of directories that are kept, 256 of the upper and 128 of the lower, and those of what is being read. */
const DESCRIPTORS = 256 + 128 + 32;

const skip = needsRootAndFuse;
const shell = promisify(execFile);
let scratch: Scratch;
/** Descriptors of this process before it served. */
let descriptors: number;
let mounted: { path: string; worker: Worker; wakeFd: number; asks: MessageChannel['port1'] };

function makeTree(): void {
  for (let number = 0; number < DIRECTORIES; number += 1) {
    const sides = number % 3 === 0 ? [scratch.lower, scratch.upper] : [number % 3 === 1 ? scratch.lower : scratch.upper];
    for (const [index, side] of sides.entries()) {
      const directory = join(side, `directory${number}`);
      mkdirSync(directory);
      for (let file = 0; file < FILES; file += 1) writeFileSync(join(directory, `side${index}.${file}`), '');
    }
  }
}

before(async () => {
  if (skip !== false) return;
  scratch = new Scratch();
  makeTree();
  descriptors = readdirSync('/proc/self/fd').length;
  const path = join(scratch.root, 'mnt');
  mkdirSync(path);
  const fd = mount(nameFromText(path), { source: 'ufs' });
  const { port1: asks, port2 } = new MessageChannel();
  const worker = new Worker(new URL('./serve-union.js', import.meta.url), {
    workerData: { fd, lower: scratch.lower, upper: scratch.upper, work: scratch.work, asks: port2 } satisfies ServeUnion, transferList: [port2], trackUnmanagedFds: false,
  });
  const [{ wakeFd }] = await once(worker, 'message') as [{ wakeFd: number }];
  mounted = { path, worker, wakeFd, asks };
});

after(async () => {
  if (skip !== false) return;
  unmount(nameFromText(mounted.path), { lazy: true });
  await once(mounted.worker, 'exit');
  mounted.asks.close();
  scratch.remove();
});

async function counts(): Promise<Counts> {
  const answer = once(mounted.worker, 'message');
  mounted.asks.postMessage('counts');
  signalEventfd(mounted.wakeFd);
  return (await answer)[0] as Counts;
}

/** The kernel may forget at any time, and forgets in the background: so what is waited for is asked again and again. */
async function untilForgotten(nodes: number): Promise<void> {
  let last = -1;
  for (const started = Date.now(); Date.now() - started < 60_000; await new Promise((done) => setTimeout(done, 50))) {
    writeFileSync('/proc/sys/vm/drop_caches', '2');
    last = (await counts()).nodes;
    if (last <= nodes) break;
  }
  assert.equal(last, nodes);
}

async function walk(command = 'find . -ls'): Promise<number> {
  const { stdout } = await shell('/bin/sh', ['-euc', `${command} | wc -l`], { cwd: mounted.path, timeout: 120_000 });
  return Number(stdout);
}

test('walking again adds no node; what the kernel forgets leaves the table', { skip }, async () => {
  for (let round = 0; round < 3; round += 1) {
    for (let again = 0; again < 2; again += 1) {
      assert.equal(await walk(), ALL);
      const { nodes, files, directories } = await counts();
      assert(nodes <= ALL, `${nodes} nodes for ${ALL} files`);
      assert.deepEqual({ files, directories }, { files: 0, directories: 0 });
    }
    await untilForgotten(1);
  }
});

test('an open file and an open directory are kept with what leads to them, until they are closed', { skip }, async () => {
  const file = openSync(join(mounted.path, 'directory0/side0.0'), 'r');
  const directory = openSync(join(mounted.path, 'directory1'), 'r');
  await walk();
  await untilForgotten(4);
  assert.equal((await counts()).files, 1);
  closeSync(file);
  closeSync(directory);
  await untilForgotten(1);
});

test('walking and reading a tree takes no more descriptors than are kept of directories', { skip }, async () => {
  let [most, ended] = [0, false];
  const reading = walk('find . -type f -exec cat {} + ; find . -ls').finally(() => (ended = true));
  while (!ended) {
    most = Math.max(most, readdirSync('/proc/self/fd').length);
    await new Promise((done) => setTimeout(done, 5));
  }
  assert.equal(await reading, ALL);
  const { nodes } = await counts();
  assert(most <= descriptors + DESCRIPTORS, `${most} descriptors, ${descriptors} before, for ${nodes} nodes`);
});

test('the server has a quiet moment after use, and one more where it asks for that', { skip }, async () => {
  for (let use = 0; use < 2; use += 1) {
    const { quiet: before } = await counts();
    readdirSync(mounted.path);
    // Asking wakes the server, but isn't use.
    let quiet = before;
    for (const started = Date.now(); quiet < before + 2 && Date.now() - started < 60_000; quiet = (await counts()).quiet) await new Promise((done) => setTimeout(done, 1500));
    assert(quiet >= before + 2, `${quiet - before} quiet moments`);
  }
});
