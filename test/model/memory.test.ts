import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as host from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { needsOverlayfs } from '../helpers/needs.ts';
import { Driver, type DriverOptions, dumpDirectory, dumpMerged, type Scratch } from '../union/driver.ts';
import { compare, type Kind, type Subject } from './compare.ts';
import { DriverTree } from './driver-tree.ts';
import type { Operation } from './operation.ts';
import { seeds } from './random.ts';

/** A union driven as the kernel would, without one. `overlayfs`: also what kernel overlayfs shows of its upper. */
function inMemory(options: DriverOptions, overlayfs: boolean): Kind['make'] {
  return async (lowers, base): Promise<Subject> => {
    const scratch = { root: base, upper: join(base, 'upper'), work: join(base, 'work') } as Scratch;
    for (const made of [scratch.upper, scratch.work]) host.mkdirSync(made);
    const driver = (): Driver => new Driver(scratch, { ...options, lowers });
    const tree = new DriverTree(driver());
    let mounted = true;
    const unmount = (): void => {
      if (!mounted) return;
      mounted = false;
      tree.close();
      tree.driver.unmount();
    };
    return {
      run: (operation) => tree.run(operation),
      dump: () => tree.driver.dump(),
      remount: async () => {
        unmount();
        tree.driver = driver();
        mounted = true;
      },
      end: async () => {
        unmount();
        assert.deepEqual(host.readdirSync(join(scratch.work, 'work')), [], 'nothing is left in the work directory');
        return new Map([['by the merged layer', dumpMerged(scratch, lowers)], ...(overlayfs ? [['by kernel overlayfs', shownByOverlayfs(lowers, base)] as const] : [])]);
      },
      close: async () => unmount(),
    };
  };
}

function shownByOverlayfs(lowers: string[], base: string): string[] {
  execFileSync('/bin/sh', ['-ec', `cp -a upper kernel-upper; mkdir kernel-work kernel
    mount -t overlay overlay -o lowerdir=${lowers.join(':')},upperdir=kernel-upper,workdir=kernel-work,metacopy=on,redirect_dir=on,index=on kernel`], { cwd: base });
  try {
    return dumpDirectory(join(base, 'kernel'));
  } finally {
    execFileSync('umount', ['kernel'], { cwd: base });
  }
}

/** The kernel never asks these: it sees itself what they come to. */
function impossible(operation: Operation, plain: string): boolean {
  if (operation.do === 'chmod' || operation.do === 'truncate') return isSymlink(join(plain, operation.path));
  if (operation.do === 'linkat' || operation.do === 'list') return true;
  if (operation.do === 'setxattr' || operation.do === 'removexattr') return operation.name.startsWith('user.');
  if (operation.do !== 'rename' && operation.do !== 'link') return false;
  return `${operation.to}/`.startsWith(`${operation.path}/`) || `${operation.path}/`.startsWith(`${operation.to}/`);
}

function isSymlink(path: string): boolean {
  try {
    return host.lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

const failed = (outcome: string): boolean => /^E[A-Z0-9]+$/.test(outcome);
/** Paths are walked by the test here: which error is told first isn't the union's doing. */
const same: Kind['same'] = (union, plain) => union === plain || (failed(union) && failed(plain));

const variants: Record<string, { options: DriverOptions; overlayfs?: boolean; spelling?: Kind['spelling'] }> = {
  'whole copies': { options: {} },
  'nodes known': { options: { remembers: true } },
  '.wh. marks': { options: { whiteouts: 'aufs', remembers: true }, spelling: 'aufs' },
  'metadata-only copies': { options: { metacopy: true, remembers: true } },
  'as kernel overlayfs shows it': { options: { metacopy: true }, overlayfs: true },
};

for (const [variant, { options, overlayfs = false, spelling = 'overlay' }] of Object.entries(variants)) {
  // Kernel overlayfs has an inode for each name of a lower file, and lists whiteouts that hide nothing.
  const kind: Kind = { spelling, links: !overlayfs, whiteouts: !overlayfs, readers: true, length: 200, same, impossible, make: inMemory(options, overlayfs) };
  test(`random sequences of operations on a union and on a plain directory give the same, also with files open and over remounts (in memory, ${variant})`, { skip: overlayfs && needsOverlayfs }, async () => {
    for (const seed of seeds('UFS_MODEL_SEEDS', 5)) await compare(kind, seed);
  });
}
