import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { O_RDWR } from '../../fs/host/constants.ts';
import { Driver, dumpMerged, Scratch } from '../union/driver.ts';
import { type FaultKind, withFault } from './host-faults.ts';

const scratch = new Scratch(`echo "data of f" > f; ln f other; mkdir d; echo "data of g" > d/g; touch -d '1999-02-03 04:05:06.5' f d/g`);
after(() => scratch.remove());

const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');

/** Metadata-only copies of a file with two names and of one with one, with all that writing to them would change. */
function prepare(): void {
  for (const path of [scratch.upper, scratch.work]) {
    rmSync(path, { recursive: true });
    mkdirSync(path);
  }
  const driver = new Driver(scratch, { metacopy: true });
  for (const path of ['f', 'd/g']) {
    driver.set(path, { mode: 0o4750 });
    driver.at(path, (id) => driver.fs.setxattr(driver.caller, id, 'security.capability', CAPABILITY, 0, { killSetgid: false }));
  }
  driver.unmount();
}

const open = (path: string) => (driver: Driver): void => driver.at(path, (id) => {
  const { handle } = driver.fs.open(driver.caller, id, O_RDWR, { exec: false, killPrivileges: false }) as { handle: number };
  driver.fs.release(id, handle);
});

const operations: Record<string, { run: (driver: Driver) => void; truncates?: boolean }> = {
  'opening to write': { run: open('d/g') },
  'opening to write by another name': { run: open('other') },
  'truncation to nothing': { run: (driver) => driver.set('d/g', { size: 0 }), truncates: true },
  'renaming': { run: (driver) => driver.rename('d/g', 'g') },
  'linking': { run: (driver) => driver.link('f', 'd/third') },
  'a change of mode': { run: (driver) => driver.set('f', { mode: 0o600 }) },
};

/** All that is shown, with mtimes of before; a truncation's is now. */
function look(driver: Driver): string[] {
  const lines = driver.dump();
  for (const path of ['f', 'other', 'd/g']) {
    if (!driver.exists(path)) continue;
    const { mtimeSec, mtimeNsec, size } = driver.stat(path);
    if (size > 0) lines.push(`${path} ${mtimeSec}.${mtimeNsec}`);
  }
  return lines;
}

for (const [name, { run, truncates }] of Object.entries(operations)) for (const kind of ['once', 'killed'] satisfies FaultKind[]) {
  test(`${name} of a metadata-only copy is done or not done, whichever host call ${kind === 'once' ? 'fails' : 'is the last of the process'}`, () => {
    prepare();
    let driver = new Driver(scratch);
    const before = look(driver);
    run(driver);
    const done = look(driver);
    driver.unmount();
    for (let at = 1; ; at += 1) {
      prepare();
      driver = new Driver(scratch);
      const { call, error } = withFault({ kind, at, code: 'EIO' }, () => run(driver));
      const what = `${call ?? 'nothing'} (${at}) fails`;
      const allowed = [before, done].map((lines) => lines.join('\n'));
      if (kind === 'once') {
        if (error !== undefined) assert.equal((error as { code?: string }).code, 'EIO', what);
        const shown = look(driver).join('\n');
        assert(allowed.includes(shown), `${what}: ${shown}`);
        if (error === undefined) assert.equal(shown, allowed[1], what);
        else if (truncates !== true && call !== 'close' && call !== 'statx') assert.equal(shown, allowed[0], what);
      }
      driver.unmount();
      const offline = dumpMerged(scratch).join('\n');
      driver = new Driver(scratch);
      const shown = look(driver).join('\n');
      assert(allowed.includes(shown), `${what}, mounted anew: ${shown}`);
      assert.equal(offline, driver.dump().join('\n'), `${what}, looked at without a mount`);
      if (shown === allowed[0]) run(driver);
      assert.equal(look(driver).join('\n'), allowed[1], `${what}, done again`);
      driver.unmount();
      if (call === undefined) break;
    }
  });
}
