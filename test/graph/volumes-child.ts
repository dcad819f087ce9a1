import { openVolumes } from './open-volumes.ts';

/** Run by volumes.test.ts: `node volumes-child.js ROOT STEP NTH ACTION` does something to volumes and kills itself, as kill -9 would, the NTH time it comes to a step. */
const [root, step, nth, action] = process.argv.slice(2) as [string, string, string, string];
let armed = false;
let left = Number(nth);
const { volumes } = await openVolumes(root, {
  step: (name) => {
    if (armed && name === step && --left === 0) process.kill(process.pid, 'SIGKILL');
  },
});
armed = true;
if (action === 'make a copy') await volumes.create('copy', { from: 'volume:data' });
else await volumes.remove(action);
