import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { close, linkFd, openPath, renameAt, statAt, statPath } from '../../fs/host/at.ts';
import { utimensAt } from '../../fs/host/attributes.ts';
import { AT_FDCWD, O_DIRECTORY, O_PATH, O_RDWR, O_TMPFILE, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../fs/host/constants.ts';
import { listDirectory } from '../../fs/host/directory.ts';
import { fallocate, ioctl, lseek } from '../../fs/host/file.ts';
import { cString, lastErrno, libc } from '../../fs/host/native.ts';
import { clearUmask } from '../../fs/host/make.ts';
import { nameFromText } from '../../fs/name.ts';
import { direntType } from '../../fs/stat.ts';
import { isStaleMount } from '../../fs/transport/mounts.ts';
import { gapTable, gapWarnings } from '../../fs/transport/fuse-native-gaps.ts';
import { type Mounted, Mounter } from '../../src/mount/mounter.ts';
import { Bench, MAIN, mountsBelow, until } from '../helpers/cli.ts';
import { needsFuseNative, needsProgram } from '../helpers/needs.ts';
import { EXERCISE, EXERCISED } from './mount-and-exercise.ts';

const skip = needsFuseNative();
const ERANGE = 34;

/** Directories to mount, in a Bench: "l" with a file and a hard link of it, "u", "w" and "m". */
function prepare(bench: Bench): void {
  bench.sh('mkdir l u w m l/d; printf lower >l/f; ln l/f l/d/g; chmod 1777 u; chmod 755 .');
}

function options(bench: Bench): string {
  return `lowerdir=${bench.path('l')},upperdir=${bench.path('u')},workdir=${bench.path('w')}`;
}

function failsWith(code: string, action: () => unknown): void {
  assert.throws(action, (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, code, error.message);
    return true;
  });
}

