import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { Bench } from '../helpers/cli.ts';
import { needsProgram } from '../helpers/needs.ts';
import { asUser, needsOtherUser, runAsUser, userMain } from '../helpers/ordinary-user.ts';

const skip = needsOtherUser || needsProgram('unshare') ||
  (spawnSync(asUser[0], [...asUser.slice(1), 'unshare', '-Urm', 'true']).status === 0 ? false : 'needs user namespaces for unprivileged users');

describe('an unprivileged user', { skip }, () => {
  let bench: Bench;
  let main: string;
  before(() => {
    bench = new Bench();
    bench.sh(`mkdir -p l1/dir l2; echo one >l1/dir/one; echo two >l1/two; ln l1/two l1/linked; echo three >l2/three; : >l2/.wh.linked
      for n in 1 2; do tar --owner=0 --group=0 -cf $n.tar -C l$n .; done; mkdir mnt again`);
    main = userMain(bench);
  });
  after(() => bench.close());

  test('loads, mounts, writes, sees the changes and commits, in a namespace of its own', () => {
    const { code, out, err } = runAsUser(bench, main, `
      parent=$(ufs import 1.tar); ufs import 2.tar --parent $parent --name image >/dev/null
      ufs mount image mnt --name c --detach >/dev/null
      cat mnt/three; test ! -e mnt/linked; stat -c '%u:%g %h' mnt/two
      echo more >>mnt/two; rm mnt/dir/one; mkdir mnt/new; echo x >mnt/new/x; mv mnt/dir mnt/renamed
      ufs changes c
      ufs commit c changed >/dev/null
      ufs mount changed again --read-only --detach
      cat again/two again/new/x; ls again; ufs umount mnt again; ufs check`, ['unshare', '-Urm', '--propagation', 'slave']);
    assert.equal(code, 0, err + out);
    assert.match(out, /^three\n0:0 1\n/);
    for (const line of ['C /two', 'D /dir', 'A /new/x', 'A /renamed', 'two\nmore\nx\n', 'renamed']) assert.ok(out.includes(line), `${line} in ${out}`);
    assert.match(out, /The store is sound: 3 layers/);
  });

  test('sees files of others that it may not read in plain directories, and works beside them', () => {
    bench.sh(`mkdir -p others/top/open others/low/{open,shut,shut2}; cd others; echo x >low/secret; echo x >low/open/secret; echo x >low/mine; echo x >low/shut/in; echo x >low/open/f; mkdir top/shut upper; mkdir low/searched; echo s >low/searched/s
      setfattr -n user.a -v b low/secret; setfattr -n user.a -v b low/shut; chmod 0600 low/secret low/open/secret; chmod 0700 low/shut low/shut2; chmod 0711 low/searched; chmod 0700 top/shut
      mkdir upper/kept; echo x >upper/kept/f; : >upper/secret2; chmod 0700 upper/kept; chmod 0600 upper/secret2; chown 65534:65534 . low/mine low/open low/open/f top top/open upper`);
    const script = `cd others; mkdir work mnt; ufs mount --detach -o lowerdir=top:low,upperdir=upper,workdir=work mnt
      stat -c '%n %a' mnt/secret mnt/open/secret mnt/shut mnt/shut2 mnt/kept mnt/secret2 mnt/searched; ls -A mnt mnt/open; cat mnt/mine; ! cat mnt/secret 2>/dev/null; ! ls mnt/shut 2>/dev/null; cat mnt/searched/s
      getfattr -d mnt/shut 2>/dev/null || :; echo y >>mnt/mine; echo z >>mnt/open/f; mv mnt/open mnt/opened; ls mnt/opened; umount mnt; cat upper/mine`;
    const { code, out, err } = runAsUser(bench, main, script, ['unshare', '-Urm', '--propagation', 'slave']);
    assert.equal(code, 0, err + out);
    assert.equal(out, `mnt/secret 600\nmnt/open/secret 600\nmnt/shut 700\nmnt/shut2 700\nmnt/kept 700\nmnt/secret2 600\nmnt/searched 711
mnt:\nkept\nmine\nopen\nsearched\nsecret\nsecret2\nshut\nshut2\n\nmnt/open:\nf\nsecret\nx\ns\nf\nsecret\nx\ny\n`);
  });

  test('has one default store, in the home directory, inside of a namespace and out of it', () => {
    for (const namespace of [[], ['unshare', '-Urm', '--propagation', 'slave']]) {
      const { code, out, err } = runAsUser(bench, main, `HOME=${bench.directory} XDG_DATA_HOME= UFS_ROOT= ${process.execPath} ${main} status --json`, namespace);
      assert.equal(code, 0, err);
      assert.equal((JSON.parse(out) as { root: string }).root, bench.path('.local/share/ufs'));
    }
  });

  test('mounts through fusermount3 outside of any namespace', { skip: needsProgram('fusermount3') }, () => {
    const { code, out, err } = runAsUser(bench, main, `
      mkdir -p upper work
      ufs mount --detach -o lowerdir=l2:l1,upperdir=upper,workdir=work mnt
      cat mnt/dir/one mnt/three; echo changed >mnt/dir/one; rm mnt/two; ls mnt; fusermount3 -u mnt; cat upper/dir/one`);
    assert.equal(code, 0, err + out);
    assert.equal(out, 'one\nthree\ndir\nthree\nchanged\n');
  });
});
