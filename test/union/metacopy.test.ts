import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as host from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { FsError } from '../../fs/errno.ts';
import { O_RDONLY, O_RDWR, RENAME_EXCHANGE } from '../../fs/host/constants.ts';
import { close, openPath } from '../../fs/host/at.ts';
import { utimensFd } from '../../fs/host/attributes.ts';
import { getXattr, listXattr, setXattr } from '../../fs/host/xattr.ts';
import { eventfd } from '../../fs/host/process.ts';
import { saveAttributes } from '../../fs/layer/file-marks.ts';
import { writableNamespace } from '../../fs/layer/overlay-xattr.ts';
import { Helpers } from '../../fs/union/helpers.ts';
import { Driver, type DriverOptions, dumpMerged, Scratch } from './driver.ts';

const scratches: Scratch[] = [];
after(() => scratches.forEach((scratch) => scratch.remove()));

const HOW = { exec: false, killPrivileges: false };
const MARK = `${writableNamespace()}.overlay.`;
/** cap_net_raw=ep, as setcap(8) writes it. */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');

function union(script: string, options: DriverOptions = {}): { scratch: Scratch; driver: Driver } {
  const scratch = new Scratch(script);
  scratches.push(scratch);
  return { scratch, driver: new Driver(scratch, { metacopy: true, ...options }) };
}

/** The marks of a file in the upper, without the namespace. */
function marks(scratch: Scratch, path: string): Record<string, string> {
  const fd = openPath(join(scratch.upper, path), O_RDONLY);
  try {
    const names = listXattr(fd).filter((name) => name.startsWith(MARK) && !name.endsWith('ufs_origin'));
    return Object.fromEntries(names.sort().map((name) => [name.slice(MARK.length), getXattr(fd, name)?.toString('latin1') ?? '']));
  } finally {
    close(fd);
  }
}

function isBare(scratch: Scratch, path: string): boolean {
  return 'metacopy' in marks(scratch, path) && host.statSync(join(scratch.upper, path)).blocks <= 8;
}

function onHost(path: string, use: (fd: number) => void): void {
  const fd = openPath(path, O_RDWR);
  try {
    use(fd);
  } finally {
    close(fd);
  }
}

const BIG = 'mkdir d; yes 12345678901234567890123456789 | head -c 1000000 > d/f; chmod 640 d/f; touch -d "2001-02-03 04:05:06.123456789" d/f';

const changes: Record<string, (driver: Driver) => void> = {
  owner: (driver) => driver.set('d/f', { uid: 5, gid: 6 }),
  mode: (driver) => driver.set('d/f', { mode: 0o600 }),
  times: (driver) => driver.set('d/f', { mtime: { sec: 5, nsec: 6 } }),
  'an xattr': (driver) => driver.setXattr('d/f', 'user.a', 'b'),
};
for (const [what, change] of Object.entries(changes)) {
  test(`a change of ${what} copies no data, as overlayfs's metacopy: size, blocks, inode number and data are shown as before, also after a remount`, () => {
    const { scratch, driver } = union(BIG);
    const before = driver.stat('d/f');
    const data = driver.read('d/f');
    change(driver);
    assert.deepEqual(marks(scratch, 'd/f'), { metacopy: '' });
    assert.equal(host.statSync(join(scratch.upper, 'd/f')).size, 1_000_000);
    assert(isBare(scratch, 'd/f'));
    const check = (at: Driver): void => {
      const { size, blocks, ino } = at.stat('d/f');
      assert.deepEqual({ size, blocks, ino }, { size: before.size, blocks: before.blocks, ino: before.ino });
      assert.equal(at.read('d/f'), data);
      assert(!at.at('d/f', (id) => at.fs.listxattr(id)).some((name) => name.includes('overlay')));
    };
    check(driver);
    const shown = driver.dump();
    driver.unmount();
    assert.deepEqual(dumpMerged(scratch), shown);
    const again = new Driver(scratch);
    check(again);
    assert.deepEqual(again.dump(), shown);
    again.unmount();
  });
}

