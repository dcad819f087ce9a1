import { testOnMounts } from './on-mounts.ts';

testOnMounts({ lower: 'image', passthrough: 'never', placements: ['in the lowest layer', 'in all layers, merged', 'just copied up'] });
