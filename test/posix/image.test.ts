import { testOnMounts } from './on-mounts.ts';

testOnMounts({ lower: 'image', passthrough: 'auto' });
