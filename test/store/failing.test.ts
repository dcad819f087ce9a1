import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Store } from '../../src/store/store.ts';
import { addLayer, filesOf, type Sample, withRoot } from './sample-layers.ts';

const read = (fd: number): string => readFileSync(fd, 'utf8');
const BASE: Sample = { a: 'base', d: { f: 'in d' } };
const TOP: Sample = { a: 'base', d: { g: 'top' } };

/** What is tried, each time on a store with two layers, an image of the lower and a container; and whether it has been done. */
const ACTIONS: Record<string, { act: (store: Store) => Promise<unknown>; done: (store: Store) => boolean }> = {
  'the commit of a layer': {
    act: (store) => addLayer(store, { d: { h: 'new' } }, store.layers()[0]),
    done: (store) => store.layers().length === 3,
  },
  'the making of a container': {
    act: (store) => store.createContainer({ name: 'new', parent: store.layers()[0].id }),
    done: (store) => store.containers().length === 2,
  },
  'the removal of a container': {
    act: (store) => store.removeContainer('web'),
    done: (store) => store.containers().length === 0,
  },
  'the removal of layers nothing needs': {
    act: (store) => store.gc(),
    done: (store) => store.layers().length === 1,
  },
};

for (const [what, { act, done }] of Object.entries(ACTIONS)) {
  test(`${what} that fails at any of its steps leaves a sound store, in the process and when it is opened anew, and can be done again`, async () => {
    let cameThrough = false;
    for (let at = 1; !cameThrough; at += 1) {
      await withRoot(async (root) => {
        let counted = 0;
        let failing = false;
        const store = await Store.open(root, {
          create: true,
          step: (name) => {
            if (failing && ++counted === at) throw Object.assign(new Error(`no space at ${name}`), { code: 'ENOSPC' });
          },
        });
        const base = await addLayer(store, BASE);
        await addLayer(store, TOP, base);
        await store.putImage({ names: ['app'], config: Buffer.from('{}'), layers: [base.id] });
        await store.createContainer({ name: 'web', parent: base.id });
        failing = true;
        const error = await act(store).then(() => undefined, (thrown: Error) => thrown);
        failing = false;
        cameThrough = error === undefined;
        if (error !== undefined) assert.match(error.message, /no space at/);
        else assert.ok(at > 2, 'it has steps');
        assert.deepEqual(readdirSync(join(root, 'staging')), [], `step ${at}`);
        assert.deepEqual(await store.check(), [], `step ${at}, same process`);
        assert.deepEqual(filesOf(store, base, read), { '/a': 'base', '/d/f': 'in d' });
        if (!done(store)) await act(store);
        assert.ok(done(store), `step ${at}`);
        await store.close();
        const again = await Store.open(root);
        assert.ok(done(again), `step ${at}, opened anew`);
        assert.deepEqual(await again.check(), [], `step ${at}, opened anew`);
        assert.deepEqual(filesOf(again, again.layers()[0], read), { '/a': 'base', '/d/f': 'in d' });
        await again.close();
      });
    }
  });
}
