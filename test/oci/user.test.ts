import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { close, openPath } from '../../fs/host/at.ts';
import { O_DIRECTORY, O_PATH } from '../../fs/host/constants.ts';
import { type ProcessUser, resolveUser } from '../../src/oci/user.ts';

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\n\n# comment\nworker:x:1000:1001::/work:/bin/sh\n4000:x:1234:1235::/:/bin/sh\nbroken:x:none:0\nshort\nhuge:x:4294967296:0::/:/bin/sh\n';
const GROUP = 'root:x:0:\nworkers:x:1001:\nhelpers:x:1002:worker\nothers:x:1003:root,worker\nagain:x:1003:worker\nbroken:x:none:worker\n';

describe('whom a process of an image runs as', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'ufs-user-'));
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'etc/passwd'), PASSWD);
    writeFileSync(join(root, 'etc/group'), GROUP);
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function resolved(words: string): ProcessUser {
    const fd = openPath(root, O_PATH | O_DIRECTORY);
    try {
      return resolveUser(fd, words);
    } finally {
      close(fd);
    }
  }

  test('is found by name or id, with the user\'s group and the further ones, or the group that is said', () => {
    for (const [words, uid, gid, additionalGids] of [
      ['', 0, 0, [1003]], ['root', 0, 0, [1003]], ['worker', 1000, 1001, [1002, 1003]], ['1000', 1000, 1001, [1002, 1003]], ['01000', 1000, 1001, [1002, 1003]], ['4000', 1234, 1235, []],
      ['worker:helpers', 1000, 1002, []], ['worker:1002', 1000, 1002, []], ['worker:', 1000, 1001, [1002, 1003]], [':workers', 0, 1001, []], ['77', 77, 0, []], ['77:88', 77, 88, []], ['77:others', 77, 1003, []],
      ['2147483647', 2147483647, 0, []],
    ] as const) assert.deepEqual(resolved(words), { uid, gid, additionalGids }, words);
  });

  test('has to be there where a name is said', () => {
    for (const words of ['nobody', 'short', 'broken', 'huge', '2147483648', '-1', '1e3', 'Worker']) assert.throws(() => resolved(words), { code: 'UFS_USER_NOT_FOUND', message: /unable to find user .*: no matching entries in passwd file/ }, words);
    for (const words of ['worker:nothing', 'worker:broken', '0:2147483648']) assert.throws(() => resolved(words), { code: 'UFS_USER_NOT_FOUND', message: /unable to find group .*: no matching entries in group file/ }, words);
  });

  test('may be an id where there are no account files', () => {
    rmSync(join(root, 'etc'), { recursive: true });
    assert.deepEqual(resolved('5:6'), { uid: 5, gid: 6, additionalGids: [] });
    assert.deepEqual(resolved(''), { uid: 0, gid: 0, additionalGids: [] });
    assert.throws(() => resolved('root'), { code: 'UFS_USER_NOT_FOUND' });
  });

  test('isn\'t looked up in files of the host, nor in what isn\'t a file of a sensible size', () => {
    const passwd = join(root, 'etc/passwd');
    const replace = (make: () => void): void => {
      rmSync(passwd, { force: true, recursive: true });
      make();
    };
    replace(() => symlinkSync('/etc/passwd', passwd));
    assert.throws(() => resolved('daemon'), { code: 'ELOOP' });
    replace(() => symlinkSync('../../../../../../../../etc/group', passwd));
    assert.throws(() => resolved('daemon'), { code: 'UFS_USER_NOT_FOUND' });
    replace(() => symlinkSync('/real/passwd', passwd));
    mkdirSync(join(root, 'real'));
    writeFileSync(join(root, 'real/passwd'), PASSWD);
    assert.equal(resolved('worker').uid, 1000);
    for (const make of [() => execFileSync('mkfifo', [passwd]), () => mkdirSync(passwd), () => (writeFileSync(passwd, ''), truncateSync(passwd, 1e9))]) {
      replace(make);
      assert.throws(() => resolved('daemon'), { code: 'UFS_USER_NOT_FOUND', message: /it is no file, or too large/ });
    }
  });
});
