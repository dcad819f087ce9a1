import { inUserNamespace, runInUserNamespace } from '../helpers/user-namespace.ts';

// The programs as root of an unprivileged user's namespace, where mounts have the writeback cache.
if (inUserNamespace) {
  const { testPrograms } = await import('./on-mounts.ts');
  testPrograms({ lower: 'directories', passthrough: 'auto' });
} else {
  await runInUserNamespace(import.meta.filename);
}
