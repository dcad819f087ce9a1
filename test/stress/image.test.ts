import { testPrograms } from './on-mounts.ts';

testPrograms({ lower: 'image', passthrough: 'auto' });
