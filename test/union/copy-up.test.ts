import assert from 'node:assert/strict';
import * as host from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { O_RDONLY, O_RDWR, O_WRONLY } from '../../fs/host/constants.ts';
import { eventfd } from '../../fs/host/process.ts';
import { close } from '../../fs/host/at.ts';
import { Helpers } from '../../fs/union/helpers.ts';
import { Driver, Scratch } from './driver.ts';
import { code, HOW, scratches, union } from './scratches.ts';

function mtime(path: string): bigint {
  return host.lstatSync(path, { bigint: true }).mtimeNs;
}

describe('copy-up', () => {
  test('keeps owner, mode with setuid, xattrs, times to the nanosecond, and the times of its directory', () => {
    const { scratch, driver } = union(`
      mkdir -m 2770 d; echo x > d/f; chown 3:4 d/f d; chmod 2770 d; chmod 4755 d/f; setfattr -n user.a -v b d/f
      touch -d '2001-02-03 04:05:06.123456789' d/f; touch -d '1999-01-01 00:00:00.987654321' d`);
    driver.set('d/f', { atime: { sec: 5, nsec: 6 } });
    const [before, upper] = [join(scratch.lower, 'd'), join(scratch.upper, 'd')].map((path) => [host.lstatSync(path), host.lstatSync(join(path, 'f'))]);
    for (const index of [0, 1]) {
      assert.equal(upper[index].mode, before[index].mode);
      assert.equal(`${upper[index].uid}:${upper[index].gid}`, '3:4');
    }
    for (const path of ['d', 'd/f']) assert.equal(mtime(join(scratch.upper, path)), mtime(join(scratch.lower, path)));
    assert.equal(driver.getXattr('d/f', 'user.a'), 'b');
    driver.unmount();
  });

  test('keeps inode numbers, also over rename and remount', () => {
    const { scratch, driver } = union('mkdir d; echo x > d/f; ln -s t l; mkfifo p');
    const inode = (at: Driver, path: string): number => at.stat(path).ino;
    const before = ['d', 'd/f', 'l', 'p'].map((path) => inode(driver, path));
    driver.write('d/f', 'y');
    driver.rename('d/f', 'd/g');
    driver.rename('d', 'e');
    driver.set('l', { uid: 1 });
    driver.set('p', { mode: 0o600 });
    assert.deepEqual(['e', 'e/g', 'l', 'p'].map((path) => inode(driver, path)), before);
    driver.unmount();
    const again = new Driver(scratch);
    assert.deepEqual(['e', 'e/g', 'l', 'p'].map((path) => inode(again, path)), before);
    again.unmount();
  });

  test('keeps holes', () => {
    const { scratch, driver } = union('truncate -s 8M sparse; echo x >> sparse');
    driver.write('sparse', 'y');
    const stat = host.statSync(join(scratch.upper, 'sparse'));
    assert.equal(stat.size, 8 * 1024 * 1024 + 2);
    assert(stat.blocks < 64, `${stat.blocks} blocks`);
    driver.unmount();
  });

  test('lets files opened before see what is written after', () => {
    const { driver } = union('echo old > f');
    const { id } = driver.find('f');
    const { handle } = driver.fs.open(driver.caller, id, O_RDONLY, HOW) as { handle: number };
    driver.write('f', 'new');
    const into = Buffer.alloc(3);
    driver.fs.read(id, handle, 0, into);
    assert.equal(into.toString(), 'new');
    driver.fs.release(id, handle);
    driver.fs.forget(id, 1);
    driver.fs.check();
    driver.unmount();
  });

  test('of a big file goes on in a helper thread while other files are served, once for all who wait', async () => {
    const wakeFd = eventfd();
    const helpers = new Helpers({ wakeFd });
    const { scratch, driver } = union('head -c 3000000 /dev/zero > big; echo x > small', { helpers });
    const { id } = driver.find('big');
    const opens = [1, 2].map(() => driver.fs.open(driver.caller, id, O_RDWR, HOW));
    assert(opens.every((open) => open instanceof Promise));
    assert.equal(driver.stat('big').size, 3_000_000);
    driver.create('new', 'y');
    driver.rename('new', 'other');
    let settled = false;
    const all = Promise.all(opens as Promise<{ handle: number }>[]).finally(() => (settled = true));
    while (!settled) {
      await new Promise(setImmediate);
      helpers.drain();
    }
    for (const { handle } of await all) driver.fs.release(id, handle);
    driver.fs.forget(id, 1);
    assert.equal(host.statSync(join(scratch.upper, 'big')).size, 3_000_000);
    assert.deepEqual(host.readdirSync(join(scratch.work, 'work')), []);
    driver.fs.check();
    driver.unmount();
    await helpers.close();
    close(wakeFd);
  });

  test('of a file that is removed meanwhile gives the writer a file without a name', async () => {
    const wakeFd = eventfd();
    const helpers = new Helpers({ wakeFd });
    const { scratch, driver } = union('head -c 3000000 /dev/zero > big', { helpers });
    const { id } = driver.find('big');
    const opening = driver.fs.open(driver.caller, id, O_RDWR, HOW) as Promise<{ handle: number }>;
    driver.unlink('big');
    let settled = false;
    void opening.finally(() => (settled = true));
    while (!settled) {
      await new Promise(setImmediate);
      helpers.drain();
    }
    const { handle } = await opening;
    driver.fs.write(id, handle, 0, Buffer.from('x'), { killPrivileges: false, fromCache: false });
    assert.equal(driver.fs.getattr(id).nlink, 0);
    assert.equal(driver.exists('big'), false);
    driver.fs.release(id, handle);
    driver.fs.forget(id, 1);
    driver.fs.check();
    assert.deepEqual(host.readdirSync(join(scratch.work, 'work')), []);
    driver.unmount();
    await helpers.close();
    close(wakeFd);
  });

  test('isn\'t done for removing a file', () => {
    const { scratch, driver } = union('mkdir d; truncate -s 1T d/huge');
    driver.unlink('d/huge');
    assert(host.lstatSync(join(scratch.upper, 'd/huge')).isCharacterDevice());
    assert.deepEqual(driver.names('d'), []);
    driver.unmount();
  });

  test('that fails for lack of space leaves the union as it was', () => {
    const { scratch, driver } = union('echo x > f');
    host.chmodSync(scratch.work, 0o700);
    host.rmdirSync(join(scratch.work, 'work'));
    assert.throws(() => driver.write('f', 'y'), code('ENOENT'));
    assert.equal(driver.read('f'), 'x\n');
    assert.deepEqual(host.readdirSync(scratch.upper), []);
    driver.fs.check();
    driver.unmount();
  });
});