function withFile<T>(path: string, flags: string | number, use: (fd: number) => T): T {
  const fd = fs.openSync(path, flags);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

describe('a mount through fuse-native', { skip }, () => {
  const bench = new Bench();
  const said: string[] = [];
  const mounter = new Mounter((message) => said.push(message));
  let mounted: Mounted;
  let dir = '';
  let counter = 0;
  const at = (...parts: string[]): string => join(dir, ...parts);

  const mountOne = async (allowOther: boolean): Promise<void> => {
    const lower = { kind: 'directories', paths: [nameFromText(bench.path('l'))] } as const;
    const upper = { directory: nameFromText(bench.path('u')), work: nameFromText(bench.path('w')) };
    mounted = await mounter.mount({ target: nameFromText(bench.path('m')), lower, upper, passthrough: 'auto', transport: 'fuse-native', mount: { allowOther } });
  };

  before(async () => {
    clearUmask();
    prepare(bench);
    await mountOne(true);
  });
  beforeEach(() => fs.mkdirSync((dir = bench.path('m', `t${counter++}`)), { recursive: true }));
  after(async () => {
    await mounter.close();
    bench.close();
    assert.deepEqual(said, []);
  });

  test('does what a shell asks of it', () => {
    assert.equal(bench.sh(`cd ${dir}; ${EXERCISE}`), EXERCISED);
    assert.equal(bench.sh('findmnt -no FSTYPE,SOURCE m').trim(), 'fuse.ufs ufs');
  });

  test('copies a lower file up under all its names, and leaves the lower layer alone', () => {
    const m = bench.path('m');
    fs.appendFileSync(join(m, 'f'), ' and more');
    assert.equal(fs.readFileSync(join(m, 'd/g'), 'utf8'), 'lower and more');
    assert.deepEqual([fs.statSync(join(m, 'f')).nlink, fs.statSync(join(m, 'd/g')).ino], [2, fs.statSync(join(m, 'f')).ino]);
    assert.equal(fs.readFileSync(bench.path('l/f'), 'utf8'), 'lower');
  });

  test('lists names with the types and inode numbers that stat gives, 1,000 of them at once', () => {
    for (let index = 0; index < 999; index += 1) fs.writeFileSync(at(`f${index}`), '');
    fs.symlinkSync('x', at('link'));
    const fd = openPath(dir, O_DIRECTORY);
    const listed = listDirectory(fd);
    assert.equal(listed.length, 1000);
    for (const { name, ino, type } of listed.slice(0, 50)) {
      const stat = statAt(fd, name);
      assert.deepEqual([ino, type], [stat.ino, direntType(stat.mode)]);
    }
    close(fd);
  });

  test('keeps the two times of a file apart, to the millisecond; before 1970 they are kept but not shown', () => {
    fs.writeFileSync(at('f'), '');
    utimensAt(AT_FDCWD, at('f'), { sec: 1111, nsec: 222_999_999 }, { sec: 3333, nsec: 444_999_999 });
    const stat = statPath(at('f'));
    assert.deepEqual([stat.atimeSec, stat.atimeNsec, stat.mtimeSec, stat.mtimeNsec], [1111, 222_000_000, 3333, 444_000_000]);
    utimensAt(AT_FDCWD, at('f'), { sec: 1111, nsec: 0 }, { sec: -5, nsec: 0 });
    assert.equal(statPath(at('f')).mtimeSec, 0);
    assert.equal(statPath(at('f').replace(bench.path('m'), bench.path('u'))).mtimeSec, -5);
  });

  test('removes a file that is open at once: it can still be used, has no links, and no name is left in any directory', () => {
    const fd = fs.openSync(at('f'), 'w+');
    fs.writeSync(fd, 'content');
    fs.unlinkSync(at('f'));
    assert.deepEqual(fs.readdirSync(dir), []);
    assert.deepEqual(fs.readdirSync(dir.replace(bench.path('m'), bench.path('u'))), []);
    assert.equal(fs.fstatSync(fd).nlink, 0);
    fs.ftruncateSync(fd, 4);
    fs.fchmodSync(fd, 0o600);
    withFile(`/proc/self/fd/${fd}`, 'r', (again) => assert.equal(fs.readFileSync(again, 'utf8'), 'cont'));
    assert.equal(fs.fstatSync(fd).mode & 0o777, 0o600);
    fs.closeSync(fd);
  });

  test('renames over a file that is open, which goes on for those who have it', () => {
    fs.writeFileSync(at('old'), 'old');
    fs.writeFileSync(at('new'), 'new');
    withFile(at('old'), 'r', (fd) => {
      fs.renameSync(at('new'), at('old'));
      assert.equal(fs.readFileSync(fd, 'utf8'), 'old');
    });
    assert.equal(fs.readFileSync(at('old'), 'utf8'), 'new');
    assert.deepEqual(fs.readdirSync(dir), ['old']);
  });

  test('takes names of 255 bytes and any text, and refuses to do anything with one that isn\'t UTF-8, but lists it', () => {
    const long = 'é'.repeat(127) + 'n';
    fs.writeFileSync(at(long), 'long');
    assert.equal(fs.readFileSync(at(long), 'utf8'), 'long');
    failsWith('ENAMETOOLONG', () => fs.writeFileSync(at('n'.repeat(256)), ''));
    const odd = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0x66, 0xff])]);
    failsWith('EILSEQ', () => fs.writeFileSync(odd, ''));
    const upper = Buffer.from(odd.toString('latin1').replace(bench.path('m'), bench.path('u')), 'latin1');
    fs.writeFileSync(upper, '');
    fs.mkdirSync(at('other'));
    assert.deepEqual(fs.readdirSync(dir).sort(), [long, 'f\ufffd', 'other'].sort());
    failsWith('EILSEQ', () => fs.lstatSync(at('f\ufffd')));
    fs.rmSync(upper);
  });

  test('gives xattrs as bytes, and ERANGE where there is no room for one or for the list', () => {
    fs.writeFileSync(at('f'), '');
    const value = Buffer.from([0, 255, 1, 2, 3, 4, 5, 6, 7, 8]);
    const [file, name, room] = [cString(at('f')), cString('user.a'), Buffer.alloc(20)];
    assert.equal(libc.lsetxattr(file, name, value, value.length, 0), 0);
    assert.equal(libc.lgetxattr(file, name, room, 0), value.length);
    assert.equal(libc.lgetxattr(file, name, room, room.length), value.length);
    assert.deepEqual(room.subarray(0, value.length), value);
    assert.deepEqual([libc.lgetxattr(file, name, room, 3), lastErrno()], [-1, ERANGE]);
    assert.equal(libc.llistxattr(file, room, 0), 'user.a\0'.length);
    assert.deepEqual([libc.llistxattr(file, room, 3), lastErrno()], [-1, ERANGE]);
    assert.deepEqual([libc.lsetxattr(file, name, value, 1, 1), lastErrno()], [-1, 17]);
    assert.equal(libc.lremovexattr(file, name), 0);
    assert.equal(libc.llistxattr(file, room, 0), 0);
  });

  test('refuses what it can\'t carry, each with the errno programs know for that', () => {
    fs.writeFileSync(at('a'), 'a');
    fs.writeFileSync(at('b'), 'b');
    const fd = openPath(dir, O_PATH | O_DIRECTORY);
    failsWith('EINVAL', () => renameAt(fd, 'a', fd, 'c', RENAME_NOREPLACE));
    failsWith('EINVAL', () => renameAt(fd, 'a', fd, 'b', RENAME_EXCHANGE));
    close(fd);
    failsWith('EOPNOTSUPP', () => openPath(dir, O_TMPFILE | O_RDWR, 0o600));
    withFile(at('a'), 'r+', (file) => {
      failsWith('EOPNOTSUPP', () => fallocate(file, 0, 0, 100));
      failsWith('ENOTTY', () => ioctl(file, 0x8008_6601, Buffer.alloc(8)));
      fs.ftruncateSync(file, 1 << 20);
      assert.deepEqual([lseek(file, 0, 3), lseek(file, 0, 4)], [0, 1 << 20]);
      fs.unlinkSync(at('a'));
      const directory = openPath(dir, O_PATH | O_DIRECTORY);
      failsWith('ENOENT', () => linkFd(file, directory, 'back'));
      close(directory);
    });
    assert.equal(fs.readFileSync(at('b'), 'utf8'), 'b');
  });

  test('drops setuid and setgid of new files with allow_other, for they would be programs of who mounted', { skip: needsProgram('setpriv') }, () => {
    fs.chmodSync(dir, 0o1777);
    const script = 'require("node:fs").closeSync(require("node:fs").openSync("mine","wx",0o6755))';
    bench.sh(`cd ${dir}; setpriv --reuid=65534 --regid=65534 --clear-groups ${process.execPath} -e '${script}'`);
    const { mode, uid, gid } = fs.statSync(at('mine'));
    assert.deepEqual([mode & 0o7777, uid, gid], [0o755, 0, 0]);
    fs.chmodSync(at('mine'), 0o4755);
    assert.equal(fs.statSync(at('mine')).mode & 0o7777, 0o4755);
  });

  test('lets nobody else in without allow_other', { skip: needsProgram('setpriv') }, async () => {
    await mounter.unmount(mounted);
    await mountOne(false);
    assert.notEqual(bench.run('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'ls', bench.path('m')]).code, 0);
    assert.equal(bench.run('ls', [bench.path('m')]).code, 0);
  });

  test('ends when it is unmounted by anybody, and at once but for those who use it where that is lazy', async () => {
    bench.sh('umount m');
    await mounted.ended;
    assert.deepEqual(mounter.mounts(), []);
    await mountOne(true);
    const fd = fs.openSync(bench.path('m/f'), 'r');
    await assert.rejects(mounter.unmount(mounted), { code: 'EBUSY' });
    const unmounted = mounter.unmount(mounted, { lazy: true });
    assert.deepEqual(mountsBelow(bench.directory), []);
    assert.match(fs.readFileSync(fd, 'utf8'), /^lower/);
    fs.closeSync(fd);
    await unmounted;
    await mountOne(true);
  });

  test('says why it can\'t be made', async () => {
    const { target, lower } = mounted.spec;
    // Read-only: the upper is in use.
    await assert.rejects(mounter.mount({ target, lower, passthrough: 'auto', transport: 'fuse-native', mount: {} }), {
      message: /^Cannot mount on ".*\/m" with fuse-native: it is a mount point already/,
    });
  });
});

