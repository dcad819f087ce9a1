import { testOnMounts } from './on-mounts.ts';

testOnMounts({ lower: 'directories', passthrough: 'auto' });
