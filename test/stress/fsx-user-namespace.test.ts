import { inUserNamespace, runInUserNamespace } from '../helpers/user-namespace.ts';

// As root of an unprivileged user's namespace, where mounts have the writeback cache.
if (inUserNamespace) {
  const { testRandomWrites } = await import('./fsx.ts');
  testRandomWrites({ lower: 'directories', passthrough: 'auto' }, 3);
} else {
  await runInUserNamespace(import.meta.filename);
}
