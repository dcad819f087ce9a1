import { after, before, describe, test } from 'node:test';
import { FaultBench, type CaseOptions } from './faults.ts';
import { OPERATIONS } from './operations.ts';

/** Operations that write or meet whiteouts: for others it makes no difference how those are spelled. */
const WHITEOUTS = /^(unlink|rmdir|rename|exchange)|whiteout|removed/;

/** Every operation under a kind of fault; each of its host calls in turn. */
export function testFaults(promise: string, cases: CaseOptions[]): void {
  describe(promise, () => {
    let bench: FaultBench;
    before(() => {
      bench = new FaultBench();
    });
    after(() => bench.remove());
    for (const [name, operation] of Object.entries(OPERATIONS)) {
      for (const options of cases) {
        if (options.kind === 'killed' && operation.steps === true) continue;
        if (options.whiteouts === 'aufs' && !WHITEOUTS.test(name)) continue;
        test(`${name} (${options.whiteouts} whiteouts${options.held ? ', files open' : ''})`, () => {
          bench.run(operation, options);
        });
      }
    }
  });
}
