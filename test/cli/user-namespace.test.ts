import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Bench, MAIN } from '../helpers/cli.ts';
import { needsProgram, needsRootAndFuse } from '../helpers/needs.ts';

const USER = 65_534;
const asUser = ['setpriv', '--reuid', String(USER), '--regid', String(USER), '--clear-groups'];
const skip = needsRootAndFuse || needsProgram('setpriv') || needsProgram('unshare') ||
  (spawnSync(asUser[0] as string, [...asUser.slice(1), 'unshare', '-Urm', 'true']).status === 0 ? false : 'needs user namespaces for unprivileged users');

describe('an unprivileged user', { skip }, () => {
  let bench: Bench;
  let main = MAIN;
  before(() => {
    bench = new Bench();
    if (spawnSync(asUser[0] as string, [...asUser.slice(1), 'test', '-r', MAIN]).status !== 0) {
      // The clone is in a folder the user can't enter.
      const root = resolve(dirname(MAIN), '../../..');
      for (const part of ['dist', 'node_modules', 'package.json']) cpSync(`${root}/${part}`, bench.path('copy', part), { recursive: true });
      main = bench.path('copy/dist/src/cli/main.js');
    }
    bench.sh(`mkdir -p l1/dir l2; echo one >l1/dir/one; echo two >l1/two; ln l1/two l1/linked; echo three >l2/three; : >l2/.wh.linked
      for n in 1 2; do tar --owner=0 --group=0 -cf $n.tar -C l$n .; done; mkdir mnt again; chown -R ${USER}:${USER} .; chmod 0755 .`);
  });
  after(() => bench.close());

  const inNamespace = (script: string): string => {
    const [command, ...rest] = [...asUser, 'unshare', '-Urm', '/bin/bash', '-euo', 'pipefail', '-c', `ufs() { ${process.execPath} ${main} --root ${bench.directory}/store "$@"; }; ${script}`];
    const result = bench.run(command as string, rest);
    assert.equal(result.code, 0, result.err + result.out);
    return result.out;
  };

  test('loads, mounts, writes, sees the changes and commits, in a namespace of its own', () => {
    const out = inNamespace(`
      parent=$(ufs import 1.tar); ufs import 2.tar --parent $parent --name image >/dev/null
      ufs mount image mnt --name c --detach >/dev/null
      cat mnt/three; test ! -e mnt/linked; stat -c '%u:%g %h' mnt/two
      echo more >>mnt/two; rm mnt/dir/one; mkdir mnt/new; echo x >mnt/new/x; mv mnt/dir mnt/renamed
      ufs changes c
      ufs commit c changed >/dev/null
      ufs mount changed again --read-only --detach
      cat again/two again/new/x; ls again; ufs umount mnt again; ufs check`);
    assert.match(out, /^three\n0:0 1\n/);
    for (const line of ['C /two', 'D /dir', 'A /new/x', 'A /renamed', 'two\nmore\nx\n', 'renamed']) assert.ok(out.includes(line), `${line} in ${out}`);
    assert.match(out, /The store is sound: 3 layers/);
  });

  test('mounts through fusermount3 outside of any namespace', { skip: needsProgram('fusermount3') }, () => {
    const [command, ...rest] = [...asUser, '/bin/bash', '-euo', 'pipefail', '-c', `
      ufs() { ${process.execPath} ${main} --root ${bench.directory}/store "$@"; }
      mkdir -p upper work
      ufs mount --detach -o lowerdir=l2:l1,upperdir=upper,workdir=work mnt
      cat mnt/dir/one mnt/three; echo changed >mnt/dir/one; rm mnt/two; ls mnt; fusermount3 -u mnt; cat upper/dir/one`];
    const result = bench.run(command as string, rest);
    assert.equal(result.code, 0, result.err + result.out);
    assert.equal(result.out, 'one\nthree\ndir\nthree\nchanged\n');
  });
});
