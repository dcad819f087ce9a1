import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { clearUmask } from '../../fs/host/make.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { mountable } from './lowers.ts';
import type { LowerKind, Mountable } from './lowers.ts';
import { DirectoryStream } from './system.ts';

const below = (index: number): string => `name-${index}`;

/** Names of a directory as readdir(3) gives them, "." and ".." among them. */
function* read(name: string): Generator<string> {
  const stream = new DirectoryStream(name);
  try {
    for (let entry = stream.next(); entry !== undefined; entry = stream.next()) yield entry;
  } finally {
    stream.close();
  }
}

for (const [lower, count] of [['directories', 100_000], ['image', 20_000]] as const satisfies [LowerKind, number][]) {
  describe(`a directory of ${count} names, ${lower} below`, { skip: needsRootAndFuse }, () => {
    let base: string;
    let mount: Mountable;
    let big: string;

    before(async () => {
      clearUmask();
      base = fs.mkdtempSync(path.join(os.tmpdir(), 'ufs-posix-'));
      const [top, lowest] = ['top', 'lowest'].map((layer) => path.join(base, layer)) as [string, string];
      fs.mkdirSync(path.join(top, 'big'), { recursive: true });
      fs.mkdirSync(path.join(lowest, 'big'), { recursive: true });
      execFileSync('sh', ['-c', `seq -f name-%.0f 0 2 ${count - 1} | (cd ${lowest}/big && xargs touch); seq -f name-%.0f 1 2 ${count - 1} | (cd ${top}/big && xargs touch)`]);
      mount = await mountable(lower, [top, lowest], { base, passthrough: 'auto', transport: 'dev-fuse' });
      big = path.join(await mount.mount(), 'big');
    });
    after(async () => {
      await mount?.close();
      execFileSync('rm', ['-rf', base]);
    });

    test('gives every name once', () => {
      const all = [...read(big)];
      assert.equal(all.length, count + 2);
      assert.deepEqual(new Set(all), new Set(['.', '..', ...Array.from({ length: count }, (_, index) => below(index))]));
    });

    test('goes on from any place that telldir told, also long after', () => {
      const stream = new DirectoryStream(big);
      const places: [place: number, next: string][] = [];
      for (let index = 0; ; index++) {
        const place = stream.tell();
        const name = stream.next();
        if (name === undefined) break;
        if (index % 997 === 0) places.push([place, name]);
      }
      assert.ok(places.length > 10);
      for (const [place, name] of places.reverse()) {
        stream.seek(place);
        assert.equal(stream.next(), name);
      }
      stream.close();
    });

    test('that is changed while it is read gives all that stays, once, and nothing twice', () => {
      const seen = new Map<string, number>();
      let index = 0;
      for (const name of read(big)) {
        seen.set(name, (seen.get(name) ?? 0) + 1);
        // Each hundredth turn something comes, something goes, and something gets another name, before or behind where the reader is.
        if (index++ % 100 !== 0) continue;
        const at = index * 7919 % count;
        fs.writeFileSync(`${big}/made-${index}`, '');
        fs.rmSync(`${big}/${below(at)}`, { force: true });
        if (fs.existsSync(`${big}/${below(at + 1)}`)) fs.renameSync(`${big}/${below(at + 1)}`, `${big}/renamed-${index}`);
      }
      assert.deepEqual([...seen].filter(([, count]) => count > 1), []);
      const left = fs.readdirSync(big);
      assert.deepEqual(left.filter((name) => name.startsWith('name-') && !seen.has(name)), []);
      assert.ok(left.length > count - count / 50);
      assert.equal(new Set(left).size, left.length);
    });
  });
}
