import { testFaults } from './operations-under-faults.ts';

testFaults('A host call that fails leaves everything as it was', [
  { kind: 'once', whiteouts: 'device', held: true },
  { kind: 'once', whiteouts: 'aufs', held: false },
]);
