import { testPrograms } from './on-mounts.ts';

testPrograms({ lower: 'directories', passthrough: 'never' });
