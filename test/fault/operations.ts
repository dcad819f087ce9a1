import type { NodeReply } from '../../fs/file-system.ts';
import { O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../fs/host/constants.ts';
import { S_IFIFO } from '../../fs/stat.ts';
import type { Driver } from '../union/driver.ts';

/** What the lower of every case holds: a shell script. */
export const LOWER = `
  for f in f g t w d/a d/b d/sub/x m/la m/lb gone gonedir/old o/hidden me/z rd/in under e/. mt/old ; do mkdir -p $(dirname $f); [ -d $f ] || echo "lower $f" > $f; done
  chown 3:4 f; chmod 4750 f; setfattr -n user.x -v 1 f; chown 5:6 d; chmod 2775 d; setfattr -n user.d -v 1 d
  echo hard > h1; ln h1 h2; ln h1 d/h3; echo twin > w1; ln w1 w2; echo pair > v1; ln v1 v2; echo link > b1; ln b1 b2; echo bare > bare; echo bare2 > bare2; chmod 4755 bare
  ln -s f s; mkfifo p; mkdir acl; setfacl -d -m u:7:rwx acl
  head -c 5000 /dev/zero > sparse; truncate -s 50000 sparse; echo end >> sparse
  touch -d '1999-02-03 04:05:06.5' f g t h1 w1 v1 b1 bare bare2 sparse d/a d/b`;

/** What is done to it before, each time on a mount of its own. */
export function prepare(driver: Driver): void {
  driver.unlink('gone');
  driver.unlink('gonedir/old');
  driver.rmdir('gonedir');
  driver.create('m/ua', 'upper ua');
  driver.unlink('m/lb');
  driver.unlink('o/hidden');
  driver.rmdir('o');
  driver.mkdir('o');
  driver.create('o/shown', 'shown');
  driver.unlink('me/z');
  driver.rename('rd', 'moved');
  driver.create('u', 'upper u');
  driver.create('u2', 'upper u2');
  driver.link('u2', 'ul');
  driver.mkdir('ud');
  driver.create('ud/k', 'k');
  driver.mkdir('ue');
  driver.symlink('u', 'us');
  driver.set('bare', { uid: 8 });
  driver.set('bare2', { uid: 8 });
  driver.rename('bare2', 'renamed');
  driver.set('b1', { uid: 8 });
  driver.write('w1', 'TWIN');
  driver.unlink('v1');
}

/** An operation; `names` are those it is about, which a kernel would have looked up before. */
export interface Operation {
  names?: string[];
  run: (driver: Driver) => void;
  /** Not undone where it fails after the data is gone. */
  truncates?: boolean;
  /** Takes several steps on disk: undone where one fails, but not when the process is killed between them. */
  steps?: boolean;
}

const HOW = { exec: false, killPrivileges: false };
const MODE = { mode: 0o644, umask: 0 };

function openAndClose(driver: Driver, path: string, flags: number, use: (id: number, handle: number) => void = () => undefined): void {
  driver.at(path, (id) => {
    const { handle } = driver.fs.open(driver.caller, id, flags, HOW) as { handle: number };
    try {
      use(id, handle);
    } finally {
      driver.fs.release(id, handle);
    }
  });
}

function withCaller(driver: Driver, uid: number, action: () => void): void {
  const { caller } = driver;
  driver.caller = { uid, gid: uid, pid: 1 };
  try {
    action();
  } finally {
    driver.caller = caller;
  }
}

function removeXattr(driver: Driver, path: string, name: string): void {
  driver.at(path, (id) => driver.fs.removexattr(driver.caller, id, name));
}

const one = (name: string, run: (driver: Driver, name: string) => void): Operation => ({ names: [name], run: (driver) => run(driver, name) });
const rename = (from: string, to: string, flags = 0): Operation => ({ names: [from, to], run: (driver) => driver.rename(from, to, flags) });

export const OPERATIONS: Record<string, Operation> = {
  'create beside nothing': { run: (driver) => driver.create('new') },
  'create for another user': { run: (driver) => withCaller(driver, 9, () => driver.create('new')) },
  'create in a lower directory with setgid': { run: (driver) => driver.create('d/new', '', 0o4711) },
  'create in a directory with a default ACL': { run: (driver) => driver.create('acl/new') },
  'create over a whiteout': { run: (driver) => driver.create('gone') },
  'mkdir beside nothing': { run: (driver) => driver.mkdir('new') },
  'mkdir for another user': { run: (driver) => withCaller(driver, 9, () => driver.mkdir('new', 0o1777)) },
  'mkdir in a lower directory with setgid': { run: (driver) => driver.mkdir('d/sub/new') },
  'mkdir in a directory with a default ACL': { run: (driver) => driver.mkdir('acl/new') },
  'mkdir over a whiteout': { run: (driver) => driver.mkdir('gone') },
  'mkdir over a removed directory': { run: (driver) => driver.mkdir('gonedir') },
  'mknod of a fifo': { run: (driver) => driver.in('m/new', (parent, name) => driver.fs.forget(driver.fs.mknod(driver.caller, parent, name, { mode: S_IFIFO | 0o600, umask: 0, rdevMajor: 0, rdevMinor: 0 }).id, 1)) },
  'symlink beside nothing': { run: (driver) => driver.symlink('target', 'd/new') },
  'symlink over a whiteout': { run: (driver) => driver.symlink('target', 'gone') },
  'link of an upper file': { names: ['u'], run: (driver) => driver.link('u', 'd/new') },
  'link of a lower file over a whiteout': { names: ['g'], run: (driver) => driver.link('g', 'gone') },
  'link of a lower file with several names': { names: ['h1'], run: (driver) => driver.link('h1', 'new') },
  'link of a copied file with several names': { names: ['w2'], run: (driver) => driver.link('w2', 'new') },
  'a file without a name that gets one': { run: nameTemporary('m/new') },
  'a file without a name that replaces a whiteout': { run: nameTemporary('gone') },
  'unlink of an upper file': one('u', (driver, name) => driver.unlink(name)),
  'unlink of a lower file': one('f', (driver, name) => driver.unlink(name)),
  'unlink in a lower directory': one('d/a', (driver, name) => driver.unlink(name)),
  'unlink of a copied file': { names: ['t'], run: (driver) => driver.unlink('t') },
  'unlink of one of several upper names': one('ul', (driver, name) => driver.unlink(name)),
  'unlink of one of several lower names': one('h2', (driver, name) => driver.unlink(name)),
  'unlink of the last lower name': one('v2', (driver, name) => driver.unlink(name)),
  'unlink of a name whose file was copied by another': one('w2', (driver, name) => driver.unlink(name)),
  'unlink of a copied name whose file has another': one('w1', (driver, name) => driver.unlink(name)),
  'rmdir of an upper directory': one('ue', (driver, name) => driver.rmdir(name)),
  'rmdir of a lower directory': one('e', (driver, name) => driver.rmdir(name)),
  'rmdir of a merged directory with whiteouts': one('me', (driver, name) => driver.rmdir(name)),
  'rename of an upper file': rename('u', 'new'),
  'rename of an upper file over a lower one': rename('u', 'f'),
  'rename of an upper file over an upper one': rename('u', 'u2'),
  'rename of an upper file over a whiteout': rename('u', 'gone'),
  'rename of a lower file': rename('f', 'new'),
  'rename of a lower file over a lower one': rename('f', 'd/a'),
  'rename of a lower file over an upper one': rename('f', 'u'),
  'rename of a lower file over a whiteout': rename('f', 'gone'),
  'rename that must not replace': rename('f', 'd/new', RENAME_NOREPLACE),
  'rename of one of several lower names': rename('h2', 'new'),
  'rename over one of several lower names': rename('u', 'h2'),
  'rename of a name whose file was copied by another': rename('w2', 'new'),
  'rename of a symlink': rename('s', 'us'),
  'rename of an upper directory': rename('ud', 'new'),
  'rename of an upper directory over a whiteout': rename('ud', 'gonedir'),
  'rename of an upper directory over an upper one': rename('ud', 'ue'),
  'rename of an upper directory over a lower one': rename('ud', 'e'),
  'rename of an upper directory over one with whiteouts': rename('ud', 'me'),
  'rename of a lower directory': rename('d', 'new'),
  'rename of a lower directory over a whiteout': rename('d', 'gone'),
  'rename of a lower directory over a removed one': rename('d', 'gonedir'),
  'rename of a lower directory over an upper one': rename('d', 'ue'),
  'rename of a lower directory over one with whiteouts': rename('d', 'me'),
  'rename of a merged directory': rename('m', 'd/new'),
  'rename of a merged directory over one with whiteouts': rename('m', 'me'),
  'rename of a merged directory over a removed one': rename('m', 'gonedir'),
  'rename of an opaque directory': rename('o', 'new'),
  'rename of a moved directory': rename('moved', 'd/sub/new'),
  'exchange of upper files': rename('u', 'u2', RENAME_EXCHANGE),
  'exchange of lower files': rename('f', 'd/a', RENAME_EXCHANGE),
  'exchange of a file and a directory': rename('f', 'd', RENAME_EXCHANGE),
  'exchange of a lower directory and an upper one': rename('d', 'ud', RENAME_EXCHANGE),
  'exchange of merged directories': rename('m', 'me', RENAME_EXCHANGE),
  'exchange of names whose file has others': rename('h1', 'w2', RENAME_EXCHANGE),
  'chmod of an upper file': one('u', (driver, name) => driver.set(name, { mode: 0o600 })),
  'chmod of a lower file': one('f', (driver, name) => driver.set(name, { mode: 0o600 })),
  'chmod of a lower directory': one('d/sub', (driver, name) => driver.set(name, { mode: 0o700 })),
  'chown of a lower file': one('d/a', (driver, name) => driver.set(name, { uid: 9 })),
  'chown of a lower symlink': one('s', (driver, name) => driver.set(name, { uid: 9 })),
  'chown of a lower fifo': one('p', (driver, name) => driver.set(name, { gid: 9 })),
  'chown of a file with several names': one('d/h3', (driver, name) => driver.set(name, { gid: 9 })),
  'change of times of a lower file': one('g', (driver, name) => driver.set(name, { mtime: { sec: 5, nsec: 6 } })),
  'truncation of an upper file': one('u', (driver, name) => driver.set(name, { size: 2 })),
  'truncation of a lower file': one('f', (driver, name) => driver.set(name, { size: 2 })),
  'truncation of a lower file to nothing': { ...one('f', (driver, name) => driver.set(name, { size: 0 })), truncates: true },
  'opening of a lower file to write': one('g', (driver, name) => openAndClose(driver, name, O_WRONLY)),
  'opening of a lower file with holes to write': one('sparse', (driver, name) => openAndClose(driver, name, O_RDWR)),
  'opening of a lower file to truncate it': { ...one('d/sub/x', (driver, name) => openAndClose(driver, name, O_WRONLY | O_TRUNC)), truncates: true },
  'opening of an upper file to truncate it': { ...one('u', (driver, name) => openAndClose(driver, name, O_WRONLY | O_TRUNC)), truncates: true },
  'opening of one of several lower names to write': one('d/h3', (driver, name) => openAndClose(driver, name, O_WRONLY)),
  'write to an upper file': one('u', (driver, name) => driver.write(name, 'written')),
  'write to a lower file': one('under', (driver, name) => driver.write(name, 'written')),
  'reading of a lower file': one('f', (driver, name) => openAndClose(driver, name, O_RDONLY)),
  'opening of a bare copy to write': one('bare', (driver, name) => openAndClose(driver, name, O_RDWR)),
  'opening of a renamed bare copy to write': one('renamed', (driver, name) => openAndClose(driver, name, O_RDWR)),
  'opening of a bare copy to truncate it': { ...one('bare', (driver, name) => openAndClose(driver, name, O_WRONLY | O_TRUNC)), truncates: true },
  'opening of a bare copy with several names to write': one('b2', (driver, name) => openAndClose(driver, name, O_RDWR)),
  'rename of a bare copy': rename('bare', 'd/new'),
  'rename of a bare copy with several names': rename('b1', 'd/new'),
  'exchange of bare copies': rename('bare', 'renamed', RENAME_EXCHANGE),
  'link of a bare copy': { names: ['bare'], run: (driver) => driver.link('bare', 'gone') },
  'unlink of a bare copy': one('renamed', (driver, name) => driver.unlink(name)),
  'chmod of a bare copy': one('bare', (driver, name) => driver.set(name, { mode: 0o600 })),
  'change of owner, mode and times together': { ...one('f', (driver, name) => driver.set(name, { uid: 9, gid: 9, mode: 0o4711, mtime: { sec: 5, nsec: 6 } })), steps: true },
  'fallocate of a lower file': one('g', (driver, name) => openAndClose(driver, name, O_WRONLY, (id, handle) => driver.fs.fallocate(id, handle, 0, 0, 8192))),
  'setxattr of an upper file': one('u', (driver, name) => driver.setXattr(name, 'user.y', 'z')),
  'setxattr of a lower file': one('f', (driver, name) => driver.setXattr(name, 'user.x', 'z')),
  'setxattr of a lower directory': one('d/sub', (driver, name) => driver.setXattr(name, 'user.y', 'z')),
  'removexattr of a lower file': one('f', (driver, name) => removeXattr(driver, name, 'user.x')),
  'removexattr of a lower directory': one('d', (driver, name) => removeXattr(driver, name, 'user.d')),
};

function nameTemporary(path: string): (driver: Driver) => void {
  return (driver) => driver.in(path, (parent, name) => {
    const { id, open } = driver.fs.tmpfile(driver.caller, parent, O_RDWR, MODE);
    try {
      driver.fs.forget((driver.fs.link(driver.caller, id, parent, name) as NodeReply).id, 1);
    } finally {
      driver.fs.release(id, open.handle);
      driver.fs.forget(id, 1);
    }
  });
}
