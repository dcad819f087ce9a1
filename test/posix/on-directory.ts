import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { clearUmask } from '../../fs/host/make.ts';
import { cannotRun, writeFixture } from './case.ts';
import { posixCases } from './cases.ts';

/** Declares all cases on a plain directory: is what they say right? */
export function testOnDirectory(): void {
  describe('plain directory', () => {
    let base: string;
    before(() => {
      clearUmask();
      base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-posix-'));
      fs.chmodSync(base, 0o755);
    });
    after(() => execFileSync('rm', ['-rf', base]));

    for (const [index, [title, definition]] of Object.entries(posixCases).entries()) {
      test(title, { skip: cannotRun(definition) }, async (t) => {
        const dir = path.join(base, String(index));
        writeFixture(definition.fixture ?? {}, dir);
        const reason = await definition.run(dir);
        if (typeof reason === 'string') t.skip(reason);
      });
    }
  });
}
