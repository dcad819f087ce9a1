import assert from 'node:assert/strict';
import fs from 'node:fs';
import { renameAt } from '../../../fs/host/at.ts';
import { AT_FDCWD, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../../fs/host/constants.ts';
import { as, directory, fails, file, stat } from '../case.ts';
import type { Fixture, PosixCase, PosixCases } from '../case.ts';
import { describe, KINDS } from './rename.ts';

const kinds = Object.keys(KINDS);
/** A directory for each kind of target, with a source in `p` and the target in `q`. */
function grid(source: string): Fixture {
  return Object.fromEntries(kinds.flatMap((target, index) => Object.entries({
    [`${index}`]: directory(), [`${index}/p`]: directory(), [`${index}/q`]: directory(), ...KINDS[source](`${index}/p/s`), ...KINDS[target](`${index}/q/t`),
  })));
}

/** renameat2(2) of a kind onto every kind: the errno of each, undefined where it is done, and then what the names are. */
function matrix(source: string, flags: number, expected: (target: string) => string | undefined): PosixCase {
  return {
    fixture: grid(source),
    run(dir) {
      for (const [index, target] of kinds.entries()) {
        const [from, to] = [`${dir}/${index}/p/s`, `${dir}/${index}/q/t`];
        const before = [describe(from), describe(to)];
        const rename = (): void => renameAt(AT_FDCWD, from, AT_FDCWD, to, flags);
        const code = expected(target);
        if (code === undefined) rename();
        else fails(code, rename);
        const wanted = code !== undefined ? before : flags === RENAME_EXCHANGE ? before.toReversed() : ['nothing', before[0]];
        assert.deepEqual([describe(from), describe(to)], wanted, `onto ${target}`);
        if (flags !== RENAME_EXCHANGE || code !== undefined) continue;
        rename();
        assert.deepEqual([describe(from), describe(to)], before, `back from ${target}`);
      }
    },
  };
}

const U = 54_321;
const G = 54_322;

export const renameFlagCases: PosixCases = {
  'rename of nothing is ENOENT, whatever is there': matrix('nothing', 0, () => 'ENOENT'),
  'a directory its user can\'t write in is renamed in its parent, not to another': {
    root: true,
    fixture: { p: directory({ uid: U }), 'p/d': directory(), 'p/own': directory({ uid: U }), q: directory({ uid: U }) },
    run(dir) {
      as(U, G, () => {
        fs.renameSync(`${dir}/p/d`, `${dir}/p/e`);
        fails('EACCES', () => fs.renameSync(`${dir}/p/e`, `${dir}/q/e`));
        fs.renameSync(`${dir}/p/own`, `${dir}/q/own`);
      });
      assert.ok(stat(`${dir}/p/e`).isDirectory());
    },
  },
  'RENAME_EXCHANGE in a sticky directory needs the rights to both names': {
    root: true,
    fixture: { t: directory({ mode: 0o1777 }), 't/mine': file('1', { uid: U }), 't/also': file('2', { uid: U }), 't/other': file('3', { uid: U + 1 }) },
    run(dir) {
      as(U, G, () => {
        fails('EPERM', () => renameAt(AT_FDCWD, `${dir}/t/mine`, AT_FDCWD, `${dir}/t/other`, RENAME_EXCHANGE));
        renameAt(AT_FDCWD, `${dir}/t/mine`, AT_FDCWD, `${dir}/t/also`, RENAME_EXCHANGE);
      });
      assert.equal(describe(`${dir}/t/mine`).at(-1), '2');
    },
  },
};

for (const source of kinds) {
  renameFlagCases[`RENAME_NOREPLACE of ${source}: ${source === 'nothing' ? 'ENOENT' : 'EEXIST, and done where nothing is'}`] =
    matrix(source, RENAME_NOREPLACE, (target) => (source === 'nothing' ? 'ENOENT' : target === 'nothing' ? undefined : 'EEXIST'));
  renameFlagCases[`RENAME_EXCHANGE of ${source} with each kind: ${source === 'nothing' ? 'ENOENT' : 'done, and ENOENT for nothing'}`] =
    matrix(source, RENAME_EXCHANGE, (target) => (source === 'nothing' || target === 'nothing' ? 'ENOENT' : undefined));
}