test('only who asks for metadata-only copies gets them, but they are understood always', () => {
  const { scratch, driver } = union(BIG, { metacopy: false });
  driver.set('d/f', { uid: 5 });
  assert.deepEqual(marks(scratch, 'd/f'), {});
  assert(host.statSync(join(scratch.upper, 'd/f')).blocks * 512 >= 1_000_000);
  driver.unmount();
});

test('opening a metadata-only copy to write makes it whole: mode with setuid, mtime and ctime, capabilities, names and inode stay', () => {
  const { scratch, driver } = union(`${BIG}; ln d/f other`);
  const data = driver.read('d/f');
  driver.set('other', { uid: 7 });
  driver.set('other', { mode: 0o4755 });
  driver.at('d/f', (id) => driver.fs.setxattr(driver.caller, id, 'security.capability', CAPABILITY, 0, { killSetgid: false }));
  const before = driver.stat('d/f');
  const { id } = driver.find('d/f');
  const { handle: reader } = driver.fs.open(driver.caller, id, O_RDONLY, HOW) as { handle: number };
  driver.fs.read(id, reader, 0, Buffer.alloc(1));
  const { handle } = driver.fs.open(driver.caller, id, O_RDWR, HOW) as { handle: number };
  const { blocks: _blocks, atimeSec: _atime, atimeNsec: _atimeNsec, ...shown } = driver.stat('other');
  for (const [name, value] of Object.entries(shown)) assert.equal(value, before[name as keyof typeof before], name);
  assert.deepEqual(driver.at('other', (node) => driver.fs.getxattr(node, 'security.capability')), CAPABILITY);
  assert.deepEqual(marks(scratch, 'other'), {});
  assert.equal(driver.read('d/f'), data);
  driver.fs.write(id, handle, 0, Buffer.from('new'), { killPrivileges: false, fromCache: false });
  const into = Buffer.alloc(4);
  driver.fs.read(id, reader, 0, into);
  assert.equal(into.latin1Slice(), `new${data[3]}`, 'who had it open before sees what is written');
  for (const open of [reader, handle]) driver.fs.release(id, open);
  driver.fs.forget(id, 1);
  assert.equal(driver.read('other').slice(0, 3), 'new');
  driver.fs.check();
  driver.unmount();
});

test('renaming, linking and exchanging copies no data, and what was moved says where its data is', () => {
  const { scratch, driver } = union(`${BIG}; yes g | head -c 500000 > g; mkdir e`);
  const [f, g] = [driver.read('d/f'), driver.read('g')];
  driver.rename('d/f', 'e/moved');
  driver.link('g', 'linked');
  driver.rename('e', 'renamed');
  assert.deepEqual(marks(scratch, 'renamed/moved'), { metacopy: '', redirect: '/d/f' });
  assert.deepEqual(marks(scratch, 'linked'), { metacopy: '', redirect: '/g' });
  driver.rename('linked', 'renamed/moved', RENAME_EXCHANGE);
  driver.rename('d', 'renamed/d');
  assert(isBare(scratch, 'linked') && isBare(scratch, 'g'));
  const shown = driver.dump();
  assert.deepEqual([driver.read('linked'), driver.read('renamed/moved'), driver.read('g')], [f, g, g]);
  driver.unmount();
  assert.deepEqual(dumpMerged(scratch), shown);
  const again = new Driver(scratch);
  assert.deepEqual(again.dump(), shown);
  again.write('g', 'both');
  assert.equal(again.read('renamed/moved').slice(0, 4), 'both');
  again.unmount();
});

test('a directory that is renamed takes metadata-only copies with it', () => {
  const { scratch, driver } = union(BIG);
  const data = driver.read('d/f');
  driver.set('d/f', { uid: 1 });
  driver.rename('d', 'e');
  assert.deepEqual(marks(scratch, 'e/f'), { metacopy: '' });
  driver.unmount();
  const again = new Driver(scratch);
  assert.equal(again.read('e/f'), data);
  again.unmount();
});

