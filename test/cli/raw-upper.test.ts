import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Bench, until } from '../helpers/cli.ts';
import { needsOverlayfs, needsProgram, needsRootAndFuse } from '../helpers/needs.ts';

describe('an upper directory of plain directories', { skip: needsRootAndFuse || needsOverlayfs }, () => {
  let bench: Bench;
  before(() => {
    bench = new Bench();
    bench.sh('mkdir lower upper other work spare mnt mnt2; mkdir -p lower/d; echo x >lower/d/f');
  });
  after(() => bench.close());

  const option = (upper: string, work: string): string => `lowerdir=lower,upperdir=${upper},workdir=${work}`;

  test('is one mount\'s alone, as its work directory is, and free once that is unmounted', () => {
    bench.ufs('mount', '--detach', '-o', option('upper', 'work'), 'mnt');
    for (const [upper, work, what] of [['upper', 'spare', 'upper'], ['other', 'work', 'work']] as const) {
      const { code, err } = bench.try('mount', '--detach', '-o', option(upper, work), 'mnt2');
      assert.equal(code, 1);
      assert.ok(err.includes(`Cannot use "${bench.path(what)}" as the ${what} directory: another mount uses it`), err);
    }
    bench.ufs('mount', '--detach', '-o', option('other', 'spare'), 'mnt2');
    bench.sh('echo y >>mnt/d/f; cat mnt2/d/f; umount mnt mnt2');
    bench.ufs('mount', '--detach', '-o', option('upper', 'work'), 'mnt2');
    assert.equal(bench.sh('cat mnt2/d/f; umount mnt2'), 'x\ny\n');
  });

  test('can be read meanwhile, and mounted read-only', () => {
    bench.ufs('mount', '--detach', '-o', option('upper', 'work'), 'mnt');
    bench.ufs('mount', '--detach', '-o', `${option('upper', 'work')},ro`, 'mnt2');
    assert.equal(bench.sh('cat mnt2/d/f; ! touch mnt2/new 2>/dev/null; umount mnt mnt2'), 'x\ny\n');
  });

  test('isn\'t held by a process that was killed', async () => {
    const server = bench.start('mount', '-o', option('upper', 'work'), 'mnt');
    await until(() => bench.sh('cat mnt/d/f || :').startsWith('x'), 'the mount is up');
    server.kill('SIGKILL');
    await server.ended;
    bench.ufs('mount', '--detach', '-o', option('upper', 'work'), 'mnt');
    assert.equal(bench.sh('cat mnt/d/f; umount mnt'), 'x\ny\n');
  });

  test('gets EXDEV instead of redirects where redirect_dir=off or userxattr is given, marks in user.* with the latter', { skip: needsProgram('getfattr') }, () => {
    for (const [index, word] of ['redirect_dir=off', 'userxattr'].entries()) {
      bench.sh(`mkdir -p u${index} w${index}`);
      bench.ufs('mount', '--detach', '-o', `${option(`u${index}`, `w${index}`)},${word}`, 'mnt');
      bench.sh('mv mnt/d mnt/e; mkdir mnt/d; umount mnt');
      assert.equal(bench.sh(`cat u${index}/e/f; getfattr --absolute-names -d -m overlay.redirect u${index}/e; getfattr --absolute-names --only-values -m overlay.opaque -d u${index}/d; getfattr --absolute-names -m 'user.overlay' u${index}/d | grep -c user || :`), `x\ny${index === 0 ? '0' : '1'}\n`);
    }
  });

  test('is over data-only lowers as in overlayfs: copies that name it have their data there, and nothing else of them shows', () => {
    const option = 'lowerdir=meta:plain::data1::data2';
    bench.sh(`mkdir -p meta/d plain data1/x data2/y dataup datawork; echo one >data1/x/1; echo two >data2/y/2; echo p >plain/p
      for f in 1 2; do truncate -s 4 meta/d/$f; setfattr -n trusted.overlay.metacopy meta/d/$f; done; truncate -s 4 plain/low; setfattr -n trusted.overlay.metacopy plain/low
      setfattr -n trusted.overlay.redirect -v /x/1 meta/d/1; setfattr -n trusted.overlay.redirect -v /y/2 meta/d/2; setfattr -n trusted.overlay.redirect -v /x/1 plain/low`);
    const look = 'cd mnt; find . | sort; cat d/1 d/2 low p';
    bench.sh(`mount -t overlay overlay -o ro,${option},redirect_dir=follow,metacopy=on mnt`);
    const shown = bench.sh(`(${look}); umount mnt`);
    bench.ufs('mount', '--detach', '-o', `${option},upperdir=dataup,workdir=datawork,metacopy=on`, 'mnt');
    assert.equal(bench.sh(look), shown);
    assert.equal(bench.sh('chmod 600 mnt/d/1; mv mnt/d/1 mnt/moved; cat mnt/moved; echo more >>mnt/d/2; cat mnt/d/2; umount mnt'), 'one\ntwo\nmore\n');
    for (const wrong of ['meta::data1:plain', ':meta', 'meta:', 'meta:::data1']) assert.equal(bench.try('mount', '-o', `lowerdir=${wrong}`, 'mnt').code, 2, wrong);
  });

  test('is taken over by kernel overlayfs with an index of its own, work directory and all, and back', () => {
    const overlay = `mount -t overlay overlay -o ${option('linkup', 'linkwork')},index=on,redirect_dir=on,metacopy=on mnt`;
    bench.sh('mkdir linkup linkwork; echo 1 >lower/a; ln lower/a lower/b; ln lower/a lower/c');
    bench.ufs('mount', '--detach', '-o', option('linkup', 'linkwork'), 'mnt');
    bench.sh('echo 2 >>mnt/a; rm mnt/b; umount mnt');
    assert.equal(bench.sh(`${overlay}; cat mnt/a; ls mnt; echo 3 >>mnt/a; umount mnt`), '1\n2\na\nc\nd\n');
    bench.ufs('mount', '--detach', '-o', option('linkup', 'linkwork'), 'mnt');
    assert.equal(bench.sh('cat mnt/a mnt/c; ls mnt; umount mnt'), '1\n2\n3\n1\n2\n3\na\nc\nd\n');
  });

  test('keeps owners in xattrs with xattr_permissions=2', () => {
    bench.sh('mkdir owners owork; chown 3:4 lower/d/f');
    bench.ufs('mount', '--detach', '-o', `${option('owners', 'owork')},xattr_permissions=2`, 'mnt');
    bench.sh('echo y >>mnt/d/f; chmod 4711 mnt/d/f; echo n >mnt/new; chown 5:6 mnt/new; mkdir mnt/dir; ln -s x mnt/link');
    const seen = bench.sh('cd mnt; stat -c "%n %u:%g %a %F" d/f new dir link');
    assert.match(seen, /d\/f 3:4 4711 .*\nnew 5:6 644 .*\ndir 0:0 755 .*\nlink 0:0 777/);
    assert.equal(bench.sh('cd owners; stat -c "%n %u:%g %a" d/f new dir'), 'd/f 0:0 600\nnew 0:0 600\ndir 0:0 700\n');
    assert.equal(bench.sh('getfattr --absolute-names --only-values -n user.containers.override_stat owners/d/f'), '3:4:4711');
    bench.sh('umount mnt');
    bench.ufs('mount', '--detach', '-o', option('owners', 'owork'), 'mnt');
    assert.equal(bench.sh('cd mnt; stat -c "%n %u:%g %a %F" d/f new dir link'), seen);
    bench.sh('umount mnt');
  });
});
