import { testOnMounts } from './on-mounts.ts';

testOnMounts({ lower: 'directories', passthrough: 'never', transport: 'fuse-native', placements: ['in all layers, merged'] });
testOnMounts({ lower: 'image', passthrough: 'never', transport: 'fuse-native', placements: ['in the lowest layer'] });
