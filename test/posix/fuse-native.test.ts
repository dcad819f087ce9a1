import { testOnMounts } from './on-mounts.ts';

testOnMounts({ lower: 'directories', passthrough: 'never', transport: 'fuse-native', placements: ['in the upper', 'in all layers, merged', 'just copied up'] });
testOnMounts({ lower: 'image', passthrough: 'never', transport: 'fuse-native', placements: ['in the lowest layer'] });
