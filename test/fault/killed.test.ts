import { testFaults } from './operations-under-faults.ts';

testFaults('A process killed at a host call leaves a tree as before or after', [
  { kind: 'killed', whiteouts: 'device', held: false },
  { kind: 'killed', whiteouts: 'aufs', held: false },
]);

testFaults('A disk that is full from a call on leaves everything as it was', [
  { kind: 'full', whiteouts: 'device', held: true },
  { kind: 'full', whiteouts: 'aufs', held: false },
]);