describe('ufs mount --transport fuse-native', { skip }, () => {
  let bench: Bench;
  const content = (): string => fs.readFileSync(bench.path('m/f'), 'utf8');
  before(() => {
    bench = new Bench();
    prepare(bench);
  });
  after(() => bench.close());
  const start = (): ReturnType<Bench['start']> => bench.start('mount', '--transport', 'fuse-native', '-o', options(bench), bench.path('m'));
  const mounts = (): number => mountsBelow(bench.directory).length;
  /** The process that serves for another; the kernel's own list of children may leave some out. */
  const served = (pid: number): number => {
    const found = fs.readdirSync('/proc').map(Number).find((candidate) => candidate > 0 && parentOf(candidate) === pid);
    assert.ok(found !== undefined, 'a process serves');
    return found;
  };

  test('warns of what is silently otherwise, serves, and unmounts by a signal', async () => {
    const command = start();
    await until(() => mounts() === 1, 'the mount');
    assert.equal(content(), 'lower');
    command.kill('SIGTERM');
    const { code, err } = await command.ended;
    assert.deepEqual([code, err], [0, gapWarnings().map((line) => `ufs: ${line}\n`).join('')]);
    assert.ok(gapWarnings().length > 0);
    assert.equal(mounts(), 0);
  });

  test('goes away with the process that asked for it, even if that is killed', async () => {
    const command = start();
    await until(() => mounts() === 1, 'the mount');
    command.kill('SIGKILL');
    await command.ended;
    await until(() => mounts() === 0, 'the end of the mount');
  });

  test('ends, and says so, where the process that serves it is killed', async () => {
    const command = start();
    await until(() => mounts() === 1, 'the mount');
    process.kill(served(command.pid), 'SIGKILL');
    const { err } = await command.ended;
    // It may or may not have said before that it serves.
    assert.match(err, /process that serves .* ended with SIGKILL/);
    assert.equal(mounts(), 0);
  });

  test('replaces a mount whose processes were both killed, as any transport does', async () => {
    const command = start();
    await until(() => mounts() === 1, 'the mount');
    const serving = served(command.pid);
    command.kill('SIGSTOP');
    process.kill(serving, 'SIGKILL');
    command.kill('SIGKILL');
    await command.ended;
    await until(() => isStaleMount(nameFromText(bench.path('m'))), 'the mount to lose its server');
    const next = start();
    await until(() => mounts() === 1 && !isStaleMount(nameFromText(bench.path('m'))), 'the next mount');
    assert.equal(content(), 'lower');
    next.kill('SIGINT');
    assert.equal((await next.ended).code, 0);
    assert.equal(mounts(), 0);
  });

  test('says what to install where libfuse2 or the package is missing', { skip: needsProgram('unshare') }, () => {
    const command = `${process.execPath} ${MAIN} --root ${bench.store} mount --transport fuse-native -o ${options(bench)} m`;
    const hide = (what: string): string => bench.run('unshare', ['-m', '--propagation', 'slave', '/bin/sh', '-c', `${what} || exit 99; exec ${command}`]).err;
    const library = bench.sh('ldconfig -p | sed -n "s,.*libfuse.so.2 .*=> ,,p" | head -1').trim();
    assert.match(hide(`mount --bind /dev/null $(readlink -f ${library})`), /^ufs: Cannot mount on ".*\/m" with fuse-native: libfuse.so.2 is missing; install libfuse2 \(.*\n$/);
    const folder = dirname(createRequire(import.meta.url).resolve('fuse-native/package.json'));
    assert.match(hide(`mount -t tmpfs none ${folder}`), /^ufs: Cannot mount on ".*\/m" with fuse-native: the package is missing; npm install fuse-native@2.2.6 \(.*\n$/);
    assert.equal(mounts(), 0);
  });

  test('works for a user without privileges, through fusermount', { skip: needsProgram('setpriv') || needsProgram('fusermount') }, () => {
    bench.sh('mkdir -p home/l home/u home/w home/m; chown -R 65534:65534 home');
    const script = `
      cd ${bench.path('home')}
      ${process.execPath} ${MAIN} --root ${bench.path('home/store')} mount --transport fuse-native --detach -o lowerdir=l,upperdir=u,workdir=w m 2>/dev/null
      cd m; ${EXERCISE}
      stat -c %u:%g c >&2; cd ..; fusermount -u m`;
    const result = bench.run('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', '/bin/sh', '-euc', script]);
    assert.deepEqual([result.err, result.out], ['65534:65534\n', EXERCISED]);
  });

  test('mounts images, whose containers other commands see meanwhile', () => {
    bench.sh('mkdir tree; echo image >tree/a; tar -cf tree.tar -C tree .');
    bench.ufs('import', 'tree.tar', '--name', 'tree');
    bench.ufs('mount', 'tree', bench.path('m'), '--name', 'box', '--transport', 'fuse-native', '--detach');
    assert.equal(fs.readFileSync(bench.path('m/a'), 'utf8'), 'image\n');
    fs.writeFileSync(bench.path('m/b'), 'new');
    assert.match(bench.ufs('changes', 'box'), /^A \/b$/m);
    assert.ok(bench.sh(`node ${MAIN} --root store diff box | tar -xOf - ./b || node ${MAIN} --root store diff box | tar -xOf - b`).endsWith('new'));
    bench.ufs('umount', 'box');
    assert.equal(mounts(), 0);
  });
});

test('the README tells every gap of fuse-native, in its table\'s words', () => {
  const root = packageRoot(import.meta.dirname);
  const readme = fs.readFileSync(join(root, 'README.md'), 'utf8');
  assert.ok(readme.includes(gapTable().join('\n')), `The README should have:\n${gapTable().join('\n')}`);
});

/** undefined where there is no such process any more. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}

function packageRoot(directory: string): string {
  return fs.existsSync(join(directory, 'README.md')) ? directory : packageRoot(dirname(directory));
}