test('names of one lower file stay one file, whose data is in the lower till it is written to', () => {
  const { scratch, driver } = union(`${BIG}; ln d/f a; ln d/f b`);
  const data = driver.read('a');
  driver.set('a', { mode: 0o600 });
  driver.unlink('a');
  driver.rename('b', 'c');
  driver.unmount();
  const again = new Driver(scratch, { metacopy: true });
  assert.deepEqual([again.stat('d/f').nlink, again.stat('c').mode & 0o7777], [2, 0o600]);
  assert.deepEqual([again.read('d/f'), again.read('c')], [data, data]);
  assert(isBare(scratch, 'c'));
  again.write('d/f', 'new');
  assert.equal(again.read('c').slice(0, 3), 'new');
  again.fs.check();
  again.unmount();
});

test('truncating a metadata-only copy to nothing needs no data, to more than that it does', () => {
  const { scratch, driver } = union(`${BIG}; cp -a d/f g`);
  const data = driver.read('d/f');
  for (const path of ['d/f', 'g']) driver.set(path, { uid: 1 });
  driver.set('d/f', { size: 0 });
  assert.deepEqual([driver.stat('d/f').size, driver.read('d/f'), marks(scratch, 'd/f')], [0, '', {}]);
  driver.set('g', { size: 10 });
  assert.deepEqual([driver.read('g'), marks(scratch, 'g')], [data.slice(0, 10), {}]);
  driver.unmount();
});

test('a metadata-only copy that a crash left truncated but marked is an empty file', () => {
  const { scratch, driver } = union(BIG);
  driver.set('d/f', { uid: 1 });
  driver.unmount();
  host.truncateSync(join(scratch.upper, 'd/f'), 0);
  assert(dumpMerged(scratch).some((line) => line.startsWith('d/f ') && line.includes('size=0 content=')));
  const again = new Driver(scratch);
  assert.equal(again.read('d/f'), '');
  again.write('d/f', 'new');
  assert.equal(again.read('d/f'), 'new');
  again.unmount();
});

test('a copy of data that a crash cut short is as it was before: data, mode, mtime and capabilities', () => {
  const { scratch, driver } = union(BIG);
  driver.set('d/f', { mode: 0o4755 });
  driver.at('d/f', (id) => driver.fs.setxattr(driver.caller, id, 'security.capability', CAPABILITY, 0, { killSetgid: false }));
  const shown = driver.dump();
  const { mtimeSec, mtimeNsec } = driver.stat('d/f');
  driver.unmount();
  const path = join(scratch.upper, 'd/f');
  onHost(path, (fd) => {
    saveAttributes(fd, writableNamespace());
    // What writing to it does.
    host.writeSync(fd, 'half of the data', 4096);
    host.fchmodSync(fd, 0o755);
    assert.equal(getXattr(fd, 'security.capability'), undefined);
  });
  assert.deepEqual(dumpMerged(scratch), shown, 'looked at without a mount');
  const again = new Driver(scratch);
  assert.deepEqual(again.dump(), shown);
  const stat = again.stat('d/f');
  assert.deepEqual([stat.mtimeSec, stat.mtimeNsec], [mtimeSec, mtimeNsec]);
  assert.deepEqual(marks(scratch, 'd/f'), { metacopy: '' });
  again.write('d/f', 'new');
  again.unmount();
});

test('data of a big file is copied in a helper thread: meanwhile it shows its old mtime, and a change of owner waits', async () => {
  const wakeFd = eventfd();
  const helpers = new Helpers({ wakeFd });
  const { scratch, driver } = union(BIG, { helpers });
  driver.set('d/f', { uid: 1 });
  const before = driver.stat('d/f');
  const { id } = driver.find('d/f');
  const opening = driver.fs.open(driver.caller, id, O_RDWR, HOW) as Promise<{ handle: number }>;
  assert(opening instanceof Promise);
  const changing = driver.fs.setattr(driver.caller, id, { gid: 9 });
  assert(changing instanceof Promise);
  driver.unlink('d/f');
  let settled = false;
  const all = Promise.all([opening, changing]).finally(() => (settled = true));
  while (!settled) {
    assert.equal(driver.fs.getattr(id).mtimeNsec, before.mtimeNsec);
    await new Promise(setImmediate);
    helpers.drain();
  }
  const [{ handle }, stat] = await all;
  assert.deepEqual([stat.uid, stat.gid, stat.nlink, stat.mtimeNsec, stat.size], [1, 9, 0, before.mtimeNsec, 1_000_000]);
  driver.fs.release(id, handle);
  driver.fs.forget(id, 1);
  assert.deepEqual(host.readdirSync(join(scratch.work, 'work')), []);
  driver.fs.check();
  driver.unmount();
  await helpers.close();
  close(wakeFd);
});

