import { testOnMounts } from './on-mounts.ts';

testOnMounts('auto');
