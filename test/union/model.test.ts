import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as host from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AT_FDCWD, O_NOFOLLOW, O_PATH, RENAME_EXCHANGE } from '../../fs/host/constants.ts';
import { close, linkAt, openPath, renameAt } from '../../fs/host/at.ts';
import { setXattr } from '../../fs/host/xattr.ts';
import { random } from '../model/random.ts';
import { needsOverlayfs } from '../helpers/needs.ts';
import { Driver, type DriverOptions, dumpDirectory, dumpMerged, Scratch } from './driver.ts';

const LOWER = `
mkdir -p a/x/deep b c/empty
echo one > a/1; echo two > a/2; echo three > b/3; echo four > a/x/4; echo five > a/x/deep/5; echo six > 6
ln a/1 b/1link; ln a/1 c/1link; ln 6 b/6link
ln -s nowhere b/link; mkfifo c/fifo; chmod 2755 c; chmod 4755 a/2; chown 7:8 b/3
`;

type Operation = { describe: string; union: (driver: Driver) => void; model: (root: string) => void };

function operation(next: (below: number) => number, paths: string[]): Operation {
  const any = (): string => paths[next(paths.length)] ?? 'a';
  const fresh = (): string => {
    const directory = next(3) === 0 ? '' : any();
    const name = ['1', '2', 'x', 'a', 'b', 'new', '3', 'deep', 'empty'][next(9)];
    return directory === '' ? name : `${directory}/${name}`;
  };
  const [from, to, data] = [any(), next(3) === 0 ? any() : fresh(), `data ${next(1000)}`];
  switch (next(13)) {
    case 0: return { describe: `create ${to}`, union: (d) => d.create(to, data), model: (r) => host.writeFileSync(join(r, to), data, { flag: 'wx', mode: 0o644 }) };
    case 1: return { describe: `write ${from}`, union: (d) => d.write(from, data, { offset: 2 }), model: (r) => writeAt(join(r, from), data, 2) };
    case 2: return { describe: `truncate and write ${from}`, union: (d) => d.write(from, data, { truncate: true }), model: (r) => { host.truncateSync(plain(join(r, from)), 0); writeAt(join(r, from), data, 0); } };
    case 3: {
      const mode = 0o700 + next(8);
      return { describe: `chmod ${from}`, union: (d) => d.set(from, { mode }), model: (r) => host.chmodSync(join(r, from), mode) };
    }
    case 4: return { describe: `chown ${from}`, union: (d) => d.set(from, { uid: 5, gid: 6 }), model: (r) => host.lchownSync(join(r, from), 5, 6) };
    case 5: return { describe: `mkdir ${to}`, union: (d) => d.mkdir(to), model: (r) => host.mkdirSync(join(r, to), 0o755) };
    case 6: return { describe: `rmdir ${from}`, union: (d) => d.rmdir(from), model: (r) => host.rmdirSync(join(r, from)) };
    case 7: return { describe: `unlink ${from}`, union: (d) => d.unlink(from), model: (r) => host.unlinkSync(join(r, from)) };
    case 8: case 9: return { describe: `rename ${from} ${to}`, union: (d) => d.rename(from, to), model: (r) => host.renameSync(join(r, from), join(r, to)) };
    case 10: return { describe: `exchange ${from} ${to}`, union: (d) => d.rename(from, to, RENAME_EXCHANGE), model: (r) => renameAt(AT_FDCWD, join(r, from), AT_FDCWD, join(r, to), RENAME_EXCHANGE) };
    case 11: return { describe: `link ${from} ${to}`, union: (d) => d.link(from, to), model: (r) => linkAt(AT_FDCWD, join(r, from), AT_FDCWD, join(r, to)) };
    default: return { describe: `xattr ${from}`, union: (d) => d.setXattr(from, 'trusted.mark', data), model: (r) => markFile(join(r, from), data) };
  }
}

/** As the kernel: only regular files are opened, and no symlink is followed. */
function plain(path: string): string {
  const stat = host.lstatSync(path);
  if (!stat.isFile()) throw Object.assign(new Error('not regular'), { code: 'EINVAL' });
  return path;
}

function writeAt(path: string, data: string, offset: number): void {
  const fd = host.openSync(plain(path), 'r+');
  host.writeSync(fd, data, offset, 'latin1');
  host.closeSync(fd);
}

