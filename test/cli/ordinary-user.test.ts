import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Bench, mountsBelow } from '../helpers/cli.ts';
import { needsProgram } from '../helpers/needs.ts';
import { needsOtherUser, runAsUser, userMain } from '../helpers/ordinary-user.ts';
import { treeDifferences, type TreeListing } from '../helpers/tree.ts';

/** What a user does in a directory of theirs. */
const WORK = `
  cat dir/one; echo more >>dir/one; chmod 640 secret; chmod 0444 two; touch -d 2001-02-03 secret; setfattr -n user.added -v x dir/one
  rm gone; mv dir renamed; mv moved renamed/here; rm -r opaque; mkdir opaque; echo fresh >opaque/fresh; mkdir -p new/deep; echo x >new/deep/x; ln linked-a new/linked-c; echo y >>linked-b
  echo more >>locked-in/file; chmod 750 locked-in/sub; mv locked-in locked-out; mv locked-out/sub/file taken; rm refilled/hidden; rmdir refilled; mkdir -m 0555 refilled
  rm emptied/hidden; chmod 0555 emptied; rmdir emptied; mkdir emptied; rm filled/hidden; chmod 0555 filled; mkdir -m 0555 filler; mv -T filler filled; mkdir -m 0311 drop; echo x >drop/x; cat drop/x; chmod 0700 drop
  (chmod 0555 cycle; mv cycle cycled; mv cycled cycle); ! touch locked-out/new 2>/dev/null; ! rm locked-out/file 2>/dev/null; ! mv locked-out private 2>/dev/null
  ln -s two symlink; mkfifo fifo; truncate -s 3 three; echo end >>big; cp -p secret copy; ./program; sed -i s/four/five/ four; echo z >private/z; chmod 2700 private
  (umask 0222; echo q >made-read-only; mkdir made-locked); install -m 0444 three installed; mkdir -m 0500 locked; tar -cf - -C renamed . | tar -xf - -C new
  ! echo no 2>/dev/null >>read-only; ! chown 1 two 2>/dev/null; ! mknod null c 1 3 2>/dev/null`;

describe('an ordinary user outside of any user namespace', { skip: needsOtherUser || needsProgram('fusermount3') }, () => {
  let bench: Bench;
  let main: string;
  before(() => {
    bench = new Bench();
    bench.sh(`mkdir -p own/{dir/deep,opaque,private} mnt again
      cd own; echo one >dir/one; echo deep >dir/deep/file; echo two >two; echo three >three; echo four >four; echo a >gone; echo b >moved; echo h >opaque/hidden; echo a >linked-a; ln linked-a linked-b
      cp /bin/true program; head -c 700000 /dev/zero >big; echo s >secret; setfattr -n user.note -v value secret; chmod 0400 secret; echo ro >read-only; chmod 0444 read-only
      mkdir -p locked-in/sub refilled emptied filled cycle; for d in locked-in locked-in/sub cycle; do echo l >$d/file; chmod 0555 $d; done; for d in refilled emptied filled; do echo h >$d/hidden; done; chmod 0555 locked-in; cd ..
      mkdir -p theirs/{open,etc}; echo readable >theirs/etc/readable; echo writable >theirs/open/writable; echo hidden >theirs/etc/hidden; cp /bin/true theirs/suid
      chmod 1777 theirs/open; chmod 0666 theirs/open/writable; chmod 0600 theirs/etc/hidden; chmod 4755 theirs/suid
      tar --owner=0 --group=0 -cf theirs.tar -C theirs .; rm -r theirs`);
    main = userMain(bench);
    ran('tar --format=posix --xattrs -cf own.tar -C own .; ufs import own.tar --name own:1 >/dev/null; ufs save own:1 -o image.tar; ufs import theirs.tar --name theirs >/dev/null; ufs rm own:1');
  });
  after(() => bench.close());

  function ran(script: string): string {
    const { code, out, err } = runAsUser(bench, main, script);
    assert.equal(code, 0, `${script}\n${err}${out}`);
    return out;
  }

  /** A tree as the user sees it: nobody else gets into the mount. */
  function seen(path: string): TreeListing {
    const list = `import { listTree } from '${resolve(main, '../../../test/helpers/tree.js')}'; console.log(JSON.stringify([...listTree('${bench.path(path)}', { mtime: false })]))`;
    return new Map(JSON.parse(ran(`${process.execPath} --input-type=module -e "${list}"`)) as [string, string][]);
  }

  test('loads an image with files of their own, and sees in a mount of it what it was made from', () => {
    assert.match(ran('ufs load image.tar'), /^Loaded own:1 /);
    ran('ufs create own:1 --name c >/dev/null; ufs mount c mnt --detach');
    assert.deepEqual(treeDifferences(seen('own'), seen('mnt')), []);
    assert.equal(ran('ufs changes c'), '');
  });

  test('is the only one who gets in, and has neither setuid programs nor devices there', () => {
    assert.throws(() => readdirSync(bench.path('mnt')), { code: 'EACCES' });
    assert.match(ran('grep " $PWD/mnt " /proc/mounts'), /fuse\.ufs rw,nosuid,nodev,/);
  });

  test('works in it as in a plain directory', () => {
    const [plain, mounted] = ['own', 'mnt'].map((directory) => ran(`cd ${directory}; ${WORK}`));
    assert.equal(mounted, plain);
    assert.deepEqual(treeDifferences(seen('own'), seen('mnt')), []);
  });

  test('is told the changes, and commits them as an image that shows the same tree', () => {
    const changes = ran('ufs changes c').split('\n');
    for (const line of ['D /gone', 'D /dir', 'A /renamed', 'A /renamed/here', 'D /opaque/hidden', 'A /opaque/fresh', 'C /secret', 'A /new/linked-c', 'C /big', 'A /private/z', 'D /locked-in', 'C /refilled', 'D /refilled/hidden', 'C /filled', 'D /filled/hidden']) assert.ok(changes.includes(line), `${line} in ${changes.join('\n')}`);
    ran('ufs umount c; ufs commit c own:2 >/dev/null; ufs mount own:2 again --read-only --detach');
    assert.deepEqual(treeDifferences(seen('own'), seen('again')), []);
    ran('ufs umount again');
  });

  test('reads what others own in an image, can\'t change it, and is told why; nothing of it is half done', () => {
    ran('ufs create theirs --name t >/dev/null; ufs mount t mnt --detach');
    const untouched = ran('ufs changes t');
    assert.equal(ran('cat mnt/etc/readable mnt/open/writable; stat -c "%u:%g %a" mnt/etc/hidden mnt/suid'), 'readable\nwritable\n0:0 600\n0:0 4755\n');
    for (const [command, reason] of [
      ['cat mnt/etc/hidden', 'Permission denied'], ['touch mnt/etc/new', 'Permission denied'], ['rm mnt/etc/readable', 'Permission denied'], ['chmod 644 mnt/etc/hidden', 'Operation not permitted'],
      // Here the modes would allow it, but the copy would have to be given to its owner.
      ['bash -c "echo x >>mnt/open/writable"', 'Operation not permitted'], ['touch mnt/open/new', 'Operation not permitted'],
    ] as const) {
      const { code, err } = runAsUser(bench, main, `LC_ALL=C ${command}`);
      assert.notEqual(code, 0, command);
      assert.ok(err.includes(reason), `${command}: ${err}`);
    }
    assert.equal(ran('ufs changes t'), untouched);
    assert.equal(ran('cat mnt/open/writable; ls -A mnt/open'), 'writable\nwritable\n');
    ran('ufs umount t; ufs check');
    assert.deepEqual(mountsBelow(bench.directory), []);
  });
});
