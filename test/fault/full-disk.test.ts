import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statfsSync, statSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../helpers/cli.ts';
import { mountUnion } from '../helpers/mount.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';

const MIB = 1 << 20;

interface Place {
  lower: string;
  disk: string;
  work: string;
  /** The mounted union. */
  path: string;
}

/** A union whose upper is a small file system of its own (`options` of a tmpfs). */
async function onSmallDisk(options: string, run: (place: Place) => void | Promise<void>): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'ufs-disk-'));
  const [lower, disk] = [join(base, 'lower'), join(base, 'disk')];
  for (const path of [lower, disk]) mkdirSync(path);
  mkdirSync(join(lower, 'd'));
  writeFileSync(join(lower, 'big'), Buffer.alloc(6 * MIB, 'b'));
  writeFileSync(join(lower, 'd/small'), 'small');
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'ufs-test', disk]);
  try {
    const [upper, work] = [join(disk, 'upper'), join(disk, 'work')];
    mkdirSync(upper);
    const mounted = await mountUnion({ lowers: [lower], upper, work });
    try {
      await run({ lower, disk, work, path: mounted.path });
    } finally {
      await mounted.close();
    }
  } finally {
    execFileSync('umount', ['-l', disk]);
    rmSync(base, { recursive: true });
  }
}

/** Writes until the errno comes; the bytes written. */
function fill(path: string): number {
  const fd = openSync(path, 'w');
  const piece = Buffer.alloc(64 * 1024, 'x');
  let written = 0;
  try {
    for (;;) written += writeSync(fd, piece);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    return written;
  } finally {
    try {
      closeSync(fd);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
  }
}

test('on a full disk writes and copy-ups say ENOSPC, nothing half made shows, and work goes on when there is room', { skip: needsRootAndFuse }, async () => {
  await onSmallDisk('size=4m', ({ lower, work, path }) => {
    assert.ok(fill(join(path, 'filler')) > 3 * MIB);
    const { bavail, blocks, bsize } = statfsSync(path);
    assert.equal(blocks * bsize, 4 * MIB);
    assert.ok(bavail * bsize < MIB / 4, 'statfs shows that it is full');
    assert.throws(() => openSync(join(path, 'big'), 'r+'), { code: 'ENOSPC' });
    assert.throws(() => writeFileSync(join(path, 'other'), Buffer.alloc(MIB)), { code: 'ENOSPC' });
    assert.ok(readFileSync(join(path, 'big')).equals(readFileSync(join(lower, 'big'))), 'what could not be copied up is there as before');
    assert.deepEqual(readdirSync(join(work, 'work')), []);
    unlinkSync(join(path, 'filler'));
    // No room for the copy, but for what isn't one.
    assert.throws(() => openSync(join(path, 'big'), 'r+'), { code: 'ENOSPC' });
    assert.deepEqual(readdirSync(join(work, 'work')), []);
    writeFileSync(join(path, 'd/small'), 'changed');
    writeFileSync(join(path, 'new'), Buffer.alloc(2 * MIB, 'n'));
    assert.equal(readFileSync(join(path, 'd/small'), 'utf8'), 'changed');
    assert.equal(statSync(join(path, 'new')).size, 2 * MIB);
    renameSync(join(path, 'd'), join(path, 'e'));
    unlinkSync(join(path, 'big'));
    assert.deepEqual(readdirSync(path).sort(), ['e', 'new', 'other']);
  });
});

test('where inodes run out, what needs one says ENOSPC, and what is there can be used and removed', { skip: needsRootAndFuse }, async () => {
  await onSmallDisk('size=8m,nr_inodes=40', ({ work, path }) => {
    let made = 0;
    assert.throws(() => {
      for (; made < 100; made += 1) writeFileSync(join(path, `f${made}`), '');
    }, { code: 'ENOSPC' });
    assert.ok(made > 10);
    assert.equal(statfsSync(path).ffree, 0);
    assert.ok(!existsSync(join(path, `f${made}`)));
    assert.throws(() => mkdirSync(join(path, 'dir')), { code: 'ENOSPC' });
    assert.throws(() => chmodSync(join(path, 'd/small'), 0o600), { code: 'ENOSPC' }, 'a copy needs an inode');
    assert.throws(() => unlinkSync(join(path, 'd/small')), { code: 'ENOSPC' }, 'so does a whiteout');
    assert.equal(readFileSync(join(path, 'd/small'), 'utf8'), 'small');
    assert.deepEqual(readdirSync(join(path, 'd')), ['small']);
    assert.deepEqual(readdirSync(join(work, 'work')), []);
    writeFileSync(join(path, 'f0'), 'there is room for data');
    for (let at = 0; at < made; at += 1) unlinkSync(join(path, `f${at}`));
    unlinkSync(join(path, 'd/small'));
    rmdirSync(join(path, 'd'));
    assert.deepEqual(readdirSync(path), ['big']);
  });
});

test('a disk that becomes read-only says EROFS, shows all there is, and takes changes when it is writable again', { skip: needsRootAndFuse }, async () => {
  await onSmallDisk('size=16m', async ({ disk, path }) => {
    writeFileSync(join(path, 'upper'), 'upper');
    // The kernel tells of a close(2) when it is over: until then the disk has a file open for writing.
    await until(() => spawnSync('mount', ['-o', 'remount,ro', disk]).status === 0, 'nothing is open for writing');
    for (const change of [
      () => writeFileSync(join(path, 'new'), ''), () => writeFileSync(join(path, 'upper'), 'x'), () => openSync(join(path, 'd/small'), 'r+'),
      () => chmodSync(join(path, 'upper'), 0o600), () => chmodSync(join(path, 'big'), 0o600), () => unlinkSync(join(path, 'upper')), () => unlinkSync(join(path, 'big')),
      () => renameSync(join(path, 'd'), join(path, 'e')), () => renameSync(join(path, 'upper'), join(path, 'big')), () => mkdirSync(join(path, 'd/new')),
    ]) assert.throws(change, { code: 'EROFS' }, String(change));
    assert.deepEqual(readdirSync(path).sort(), ['big', 'd', 'upper']);
    assert.equal(readFileSync(join(path, 'upper'), 'utf8'), 'upper');
    assert.equal(readFileSync(join(path, 'd/small'), 'utf8'), 'small');
    execFileSync('mount', ['-o', 'remount,rw', disk]);
    renameSync(join(path, 'd'), join(path, 'e'));
    writeFileSync(join(path, 'e/small'), 'changed');
    renameSync(join(path, 'upper'), join(path, 'big'));
    assert.deepEqual(readdirSync(path).sort(), ['big', 'e']);
    assert.equal(readFileSync(join(path, 'big'), 'utf8'), 'upper');
  });
});
