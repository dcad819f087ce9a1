import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { clearUmask } from '../../fs/host/make.ts';
import { writeFixture } from './case.ts';
import { posixCases } from './cases.ts';

clearUmask();
const base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-posix-'));
fs.chmodSync(base, 0o755);
after(() => execFileSync('rm', ['-rf', base]));

for (const [index, [title, { fixture, root, run }]] of Object.entries(posixCases).entries()) {
  const skip = root && process.geteuid?.() !== 0 ? 'needs root' : false;
  test(`host: ${title}`, { skip }, async (t) => {
    const dir = path.join(base, String(index));
    writeFixture(fixture ?? {}, dir);
    const reason = await run(dir);
    if (typeof reason === 'string') t.skip(reason);
  });
}
