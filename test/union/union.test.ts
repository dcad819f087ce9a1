import assert from 'node:assert/strict';
import * as host from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { NodeReply } from '../../fs/file-system.ts';
import { O_RDWR, O_WRONLY, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../fs/host/constants.ts';
import { Driver, type DriverOptions, dumpMerged, Scratch } from './driver.ts';
import { code, HOW, scratches, union } from './scratches.ts';

describe('removed files', () => {
  test('that are open can be read, written and changed, and have no links', () => {
    const { driver } = union('echo lower > l');
    driver.create('u', 'upper');
    for (const path of ['l', 'u']) {
      const { id } = driver.find(path);
      const { handle } = driver.fs.open(driver.caller, id, O_RDWR, HOW) as { handle: number };
      driver.unlink(path);
      assert.equal(driver.exists(path), false);
      driver.fs.write(id, handle, 0, Buffer.from('XX'), { killPrivileges: false, fromCache: false });
      driver.fs.setattr(driver.caller, id, { mode: 0o600, uid: 9, size: 2, handle });
      const stat = driver.fs.getattr(id);
      assert.equal(`${stat.nlink} ${stat.mode.toString(8)} ${stat.uid} ${stat.size}`, '0 100600 9 2');
      driver.fs.release(id, handle);
      driver.fs.forget(id, 1);
      driver.fs.check();
    }
    driver.unmount();
  });

  test('made without a name can be given one', () => {
    const { scratch, driver } = union('');
    const file = driver.fs.tmpfile(driver.caller, 1, O_RDWR, { mode: 0o644, umask: 0o22 });
    driver.fs.write(file.id, file.open.handle, 0, Buffer.from('data'), { killPrivileges: false, fromCache: false });
    assert.equal(driver.fs.getattr(file.id).nlink, 0);
    driver.fs.forget((driver.fs.link(driver.caller, file.id, 1, 'named') as NodeReply).id, 1);
    assert.equal(driver.fs.getattr(file.id).nlink, 1);
    driver.fs.release(file.id, file.open.handle);
    driver.fs.forget(file.id, 1);
    assert.equal(host.readFileSync(join(scratch.upper, 'named'), 'utf8'), 'data');
    driver.fs.check();
    driver.unmount();
  });
});

describe('directories', () => {
  for (const whiteouts of ['device', 'aufs'] as const) {
    test(`that are removed and made again are empty, also after a remount (${whiteouts} whiteouts)`, () => {
      const { scratch, driver } = union('mkdir -p d/sub; echo x > d/f; echo y > d/sub/g', { whiteouts });
      driver.unlink('d/f');
      driver.unlink('d/sub/g');
      driver.rmdir('d/sub');
      driver.rmdir('d');
      driver.mkdir('d');
      assert.equal(driver.exists('d/f'), false);
      assert.deepEqual(driver.names('d'), []);
      driver.unmount();
      const again = new Driver(scratch, { whiteouts });
      assert.deepEqual(again.names('d'), []);
      assert.equal(again.exists('d/sub'), false);
      again.unmount();
    });
  }

  test('of the lower are renamed with all below them, over and over', () => {
    const { scratch, driver } = union('mkdir -p a/b/c; echo x > a/b/c/f; mkdir z');
    driver.rename('a/b', 'z/moved');
    driver.mkdir('a/b');
    assert.deepEqual(driver.names('a/b'), []);
    driver.rename('z', 'y');
    driver.unlink('y/moved/c/f');
    driver.unmount();
    const again = new Driver(scratch);
    assert.deepEqual(again.names('y/moved/c'), []);
    assert.deepEqual(again.names('a/b'), []);
    again.rename('y/moved', 'a/b', 0);
    assert.deepEqual(again.names('a/b'), ['c']);
    again.unmount();
    assert.deepEqual(dumpMerged(scratch).map((entry) => entry.split(' ')[0]).slice(1), ['a', 'a/b', 'a/b/c', 'y']);
  });

  test('can be deeper than PATH_MAX and the descriptors at hand', () => {
    const { scratch, driver } = union('');
    const name = 'd'.repeat(200);
    const ids = [1];
    for (let depth = 0; depth < 1500; depth += 1) ids.push(driver.fs.mkdir(driver.caller, ids[depth], name, { mode: 0o755, umask: 0 }).id);
    for (const id of ids.slice(1)) driver.fs.forget(id, 1);
    driver.fs.check();
    driver.unmount();
    const again = new Driver(scratch);
    let id = 1;
    for (let depth = 0; depth < 1500; depth += 1) id = (again.fs.lookup(again.caller, id, name) as NodeReply).id;
    assert.equal(again.fs.lookup(again.caller, id, name), undefined);
    again.unmount();
  });

  test('give all names once when read in pieces while names come and go', () => {
    const { driver } = union('touch 1 2 3 4 5 6');
    const { handle } = driver.fs.opendir(driver.caller, 1);
    const names: string[] = [];
    for (let offset = 0, more = true; more; ) {
      more = false;
      let room = 2;
      driver.fs.readdir(1, handle, offset, (entry) => {
        if (room-- === 0) return false;
        names.push(entry.name);
        offset = entry.offset;
        more = true;
        return true;
      });
      if (names.length === 4) driver.unlink(names[3]);
    }
    assert.deepEqual(names.sort(), ['.', '..', '1', '2', '3', '4', '5', '6']);
    driver.fs.releasedir(1, handle);
    driver.unmount();
  });
});

describe('new files', () => {
  test('belong to their maker, or to the group of a setgid directory, and have the mode asked for less the umask', () => {
    const { driver } = union('mkdir s; chgrp 77 s; chmod 2777 s; mkdir p');
    driver.caller = { uid: 1000, gid: 100, pid: 5 };
    const made = (directory: string): string => {
      const parent = driver.find(directory).id;
      const { stat } = driver.fs.create(driver.caller, parent, 'f', O_WRONLY, { mode: 0o6777, umask: 0o27 });
      const sub = driver.fs.mkdir(driver.caller, parent, 'd', { mode: 0o777, umask: 0o22 }).stat;
      return [stat, sub].map(({ uid, gid, mode }) => `${uid}:${gid} ${(mode & 0o7777).toString(8)}`).join(', ');
    };
    assert.equal(made('p'), '1000:100 6750, 1000:100 755');
    assert.equal(made('s'), '1000:77 6750, 1000:77 2755');
    driver.unmount();
  });

  test('get the default ACL of their directory, instead of the umask', () => {
    const { driver } = union('mkdir d; setfacl -d -m u:5:rwx,g::r-x,o::--- d');
    const parent = driver.find('d').id;
    const { id, stat } = driver.fs.create(driver.caller, parent, 'f', O_WRONLY, { mode: 0o666, umask: 0o77 });
    assert.equal((stat.mode & 0o777).toString(8), '660');
    assert(driver.fs.listxattr(id).includes('system.posix_acl_access'));
    const sub = driver.fs.mkdir(driver.caller, parent, 'sub', { mode: 0o777, umask: 0o77 }).id;
    assert.deepEqual(driver.fs.getxattr(sub, 'system.posix_acl_default'), driver.fs.getxattr(parent, 'system.posix_acl_default'));
    driver.unmount();
  });

  test('take the place of removed ones of the lower', () => {
    const { scratch, driver } = union('echo old > f; mkdir d; touch d/x');
    driver.unlink('f');
    driver.create('f', 'new');
    driver.unlink('f');
    driver.mkdir('f');
    driver.unlink('d/x');
    driver.rmdir('d');
    driver.symlink('target', 'd');
    assert.deepEqual(driver.names(''), ['d', 'f']);
    driver.unmount();
    const again = new Driver(scratch);
    assert.deepEqual(again.names(''), ['d', 'f']);
    assert.deepEqual(again.names('f'), []);
    again.unmount();
  });

  test('can\'t have names or be devices that mean a whiteout', () => {
    const { driver } = union('');
    assert.throws(() => driver.create('.wh.f'), code('EPERM'));
    assert.throws(() => driver.fs.mknod(driver.caller, 1, 'w', { mode: 0o20644, umask: 0, rdevMajor: 0, rdevMinor: 0 }), code('EPERM'));
    driver.unmount();
  });
});

describe('rename', () => {
  test('with NOREPLACE and EXCHANGE does what renameat2(2) says', () => {
    const { scratch, driver } = union('echo a > a; mkdir d; echo f > d/f');
    assert.throws(() => driver.rename('a', 'd/f', RENAME_NOREPLACE), code('EEXIST'));
    driver.rename('a', 'd', RENAME_EXCHANGE);
    assert.equal(driver.read('d'), 'a\n');
    assert.equal(driver.read('a/f'), 'f\n');
    driver.unmount();
    const again = new Driver(scratch);
    assert.equal(again.read('d'), 'a\n');
    assert.equal(again.read('a/f'), 'f\n');
    again.unmount();
  });

  test('refuses to replace a directory that isn\'t empty', () => {
    const { driver } = union('mkdir -p a b; touch b/f');
    assert.throws(() => driver.rename('a', 'b'), code('ENOTEMPTY'));
    driver.unlink('b/f');
    driver.rename('a', 'b');
    assert.deepEqual(driver.names(''), ['b']);
    driver.unmount();
  });
});

describe('xattrs', () => {
  test('that mark layers are neither shown nor set, and one tells where a file comes from', () => {
    const { scratch, driver } = union('echo x > f');
    assert.equal(driver.getXattr('f', 'user.ufs.layer'), scratch.lower);
    driver.setXattr('f', 'user.mine', '1');
    assert.equal(driver.getXattr('f', 'user.ufs.layer'), 'upper');
    assert.deepEqual(driver.at('f', (id) => driver.fs.listxattr(id)), ['user.mine']);
    assert.throws(() => driver.setXattr('f', 'user.fuseoverlayfs.opaque', 'y'), code('EPERM'));
    assert.throws(() => driver.getXattr('f', 'trusted.overlay.ufs_origin'), code('ENODATA'));
    driver.unmount();
  });
});

test('a write by one without rights drops setuid and setgid', () => {
  const { driver } = union('echo x > f; chmod 6755 f');
  const { id } = driver.find('f');
  const { handle } = driver.fs.open(driver.caller, id, O_WRONLY, HOW) as { handle: number };
  driver.fs.write(id, handle, 0, Buffer.from('y'), { killPrivileges: true, fromCache: false });
  assert.equal((driver.fs.getattr(id).mode & 0o7777).toString(8), '755');
  driver.unmount();
});

test('a union without an upper refuses changes', () => {
  const scratch = new Scratch('echo x > f');
  scratches.push(scratch);
  const driver = new Driver(scratch, { upper: undefined } as DriverOptions);
  assert.equal(driver.read('f'), 'x\n');
  assert.throws(() => driver.write('f', 'y'), code('EROFS'));
  assert.throws(() => driver.unlink('f'), code('EROFS'));
  assert.throws(() => driver.mkdir('d'), code('EROFS'));
  driver.unmount();
});
