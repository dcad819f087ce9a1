import { Store } from '../../src/store/store.ts';
import { addLayer } from './sample-layers.ts';

/** Run by crash.test.ts: `node crash-child.js ROOT STEP ACTION` does something to a store and kills itself, as kill -9 would, at a step. */
const [root, step, action] = process.argv.slice(2);
const store = await Store.open(root, {
  step: (name) => {
    if (name === step) process.kill(process.pid, 'SIGKILL');
  },
});
if (action === 'layer') await addLayer(store, { d: { g: 'top' } }, store.layers()[0]);
else if (action === 'replace') await store.replaceContainer('web', { parent: store.layers()[1].id, sealed: false });
else await store.gc();
