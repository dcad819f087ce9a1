import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { MountSpec } from '../../src/mount/spec.ts';
import { mountsBelow } from '../helpers/cli.ts';
import { mountUnion } from '../helpers/mount.ts';
import { listTree, treeDifferences, type TreeListing } from '../helpers/tree.ts';

/** Another program that writes upper directories and shows what is in them. */
export interface Peer {
  name: string;
  skip: string | false;
  /** Mounts lowers, the topmost first, with or without an upper. */
  mount: (at: string, lowers: readonly string[], upper?: { directory: string; work: string }) => void;
  /** How ufs has to write for it. */
  how: Omit<MountSpec['upper'] & object, 'directory' | 'work'>;
  /** What it can't do, or shows otherwise. */
  cannot: readonly ('hard links' | 'devices' | 'read owners in xattrs it did not begin with')[];
}

function overlayOption(lowers: readonly string[], upper: { directory: string; work: string } | undefined, more: string): string {
  return [`lowerdir=${lowers.join(':')}`, ...(upper === undefined ? [] : [`upperdir=${upper.directory}`, `workdir=${upper.work}`]), ...(more === '' ? [] : [more])].join(',');
}

export function kernelOverlayfs(options: string, how: Peer['how'], skip: string | false, cannot: Peer['cannot'] = []): Peer {
  return {
    name: `kernel overlayfs ${options}`, skip, how, cannot: options.includes('index=on') ? ['hard links', ...cannot] : cannot,
    mount: (at, lowers, upper) => void execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', overlayOption(lowers, upper, options), at]),
  };
}

export function fuseOverlayfs(options: string, env: Record<string, string>, skip: string | false, how: Peer['how'] = {}, cannot: Peer['cannot'] = []): Peer {
  return {
    name: `fuse-overlayfs ${options}${Object.keys(env).join()}`, skip, how: { redirects: false, ...how }, cannot: ['hard links', ...cannot],
    mount: (at, lowers, upper) => void execFileSync('fuse-overlayfs', ['-o', overlayOption(lowers, upper, options), at], { env: { ...process.env, ...env }, stdio: 'ignore' }),
  };
}

const LOWER = `
  mkdir -p d/sub/low opaque/below moved/deep/er gone-dir/x replaced-dir again/and/again twice/sub plain
  for f in d/append d/mode d/owner d/time d/xattr d/renamed d/linked d/sub/low/f opaque/hidden opaque/below/hidden moved/x moved/deep/y moved/deep/er/z gone gone-dir/x/f made-again replaced-file replaced-dir/f again/f again/and/f again/and/again/f twice/f twice/sub/f plain/f plain/g; do echo "lower $f" >$f; done
  ln -s gone link; mkfifo fifo; chmod 2755 plain; chmod 4755 d/mode; touch -d '2001-02-03 04:05:06.123456789' d/time plain; setfattr -n user.old -v 1 d/xattr`;
const HARD_LINKS = 'echo one >hard-a; ln hard-a hard-b; ln hard-a d/hard-c';
const DEVICE = 'mknod d/device c 1 3';

/** What is done through a peer's mount. */
const WORK = `
  rm gone; rm -rf gone-dir; rm -rf opaque; mkdir opaque; echo fresh >opaque/fresh; echo more >>d/append; chmod 0640 d/mode; chown 5:6 d/owner; touch -d '1999-09-09 09:09:09.000000009' d/time
  setfattr -n user.new -v 2 d/xattr; mv d/renamed d/other-name; ln d/linked d/sub/linked; echo x >>d/sub/linked; mv moved went; echo in >>went/deep/y; rm went/deep/er/z; mkdir went/deep/new
  rm made-again; echo again >made-again; rm replaced-file; mkdir replaced-file; echo in >replaced-file/in; rm -r replaced-dir; echo file >replaced-dir; rm -rf again/and; mkdir -p again/and/again; echo n >again/and/again/n
  mv twice once; mkdir twice; echo other >twice/f; mkdir -p new/a/b; echo n >new/a/b/n; ln -s nowhere new/link; mkfifo new/fifo; mv plain/g new/g; rm link; mkdir link; chmod 700 plain; rm plain/f; touch .wh; echo d >.whatever`;
