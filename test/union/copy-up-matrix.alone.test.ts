import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { AT_FDCWD, FALLOC_FL_KEEP_SIZE, RENAME_EXCHANGE } from '../../fs/host/constants.ts';
import { renameAt } from '../../fs/host/at.ts';
import { copyFileRange, fallocate, ioctl } from '../../fs/host/file.ts';
import { mountUnion } from '../helpers/mount.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { listTree, treeDifferences } from '../helpers/tree.ts';
import { withFile, xattrs } from '../posix/case.ts';
import { MAP_SHARED, PROT_READ, PROT_WRITE, truncatePath, withMapping } from '../posix/system.ts';

const PAGE = 4096;
const { O_APPEND, O_RDWR, O_TRUNC, O_WRONLY } = fs.constants;
const openAndClose = (flags: number) => (at: string): void => fs.closeSync(fs.openSync(at, flags));

/** Everything that copies a file up, and the name it has then. */
const ways: Record<string, (at: string) => string | void> = {
  'open for writing': openAndClose(O_WRONLY), 'open for reading and writing': openAndClose(O_RDWR), 'open to append': openAndClose(O_WRONLY | O_APPEND), 'open and truncate': openAndClose(O_WRONLY | O_TRUNC),
  truncate: (at) => truncatePath(at, 100), lengthen: (at) => truncatePath(at, 10_000_000), empty: (at) => truncatePath(at, 0),
  chmod: (at) => fs.chmodSync(at, 0o600), chown: (at) => fs.chownSync(at, 3, 4), utimes: (at) => fs.utimesSync(at, 1, 2),
  'set an xattr': (at) => xattrs.set(at, 'user.new', 'x'), 'remove an xattr': (at) => xattrs.remove(at, 'user.old'),
  link: (at) => fs.linkSync(at, `${at}.link`),
  rename: (at) => {
    fs.renameSync(at, `${at}.moved`);
    return `${at}.moved`;
  },
  'rename its directory': (at) => {
    fs.renameSync(path.dirname(at), `${path.dirname(at)}.moved`);
    return path.join(`${path.dirname(at)}.moved`, path.basename(at));
  },
  exchange: (at) => {
    renameAt(AT_FDCWD, at, AT_FDCWD, `${path.dirname(at)}/other`, RENAME_EXCHANGE);
    return `${path.dirname(at)}/other`;
  },
  allocate: (at) => withFile(at, 'r+', (fd) => fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PAGE)),
  'copy a range into it': (at) => withFile(`${path.dirname(at)}/other`, 'r', (from) => withFile(at, 'r+', (to) => void copyFileRange(from, 0, to, 2, 3))),
  'write to a mapping': (at) => withFile(at, 'r+', (fd) => withMapping(fd, 10, PROT_READ | PROT_WRITE, MAP_SHARED, (bytes, sync) => {
    bytes[1] = 0x4d;
    sync();
  })),
  'set file flags': (at) => withFile(at, 'r', (fd) => {
    // FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_NODUMP_FL.
    const flags = Buffer.alloc(8);
    ioctl(fd, 0x8008_6601, flags);
    flags.writeUInt32LE(flags.readUInt32LE() | 0x40);
    ioctl(fd, 0x4008_6602, flags);
  }),
};

/** What the files hold: one that is copied at once, one that a helper thread copies in pieces, one with a hole, one that auto passes through. */
const files: Record<string, (at: string) => void> = {
  small: (at) => fs.writeFileSync(at, 'some text of a small file'),
  large: (at) => fs.writeFileSync(at, Buffer.alloc((1 << 20) + 5, 'large file ')),
  sparse: (at) => {
    fs.writeFileSync(at, 'start');
    fs.truncateSync(at, 4 << 20);
    fs.appendFileSync(at, 'end');
  },
  ELF: (at) => fs.writeFileSync(at, Buffer.concat([Buffer.from('\x7fELF', 'latin1'), Buffer.alloc(8000, 'code')])),
};
const held = ['nothing', 'a reader', 'a mapping', 'a reader and a mapping', 'a writer', 'a writer and a mapping'] as const;

