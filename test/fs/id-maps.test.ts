import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { IdMap } from '../../fs/id-map.ts';
import { xattrToInside, xattrToOutside } from '../../fs/mapped-xattrs.ts';
import { nameFromText } from '../../fs/name.ts';
import { Mounter } from '../../src/mount/mounter.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';

const RANGES = [{ inside: 0, outside: 100_000, size: 1000 }, { inside: 5000, outside: 300_000, size: 10 }];
const map = new IdMap(RANGES);
const maps = { uid: map, gid: map };

test('ids are mapped by ranges; root from outside is root, others that are not mapped are refused', () => {
  assert.deepEqual([0, 999, 1000, 5009, 5010].map((id) => map.toOutside(id)), [100_000, 100_999, 65534, 300_009, 65534]);
  assert.deepEqual([100_000, 100_999, 300_009, 0].map((id) => map.toInside(id)), [0, 999, 5009, 0]);
  for (const id of [1, 99_999, 101_000, 300_010]) assert.throws(() => map.toInside(id), { code: 'EOVERFLOW' });
  const none = new IdMap([]);
  assert.deepEqual([none.toInside(7), none.toOutside(7)], [7, 7]);
});

test('file capabilities are kept as root\'s, and shown as those of the user who is root', () => {
  const kept = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  const shown = Buffer.concat([kept, Buffer.from('a0860100', 'hex')]);
  shown[3] = 3;
  assert.ok(xattrToOutside(maps, 'security.capability', kept).equals(shown));
  assert.ok(xattrToInside(maps, 'security.capability', shown).equals(kept));
  assert.ok(xattrToInside(maps, 'user.x', shown).equals(shown));
});

test('a mount shows owners, ACLs and capabilities of those outside, and keeps those of the inside', { skip: needsRootAndFuse }, async () => {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-id-maps-'));
  const at = (name: string): string => path.join(base, name);
  for (const name of ['lower', 'upper', 'work', 'mnt']) fs.mkdirSync(at(name));
  const run = (script: string): string => execFileSync('/bin/bash', ['-euc', script], { cwd: base }).toString();
  run('echo x >lower/f; chown 5:6 lower/f; setfacl -m u:7:r,g:8:rw lower/f; cp /bin/true lower/capable; setcap cap_net_raw+ep lower/capable; echo y >lower/far; chown 3000 lower/far');
  const mounter = new Mounter();
  try {
    await mounter.mount({
      target: nameFromText(at('mnt')), passthrough: 'auto', mount: { source: 'test' }, idMaps: { uid: RANGES, gid: RANGES },
      lower: { kind: 'directories', paths: [nameFromText(at('lower'))] }, upper: { directory: nameFromText(at('upper')), work: nameFromText(at('work')) },
    });
    assert.equal(run('cd mnt; stat -c %u:%g f far; getfacl -cn f | grep -E "(user|group):[0-9]"; getcap -n capable'), '100005:100006\n65534:100000\nuser:100007:r--\ngroup:100008:rw-\ncapable cap_net_raw=ep [rootid=100000]\n');
    run(`cd mnt; echo root >by-root; setpriv --reuid=100009 --regid=100010 --clear-groups true; chown 100011:300005 f; setfacl -m u:300001:rwx f; mkdir -m 777 open
      setpriv --reuid=100009 --regid=100010 --clear-groups bash -c 'echo mine >open/mine; mkdir open/d; ln -s x open/l; mkfifo open/p'
      ! setpriv --reuid=1009 --regid=100010 --clear-groups touch open/nobody 2>/dev/null; ! chown 12 f 2>/dev/null`);
    assert.equal(run('cd upper; stat -c "%n %u:%g" by-root f open/*; getfacl -cn f | grep user:[0-9]'), 'by-root 0:0\nf 11:5005\nopen/d 9:10\nopen/l 9:10\nopen/mine 9:10\nopen/p 9:10\nuser:7:r--\nuser:5001:rwx\n');
  } finally {
    await mounter.close();
    fs.rmSync(base, { recursive: true });
  }
});
