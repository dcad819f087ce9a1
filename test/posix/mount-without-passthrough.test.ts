import { testOnMounts } from './on-mounts.ts';

// Writeback cache, all data through the server: what a user namespace has.
testOnMounts('never');
