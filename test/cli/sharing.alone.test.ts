import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Bench } from '../helpers/cli.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';

const PAGE = 4096;
const SIZE = 4 << 20;

/** Two containers of one image, which holds an ELF file and a file of plain data, each of SIZE bytes. */
for (const [passthrough, shared] of [['auto', ['elf']], ['always', ['elf', 'data']], ['never', []]] as const) {
  describe(`two mounts of one image, passthrough ${passthrough}`, { skip: needsRootAndFuse }, () => {
    let bench: Bench;
    const backing = new Map<string, string>();
    /** Pages of a file in memory, as its mapping sees them: through a passthrough mount those of the layer's file. */
    const resident = (path: string): number => Number(bench.sh(`fincore -b -n -o PAGES '${path}'`));

    before(() => {
      bench = new Bench();
      bench.sh(`
        mkdir rootfs first second
        { head -c 64 /bin/true; head -c ${SIZE - 64} /dev/urandom; } >rootfs/elf
        head -c ${SIZE} /dev/urandom >rootfs/data
        tar -cf rootfs.tar -C rootfs .`);
      bench.ufs('import', 'rootfs.tar', '--name', 'image');
      for (const mount of ['first', 'second']) bench.ufs('mount', 'image', bench.path(mount), '--name', mount, '--detach', '--passthrough', passthrough);
      for (const name of ['elf', 'data']) {
        const content = bench.sh(`find store/layers -path '*/content/*' -type f -size ${SIZE}c -exec cmp -s {} rootfs/${name} \\; -print`).trim().split('\n');
        assert.equal(content.length, 1, `the content of ${name} is on disk once`);
        backing.set(name, bench.path(content[0] as string));
      }
    });
    after(() => bench.close());

    for (const name of ['elf', 'data'] as const) {
      const title = (shared as readonly string[]).includes(name) ? `the ${name} file read in one is in memory for the other` : `the ${name} file is cached by each mount, above the one copy in the store`;
      test(title, () => {
        const content = backing.get(name) as string;
        bench.sh(`sync; dd status=none if='${content}' iflag=nocache count=0`);
        assert.equal(resident(content), 0, 'the layer\'s file is out of memory at first');
        assert.deepEqual(readFileSync(bench.path('first', name)), readFileSync(bench.path('rootfs', name)));
        assert.equal(resident(content), SIZE / PAGE);
        assert.equal(resident(bench.path('first', name)), SIZE / PAGE);
        assert.equal(resident(bench.path('second', name)), (shared as readonly string[]).includes(name) ? SIZE / PAGE : 0);
      });
    }

    test('a second image with the same files adds no content', () => {
      const used = (): string => bench.sh(`find store/layers -path '*/content/*' -type f -printf '%D:%i %s\\n' | sort -u`);
      const before = used();
      bench.sh(`tar -cf more.tar --transform 's,^rootfs,elsewhere,' rootfs`);
      bench.ufs('import', 'more.tar', '--name', 'again');
      assert.equal(used(), before);
    });
  });
}