describe('hard links', () => {
  test('that are known get all their names in the upper by copy-up, for those who read it without an index', () => {
    const { scratch, driver } = union('mkdir d; echo x > a; ln a d/b; ln a c; ln a unknown', { remembers: true });
    for (const path of ['a', 'd/b']) driver.stat(path);
    driver.set('c', { uid: 7 });
    assert.deepEqual(['a', 'd/b', 'c'].map((path) => host.lstatSync(join(scratch.upper, path)).uid), [7, 7, 7]);
    assert.equal(host.existsSync(join(scratch.upper, 'unknown')), false);
    assert.equal(driver.stat('unknown').uid, 7);
    assert.equal(driver.stat('unknown').nlink, 4);
    driver.unmount();
  });

  test('of the lower stay links of one file when one is written to, also after a remount', () => {
    const { scratch, driver } = union('mkdir d; echo old > a; ln a d/b; ln a c');
    driver.write('a', 'new');
    const expected = (at: Driver): void => {
      for (const path of ['a', 'd/b', 'c']) {
        assert.equal(at.read(path), 'new\n');
        assert.equal(at.stat(path).nlink, 3);
        assert.equal(at.stat(path).ino, at.stat('a').ino);
      }
    };
    expected(driver);
    driver.unmount();
    const again = new Driver(scratch);
    expected(again);
    again.unlink('c');
    assert.equal(again.stat('d/b').nlink, 2);
    again.unlink('a');
    again.unlink('d/b');
    again.unmount();
    assert.deepEqual(host.readdirSync(join(scratch.work, 'ufs_index')), []);
  });
});

describe('passthrough', () => {
  test('answers a writer of a lower file others read by themselves with ESTALE, then with a fresh node of the same inode number', () => {
    const scratch = new Scratch('echo old > f');
    scratches.push(scratch);
    const stale: string[] = [];
    let backings = 0;
    const driver = new Driver(scratch, { passthrough: 'always' }, {
      passthrough: true, openBacking: () => ++backings, closeBacking: () => undefined, invalidateEntry: (_parent, name) => stale.push(name),
    });
    const reader = driver.find('f');
    const open = driver.fs.open(driver.caller, reader.id, O_RDONLY, HOW) as { handle: number; passthrough: number };
    assert.equal(open.passthrough, 1);
    assert.throws(() => driver.fs.open(driver.caller, reader.id, O_WRONLY, HOW), code('ESTALE'));
    const fresh = driver.find('f');
    assert.notEqual(fresh.id, reader.id);
    assert.equal(fresh.stat.ino, reader.stat.ino);
    assert.deepEqual(stale, ['f']);
    const writer = driver.fs.open(driver.caller, fresh.id, O_WRONLY, HOW) as { handle: number; passthrough: number };
    assert.equal(writer.passthrough, 2);
    driver.fs.release(fresh.id, writer.handle);
    driver.fs.release(reader.id, open.handle);
    driver.fs.forget(fresh.id, 1);
    driver.fs.forget(reader.id, 1);
    driver.fs.check();
    driver.unmount();
  });

  test('is for the upper and programs only where readers of lower files must see later writes', () => {
    const scratch = new Scratch('echo text > f; cp /bin/true program');
    scratches.push(scratch);
    const driver = new Driver(scratch, {}, { passthrough: true, openBacking: () => 7 });
    const opened = (path: string, exec = false): boolean => driver.at(path, (id) => {
      const open = driver.fs.open(driver.caller, id, O_RDONLY, { exec, killPrivileges: false }) as { handle: number; passthrough?: number };
      driver.fs.release(id, open.handle);
      return open.passthrough !== undefined;
    });
    assert.deepEqual([opened('f'), opened('f', true), opened('program')], [false, true, true]);
    driver.write('f', 'x');
    assert.equal(opened('f'), true);
    driver.unmount();
  });
});