test('a copy of data that finds no space leaves the file as it was', () => {
  const scratch = new Scratch(BIG);
  const small = join(scratch.root, 'small');
  host.mkdirSync(small);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', small]);
  try {
    for (const name of ['upper', 'work']) host.mkdirSync(join(small, name));
    const driver = new Driver(Object.assign(Object.create(scratch) as Scratch, { upper: join(small, 'upper'), work: join(small, 'work') }), { metacopy: true });
    driver.set('d/f', { uid: 5 });
    const shown = driver.dump();
    const { mtimeSec, mtimeNsec } = driver.stat('d/f');
    assert.throws(() => driver.write('d/f', 'new'), (error: FsError) => error.code === 'ENOSPC');
    assert.deepEqual(driver.dump(), shown);
    assert.deepEqual([driver.stat('d/f').mtimeSec, driver.stat('d/f').mtimeNsec], [mtimeSec, mtimeNsec]);
    assert.equal(host.statSync(join(small, 'upper/d/f')).blocks, 0, 'what was written is given back');
    driver.set('d/f', { size: 0 });
    driver.write('d/f', 'new');
    driver.unmount();
  } finally {
    execFileSync('umount', ['-l', small]);
    scratch.remove();
  }
});

test('a metadata-only copy whose lower file is missing can be looked at and removed, not opened', () => {
  const { scratch, driver } = union(BIG);
  driver.set('d/f', { uid: 5 });
  driver.unmount();
  host.rmSync(join(scratch.lower, 'd/f'));
  const again = new Driver(scratch);
  assert.equal(again.stat('d/f').uid, 5);
  assert.deepEqual(again.names('d'), ['f']);
  for (const flags of [O_RDONLY, O_RDWR]) assert.throws(() => again.at('d/f', (id) => again.fs.open(again.caller, id, flags, HOW)), (error: FsError) => error.code === 'EIO');
  again.unlink('d/f');
  assert.deepEqual(again.names('d'), []);
  again.unmount();
});

test('passthrough readers of a metadata-only copy share the lower file with those of the file itself', () => {
  const backing: number[] = [];
  const scratch = new Scratch(BIG);
  scratches.push(scratch);
  const driver = new Driver(scratch, { metacopy: true, passthrough: 'always' }, { passthrough: true, openBacking: (fd) => backing.push(host.fstatSync(fd).ino) });
  driver.set('d/f', { uid: 5 });
  const { id } = driver.find('d/f');
  const { handle, passthrough } = driver.fs.open(driver.caller, id, O_RDONLY, HOW) as { handle: number; passthrough?: number };
  assert.equal(passthrough, 1);
  assert.deepEqual(backing, [host.statSync(join(scratch.lower, 'd/f')).ino]);
  driver.fs.release(id, handle);
  driver.fs.forget(id, 1);
  driver.write('d/f', 'new');
  assert.deepEqual(backing.slice(1), [host.statSync(join(scratch.upper, 'd/f')).ino]);
  driver.unmount();
});

test('marks in the xattrs of a layer\'s file are not copied up with it', () => {
  const { scratch, driver } = union(BIG, { metacopy: false });
  onHost(join(scratch.lower, 'd/f'), (fd) => {
    setXattr(fd, 'user.overlay.redirect', Buffer.from('/elsewhere'));
    utimensFd(fd, undefined, { sec: 1, nsec: 0 });
  });
  driver.set('d/f', { uid: 5 });
  assert.deepEqual(host.readdirSync(join(scratch.upper, 'd')), ['f']);
  onHost(join(scratch.upper, 'd/f'), (fd) => assert.equal(getXattr(fd, 'user.overlay.redirect'), undefined));
  driver.unmount();
});
