import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nameFromText } from '../../fs/name.ts';
import { type PassthroughMode, unmount } from '../../fs/transport/mount.ts';
import { Mounter } from '../../src/mount/mounter.ts';
import type { MountSpec } from '../../src/mount/spec.ts';

export interface TestMount {
  path: string;
  /** The serving side, for tests that look at it. */
  mounter: Mounter;
  close(): Promise<void>;
}

/** Mounts a union of plain directories on a directory of its own; served by a thread of this process. */
export async function mountUnion(options: { lowers: string[]; upper?: string; work?: string; passthrough?: PassthroughMode; how?: Omit<MountSpec['upper'] & object, 'directory' | 'work'> }): Promise<TestMount> {
  const base = mkdtempSync(join(tmpdir(), 'ufs-mount-'));
  const path = join(base, 'mnt');
  mkdirSync(path);
  const work = options.work ?? (options.upper === undefined ? undefined : `${options.upper}.work`);
  if (work !== undefined) mkdirSync(work, { recursive: true });
  const mounter = new Mounter((message) => console.error(message));
  const spec: MountSpec = {
    target: nameFromText(path), passthrough: options.passthrough ?? 'auto', mount: { source: 'ufs' },
    lower: { kind: 'directories', paths: options.lowers.map(nameFromText) },
    ...(options.upper === undefined || work === undefined ? {} : { upper: { directory: nameFromText(options.upper), work: nameFromText(work), ...options.how } }),
  };
  const mounted = await mounter.mount(spec);
  return {
    path, mounter,
    close: async () => {
      try {
        await mounter.unmount(mounted);
      } catch {
        // A failed test may have left something open in it.
        unmount(nameFromText(path), { lazy: true });
      }
      await mounter.close();
      rmSync(base, { recursive: true, force: true });
    },
  };
}
