import { testOnMounts } from './on-mounts.ts';

// Writeback cache, all data through the server.
testOnMounts({ lower: 'directories', passthrough: 'never' });
