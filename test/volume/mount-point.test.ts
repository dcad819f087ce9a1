import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type MountPoint, parseMountRaw, parseMountSpec } from '../../src/index.ts';
import { until } from '../helpers/cli.ts';
import { DirectoryDriver, type DirectoryVolume } from './directory-driver.ts';

const me = { uid: process.getuid?.() as number, gid: process.getgid?.() as number };
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ufs-mount-point-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('a bind', () => {
  const bind = (path: string, mode = ''): MountPoint => parseMountRaw(`${join(root, path)}:/data${mode === '' ? '' : `:${mode}`}`);

  test('of -v gets a missing source made, with those above it, whatever the umask', async () => {
    const before = process.umask(0o077);
    try {
      const { path } = await bind('a/b/c').setup({ owner: me });
      assert.equal(path, join(root, 'a/b/c'));
    } finally {
      process.umask(before);
    }
    for (const made of ['a', 'a/b', 'a/b/c']) assert.equal(statSync(join(root, made)).mode & 0o7777, 0o755);
  });

  test('of -v gives what it makes to the owner, and leaves what is there', { skip: me.uid !== 0 ? 'only root gives files away' : false }, async () => {
    mkdirSync(join(root, 'a'), { mode: 0o700 });
    await bind('a/b/c').setup({ owner: { uid: 1234, gid: 4321 } });
    const owners = ['a', 'a/b', 'a/b/c'].map((made) => statSync(join(root, made))).map(({ uid, gid, mode }) => [uid, gid, mode & 0o777]);
    assert.deepEqual(owners, [[me.uid, me.gid, 0o700], [1234, 4321, 0o755], [1234, 4321, 0o755]]);
    chmodSync(join(root, 'a/b/c'), 0o711);
    await bind('a/b/c').setup({ owner: { uid: 5, gid: 6 } });
    assert.deepEqual([statSync(join(root, 'a/b/c')).uid, statSync(join(root, 'a/b/c')).mode & 0o777], [1234, 0o711]);
  });

  test('of a file, or below one, leaves the file alone', async () => {
    writeFileSync(join(root, 'f'), 'data');
    assert.equal((await bind('f').setup()).path, join(root, 'f'));
    assert.equal((await bind('f/below').setup()).path, join(root, 'f/below'));
    assert.equal(readFileSync(join(root, 'f'), 'utf8'), 'data');
  });

  test('of a symlink that leads nowhere is refused', async () => {
    symlinkSync('nowhere', join(root, 'link'));
    await assert.rejects(bind('link').setup(), { message: `error while creating mount source path '${root}/link': mkdir ${root}/link: file exists` });
    assert.equal(existsSync(join(root, 'nowhere')), false);
  });

  test('of a path too long is refused in words', async () => {
    const long = 'x'.repeat(256);
    await assert.rejects(bind(long).setup(), { message: `error while creating mount source path '${root}/${long}': stat ${root}/${long}: file name too long` });
  });

  test('is made only if the check lets it', async () => {
    const asked: string[] = [];
    const check = ({ source }: MountPoint): void => {
      asked.push(source);
      throw new Error(`Could not mount "${source}" to container while the daemon is shutting down`);
    };
    await assert.rejects(bind('socket').setup({ check }), /while the daemon is shutting down/);
    assert.deepEqual([asked, existsSync(join(root, 'socket'))], [[join(root, 'socket')], false]);
  });

  test('of --mount is left missing if its source went away since it was parsed, and made where it is to be', async () => {
    const left = parseMountSpec({ type: 'bind', source: join(root, 'gone'), target: '/data' }, () => true);
    assert.equal((await left.setup()).path, join(root, 'gone'));
    assert.equal(existsSync(join(root, 'gone')), false);
    const made = parseMountSpec({ type: 'bind', source: join(root, 'new'), target: '/data', bindOptions: { createMountpoint: true } });
    await made.setup({ owner: me });
    assert.equal(statSync(join(root, 'new')).isDirectory(), true);
  });

  test('with a label for SELinux is as one without where SELinux doesn\'t run, and refused where it does', async () => {
    for (const mode of ['z', 'Z', 'ro,z']) {
      const setup = bind('labelled', mode).setup({ owner: me });
      if (existsSync('/sys/fs/selinux/enforce')) await assert.rejects(setup, /labels of SELinux aren't supported/);
      else assert.equal((await setup).path, join(root, 'labelled'));
    }
  });

  test('is at its source, and cleaned up by doing nothing', async () => {
    const point = bind('source');
    assert.equal(await point.path(), join(root, 'source'));
    await point.setup({ owner: me });
    await point.cleanup();
    assert.deepEqual([point.id, existsSync(join(root, 'source'))], ['', true]);
  });
});

describe('a volume', () => {
  let volume: DirectoryVolume;
  let point: MountPoint;
  beforeEach(async () => {
    volume = await new DirectoryDriver('directories', root).create('data');
    point = parseMountRaw('data:/data');
    point.volume = volume;
  });

  test('is mounted for an id of 64 hexadecimal digits, for the same one again while it is mounted, and given back as often', async () => {
    assert.equal((await point.setup()).path, join(root, 'data'));
    const { id } = point;
    assert.match(id, /^[0-9a-f]{64}$/);
    await point.setup();
    assert.deepEqual([point.id, volume.holders], [id, [id, id]]);
    await point.cleanup();
    assert.deepEqual([point.id, volume.holders], [id, [id]]);
    await point.cleanup();
    assert.deepEqual([point.id, volume.holders], ['', []]);
    await point.cleanup();
    await point.setup();
    assert.notEqual(point.id, id);
    assert.deepEqual(volume.holders, [point.id]);
  });

  test('set up many times at once is mounted for one id', async () => {
    await Promise.all(Array.from({ length: 20 }, () => point.setup()));
    assert.deepEqual([volume.holders.length, new Set(volume.holders).size], [20, 1]);
    await Promise.all(Array.from({ length: 20 }, () => point.cleanup()));
    assert.deepEqual([volume.holders, point.id], [[], '']);
  });

  test('whose id is known, because its container ran before, is mounted for that', async () => {
    point.id = 'ab'.repeat(32);
    await point.setup();
    assert.deepEqual(volume.holders, ['ab'.repeat(32)]);
  });

  test('that can\'t be mounted isn\'t held by anybody', async () => {
    rmSync(volume.directory, { recursive: true });
    point.source = '/where/it/was';
    await assert.rejects(point.setup(), /^Error: error while mounting volume '\/where\/it\/was': ENOENT/);
    assert.equal(point.id, '');
    await point.cleanup();
  });

  test('that can\'t be unmounted stays held', async () => {
    await point.setup();
    const [id] = volume.holders.splice(0) as [string];
    await assert.rejects(point.cleanup(), { message: `error unmounting volume data: ${id} doesn't hold data` });
    volume.holders.push(id);
    await point.cleanup();
    assert.deepEqual([volume.holders, point.id], [[], '']);
  });

  test('is where its driver says, and no source is made', async () => {
    assert.equal(await point.path(), join(root, 'data'));
    point.source = join(root, 'unmade');
    await point.setup();
    assert.equal(existsSync(point.source), false);
  });

  test('that nobody found can\'t be set up', async () => {
    await assert.rejects(parseMountRaw('data:/data').setup(), { message: 'Unable to setup mount point, neither source nor volume defined' });
  });
});

describe('a subpath of a volume', () => {
  let volume: DirectoryVolume;
  beforeEach(async () => {
    volume = await new DirectoryDriver('directories', root).create('data');
    mkdirSync(join(volume.directory, 'a/b'), { recursive: true });
    writeFileSync(join(volume.directory, 'a/b/f'), 'data');
    mkdirSync(join(root, 'outside'));
    writeFileSync(join(root, 'outside/f'), 'secret');
  });
  const at = (subpath: string): MountPoint => {
    const point = parseMountSpec({ type: 'volume', source: 'data', target: '/data', volumeOptions: { subpath } });
    point.volume = volume;
    return point;
  };

  test('is a path that goes on to mean the same directory when its name means another, for other processes too', async () => {
    const point = at('a/b');
    const { path, release } = await point.setup();
    renameSync(join(volume.directory, 'a/b'), join(volume.directory, 'moved'));
    symlinkSync('../../outside', join(volume.directory, 'a/b'));
    assert.equal(readFileSync(join(path, 'f'), 'utf8'), 'data');
    assert.match(path, new RegExp(`^/proc/${process.pid}/fd/`));
    await release();
    assert.equal(existsSync(path), false);
    await point.cleanup();
  });

  test('is released by the last cleanup where nobody did', async () => {
    const point = at('a/b/f');
    const [one, other] = [await point.setup(), await point.setup()];
    await point.cleanup();
    assert.equal(readFileSync(one.path, 'utf8'), 'data');
    await point.cleanup();
    assert.deepEqual([existsSync(one.path), existsSync(other.path), volume.holders], [false, false, []]);
    await one.release();
  });

  test('is found through symlinks that stay in the volume', async () => {
    symlinkSync('b', join(volume.directory, 'a/relative'));
    symlinkSync(join(volume.directory, 'a'), join(volume.directory, 'absolute'));
    const point = at('absolute/relative/f');
    assert.equal(readFileSync((await point.setup()).path, 'utf8'), 'data');
    await point.cleanup();
  });

  for (const subpath of ['link', 'link/f', 'a/up', 'a/up/outside']) {
    test(`"${subpath}", which leads out of it, is refused, and the volume given back`, async () => {
      symlinkSync(join(root, 'outside'), join(volume.directory, 'link'));
      symlinkSync('../..', join(volume.directory, 'a/up'));
      const point = at(subpath);
      await assert.rejects(point.setup(), { code: 'UFS_USAGE', message: `path concatenation escapes the base directory, base: ${volume.directory}, subpath: ${subpath}` });
      assert.deepEqual([volume.holders, point.id], [[], '']);
    });
  }

  for (const [subpath, why] of [['missing', 'no such file or directory'], ['a/b/f/below', 'not a directory'], ['loop', 'too many levels of symbolic links']] as const) {
    test(`"${subpath}", which isn't there, is refused, and the volume given back`, async () => {
      symlinkSync('loop', join(volume.directory, 'loop'));
      const point = at(subpath);
      await assert.rejects(point.setup(), { message: `cannot access path ${join(volume.directory, subpath)}: ${why}` });
      assert.deepEqual([volume.holders, point.id], [[], '']);
    });
  }

  test('never leads out of it, however often somebody puts a symlink where it is', async () => {
    writeFileSync(join(root, 'outside/g'), 'secret');
    writeFileSync(join(volume.directory, 'a/b/g'), 'data');
    const swap = "const fs = require('fs'); for (;;) { fs.renameSync('b', 'real'); fs.symlinkSync('../../outside', 'b'); fs.unlinkSync('b'); fs.renameSync('real', 'b'); }";
    const swapping = spawn(process.execPath, ['-e', swap], { cwd: join(volume.directory, 'a'), stdio: 'ignore' });
    await until(() => existsSync(join(volume.directory, 'a/real')), 'the directory has another name');
    try {
      const found = new Set<string>();
      for (let round = 0; round < 1000; round += 1) {
        const point = at('a/b/g');
        const setup = await point.setup().catch(() => undefined);
        if (setup !== undefined) found.add(readFileSync(setup.path, 'utf8'));
        await point.cleanup();
      }
      assert.equal(found.has('secret'), false);
    } finally {
      swapping.kill('SIGKILL');
      await once(swapping, 'close');
    }
  });

  test('"." is the volume', async () => {
    const point = at('a/..');
    assert.equal(readFileSync(join((await point.setup()).path, 'a/b/f'), 'utf8'), 'data');
    await point.cleanup();
  });
});
