import { inUserNamespace, runInUserNamespace } from '../helpers/user-namespace.ts';

// The cases as root of an unprivileged user's namespace: on a plain directory first, then on mounts, which have the writeback cache there.
if (inUserNamespace) {
  const { testOnDirectory } = await import('./on-directory.ts');
  const { testOnMounts } = await import('./on-mounts.ts');
  testOnDirectory();
  testOnMounts({ lower: 'directories', passthrough: 'auto', placements: ['in the upper', 'in the lowest layer', 'in all layers, merged', 'just copied up'] });
  testOnMounts({ lower: 'image', passthrough: 'auto', placements: ['in the lowest layer'] });
} else {
  await runInUserNamespace(import.meta.filename);
}
