import { testRandomWrites } from './fsx.ts';

testRandomWrites('plain', 2);
for (const lower of ['directories', 'image'] as const) for (const passthrough of ['auto', 'never'] as const) testRandomWrites({ lower, passthrough }, 3);
testRandomWrites({ lower: 'directories', passthrough: 'always' }, 2);
