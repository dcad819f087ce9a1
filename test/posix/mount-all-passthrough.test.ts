import { testOnMounts } from './on-mounts.ts';

testOnMounts({ lower: 'directories', passthrough: 'always', placements: ['in the upper', 'in the lowest layer', 'in all layers, merged', 'just copied up'] });
testOnMounts({ lower: 'image', passthrough: 'always', placements: ['in the lowest layer'] });