const isWriter = (what: (typeof held)[number]): boolean => what.startsWith('a writer');

/** What was open before is asked after a writer changed the file. */
function withHeld(at: string, what: (typeof held)[number], act: (check: () => void) => void): void {
  if (what === 'nothing') return act(() => undefined);
  withFile(at, isWriter(what) ? 'r+' : 'r', (fd) => {
    const first = Buffer.alloc(10);
    fs.readSync(fd, first, 0, 10, 0);
    const bytesOf = (mapped: Uint8Array | undefined): void => act(() => {
      const seen = Buffer.alloc(10);
      fs.readSync(fd, seen, 0, 10, 0);
      assert.equal(seen.latin1Slice(0, 4), 'late', 'who has it open sees what is written');
      if (mapped !== undefined) assert.equal(Buffer.from(mapped.subarray(0, 4)).latin1Slice(), 'late', 'the mapping sees what is written');
    });
    if (what === 'a reader' || what === 'a writer') bytesOf(undefined);
    else {
      withMapping(fd, PAGE, PROT_READ, MAP_SHARED, (mapped) => {
        assert.equal(mapped[0], first[0]);
        bytesOf(mapped);
      });
    }
  });
}

for (const passthrough of ['auto', 'never'] as const) for (const metacopy of [false, true]) {
  test(`every way to copy a file up leaves the lower bit for bit, and what was open before sees what is written after (passthrough ${passthrough}${metacopy ? ', metadata-only copies' : ''})`, { skip: needsRootAndFuse, timeout: 120_000 }, async () => {
    const base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-matrix-'));
    const [lower, upper] = ['lower', 'upper'].map((name) => path.join(base, name)) as [string, string];
    fs.mkdirSync(upper);
    const cases = Object.keys(ways).flatMap((way, w) => Object.keys(files).flatMap((file, f) => held.flatMap((what, h) => (file === 'small' || file === 'large' ? [false, true] : [false]).map((linked) => ({ way, file, what, linked, name: `${w}-${f}-${h}-${linked}` })))));
    const elf = (file: string, what: (typeof held)[number]): boolean => file === 'ELF' && what !== 'nothing' && !isWriter(what) && passthrough === 'auto';
    for (const { file, linked, name } of cases) {
      const directory = path.join(lower, name);
      fs.mkdirSync(directory, { recursive: true });
      (files[file] as (at: string) => void)(path.join(directory, 'f'));
      fs.writeFileSync(path.join(directory, 'other'), 'other file');
      xattrs.set(path.join(directory, 'f'), 'user.old', 'x');
      if (linked) fs.linkSync(path.join(directory, 'f'), path.join(directory, 'twin'));
    }
    const before = listTree(lower);
    const mounted = await mountUnion({ lowers: [lower], upper, passthrough, how: { metacopy } });
    try {
      for (const { way, file, what, linked, name } of cases) {
        const at = path.join(mounted.path, name, 'f');
        try {
          withHeld(at, what, (check) => {
            const now = (ways[way] as (at: string) => string | void)(at) ?? at;
            withFile(now, 'r+', (fd) => {
              fs.writeSync(fd, 'late', 0);
              if (file !== 'small' || linked) return;
              // Not only what the page cache has: what the server reads now.
              fs.fsyncSync(fd);
              fs.writeFileSync('/proc/sys/vm/drop_caches', '1');
            });
            // Nobody rewrites a mapped program: who has one open in passthrough goes on with the lower file.
            if (!elf(file, what)) check();
            if (linked && path.dirname(now) === path.dirname(at)) assert.equal(fs.readFileSync(path.join(path.dirname(at), 'twin')).latin1Slice(0, 4), 'late');
          });
        } catch (error) {
          throw new Error(`${way}, ${file} file${linked ? ' with two names' : ''}, open before: ${what}: ${(error as Error).message}`, { cause: error });
        }
      }
    } finally {
      await mounted.close();
    }
    assert.deepEqual(treeDifferences(before, listTree(lower)), []);
    execFileSync('rm', ['-rf', base]);
  });
}