/** What is done on top of that. */
const MORE = `
  echo back >gone; mkdir gone-dir; echo new >gone-dir/x; rm -rf opaque; mkdir opaque; mkdir opaque/below; mv went went-on; rm -rf went-on/deep; mkdir went-on/deep; mv d/other-name again/f; rm -rf again/and; rm made-again
  rm -r replaced-file; echo f >replaced-file; rm replaced-dir; mkdir replaced-dir; mv once new/a/once; rm twice/f; rmdir twice; chmod 755 new/a; rm -r d/sub/low; mkdir d/sub/low; chown 7:8 d/time; mv new newer; rmdir link`;

const ignored = { ignoreXattrs: /^security\.selinux$/ };

/** Each peer's upper shown by ufs as the peer shows it; and ufs's by the peer, which ufs had gone on to change. */
export function testPeers(peers: readonly Peer[]): void {
  const base = mkdtempSync(join(tmpdir(), 'ufs-peers-'));
  after(() => {
    for (const at of mountsBelow(base)) execFileSync('umount', ['-l', at]);
    execFileSync('rm', ['-rf', base]);
  });
  for (const [index, peer] of peers.entries()) describe(peer.name, { skip: peer.skip }, () => testPeer(peer, join(base, String(index))));
}

function testPeer(peer: Peer, base: string): void {
  const at = (name: string): string => join(base, name);
  let works = 0;
  const make = (name: string): string => {
    mkdirSync(at(name), { recursive: true });
    return at(name);
  };
  const sh = (directory: string, script: string): void => void execFileSync('/bin/bash', ['-euc', script], { cwd: directory });
  const shown = (lowers: string[], upper: string | undefined, script = ''): TreeListing => {
    peer.mount(make('mnt'), lowers, upper === undefined ? undefined : { directory: upper, work: make(`work${works++}`) });
    try {
      sh(at('mnt'), script);
      return listTree(at('mnt'), ignored);
    } finally {
      execFileSync('umount', [at('mnt')]);
    }
  };
  const byUfs = async (lowers: string[], upper: string | undefined, script = ''): Promise<TreeListing> => {
    const mount = await mountUnion({ lowers, ...(upper === undefined ? {} : { upper, work: make(`work${works++}`) }), how: peer.how });
    try {
      sh(mount.path, script);
      return listTree(mount.path, ignored);
    } finally {
      await mount.close();
    }
  };
  const same = (left: TreeListing, right: TreeListing): void => {
    assert.ok(left.size > 30);
    assert.deepEqual(treeDifferences(comparable(left), comparable(right)), []);
  };
  const comparable = (listing: TreeListing): TreeListing => {
    if (!peer.cannot.includes('hard links')) return listing;
    return new Map([...listing].map(([path, line]) => [path, line.replace(/ nlink \d+( inode of \S+)?/, '')]));
  };
  const lower = (name: string): string => {
    const can = [LOWER, ...(peer.cannot.includes('hard links') ? [] : [HARD_LINKS]), ...(peer.cannot.includes('devices') ? [] : [DEVICE])];
    sh(make(name), can.join('\n'));
    return at(name);
  };
  const links = peer.cannot.includes('hard links') ? '' : '\n echo two >>hard-a; rm hard-b; chmod 600 d/hard-c';

  test('its upper directory shows the same tree here: as upper, as lower, below others', async () => {
    const [low, upper] = [lower('lower'), make('upper')];
    shown([low], upper, WORK + links);
    const tree = shown([low], upper);
    same(tree, await byUfs([low], upper));
    same(shown([upper, low], undefined), await byUfs([upper, low], undefined));
    sh(make('top'), 'mkdir went; echo top >went/top');
    same(shown([at('top'), upper, low], undefined), await byUfs([at('top'), upper, low], undefined));
  });

  test('goes on with its upper directory where it was changed through ufs', async () => {
    const [low, upper] = [lower('lower2'), make('upper2')];
    shown([low], upper, WORK + links);
    const tree = await byUfs([low], upper, MORE);
    same(tree, shown([low], upper));
    same(tree, await byUfs([low], upper));
  });

  test('shows upper directories of ufs as the same tree: as upper, and several as lowers', async () => {
    const [low, first, second] = [lower('lower3'), make('first'), make('second')];
    if (peer.cannot.includes('read owners in xattrs it did not begin with')) for (const upper of [first, second]) shown([low], upper);
    const one = await byUfs([low], first, WORK);
    same(one, shown([low], first));
    const two = await byUfs([first, low], second, MORE);
    same(two, shown([first, low], second));
    same(await byUfs([second, first, low], undefined), shown([second, first, low], undefined));
  });
}