function markFile(path: string, value: string): void {
  const fd = openPath(path, O_PATH | O_NOFOLLOW);
  try {
    setXattr(fd, 'trusted.mark', Buffer.from(value));
  } finally {
    close(fd);
  }
}

function outcome(run: () => void): string {
  try {
    run();
    return 'done';
  } catch (error) {
    return (error as { code?: string }).code ?? String((error as Error).stack);
  }
}

/** The kernel asks nothing of these. */
function isImpossible(describe: string): boolean {
  const [action, from, to] = describe.split(' ');
  if (!['rename', 'exchange', 'link'].includes(action)) return false;
  return `${to}/`.startsWith(`${from}/`) || `${from}/`.startsWith(`${to}/`);
}

/** `overlayfs`: kernel overlayfs must show the same. It has an inode for each name of a lower file (but with an index of its own), so the lower has none with two. */
interface Variant extends DriverOptions {
  overlayfs?: boolean;
}

const VARIANTS: Record<string, Variant> = {
  '': {}, ', known nodes': { remembers: true }, ', .wh. whiteouts': { whiteouts: 'aufs' }, ', metadata-only copies': { metacopy: true },
  ', metadata-only copies as overlayfs shows them': { metacopy: true, overlayfs: true, remembers: true },
};
const SEEDS = Number(process.env.UFS_MODEL_SEEDS ?? 3);

/** What kernel overlayfs shows of a copy of the upper. */
function dumpOverlayfs(scratch: Scratch): string[] {
  execFileSync('/bin/sh', ['-ec', `cp -a upper kernel-upper; mkdir kernel-work kernel
    mount -t overlay overlay -o lowerdir=lower,upperdir=kernel-upper,workdir=kernel-work,metacopy=on,redirect_dir=on,index=on kernel`], { cwd: scratch.root });
  try {
    return dumpDirectory(join(scratch.root, 'kernel'));
  } finally {
    execFileSync('/bin/sh', ['-ec', 'umount kernel; rm -rf kernel-upper kernel-work kernel'], { cwd: scratch.root });
  }
}

for (const [variant, { overlayfs, ...options }] of Object.entries(VARIANTS)) for (let seed = 1; seed <= SEEDS; seed += 1) {
  test(`random operations do to a union what they do to a plain directory, also over remounts (seed ${seed}${variant})`, { skip: overlayfs && needsOverlayfs }, () => {
    const scratch = new Scratch(overlayfs ? LOWER.replace(/^ln a.*$/m, '') : LOWER);
    const model = join(scratch.root, 'model');
    execFileSync('cp', ['-a', scratch.lower, model]);
    const before = dumpDirectory(scratch.lower);
    const next = random(seed);
    let driver = new Driver(scratch, options);
    const log: string[] = [];
    try {
      for (let step = 0; step < 150; step += 1) {
        const paths = dumpDirectory(model).slice(1).map((entry) => entry.split(' ')[0]);
        const doing = operation(next, paths);
        if (isImpossible(doing.describe) || doing.describe.startsWith('chmod ') && host.lstatSync(join(model, doing.describe.slice(6))).isSymbolicLink()) continue;
        log.push(doing.describe);
        const [expected, got] = [outcome(() => doing.model(model)), outcome(() => doing.union(driver))];
        const same = expected === got || (expected !== 'done' && got !== 'done' && got.length < 20);
        assert(same, `plain: ${expected}, union: ${got} after\n${log.join('\n')}`);
        assert.deepEqual(driver.dump(), dumpDirectory(model), `after\n${log.join('\n')}`);
        if (step % 10 === 0) {
          driver.unmount();
          assert.deepEqual(dumpMerged(scratch), dumpDirectory(model), `offline, after\n${log.join('\n')}`);
          if (overlayfs) assert.deepEqual(dumpOverlayfs(scratch), dumpDirectory(model), `overlayfs, after\n${log.join('\n')}`);
          driver = new Driver(scratch, options);
          log.push('remount');
          assert.deepEqual(driver.dump(), dumpDirectory(model), `after\n${log.join('\n')}`);
          assert.deepEqual(host.readdirSync(join(scratch.work, 'work')), []);
        }
      }
      assert.deepEqual(dumpDirectory(scratch.lower), before);
    } finally {
      driver.unmount();
      scratch.remove();
    }
  });
}
