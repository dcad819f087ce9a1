import { after, before, describe, test } from 'node:test';
import { FaultBench, type CaseOptions } from './faults.ts';
import { OPERATIONS } from './operations.ts';

const CASES: Record<string, CaseOptions[]> = {
  'A host call that fails leaves everything as it was': [
    { kind: 'once', whiteouts: 'device', held: false },
    { kind: 'once', whiteouts: 'device', held: true },
    { kind: 'once', whiteouts: 'aufs', held: true },
  ],
  'A disk that fills up leaves everything as it was': [
    { kind: 'full', whiteouts: 'device', held: true },
    { kind: 'full', whiteouts: 'aufs', held: false },
  ],
  'A process killed at a host call leaves a tree as before or after': [
    { kind: 'killed', whiteouts: 'device', held: false },
    { kind: 'killed', whiteouts: 'aufs', held: false },
  ],
};

for (const [promise, cases] of Object.entries(CASES)) {
  describe(promise, () => {
    let bench: FaultBench;
    before(() => {
      bench = new FaultBench();
    });
    after(() => bench.remove());
    for (const [name, operation] of Object.entries(OPERATIONS)) {
      for (const options of cases) {
        test(`${name} (${options.whiteouts} whiteouts${options.held ? ', files open' : ''})`, () => {
          bench.run(operation, options);
        });
      }
    }
  });
}
