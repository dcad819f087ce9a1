import { join } from 'node:path';
import { test } from 'node:test';
import { DirectoryStack } from '../../fs/layer/directory-stack.ts';
import { nameFromText } from '../../fs/name.ts';
import { MergedLayer } from '../../fs/union/merged-layer.ts';
import type { PassthroughMode } from '../../fs/transport/mount.ts';
import { needsRootAndFuse } from '../helpers/needs.ts';
import { type LowerKind, mountable } from '../posix/lowers.ts';
import { dumpDirectory, dumpLayer } from '../union/driver.ts';
import { compare, type Kind, type Subject } from './compare.ts';
import { HostTree } from './host-tree.ts';
import { seeds } from './random.ts';

function mounted(lower: LowerKind, passthrough: PassthroughMode): Kind['make'] {
  return async (lowers, base): Promise<Subject> => {
    const mount = await mountable(lower, lowers, { base, passthrough });
    const root = await mount.mount();
    const tree = new HostTree(root);
    return {
      run: (operation) => tree.run(operation),
      dump: () => dumpDirectory(root),
      remount: async () => {
        await mount.unmount();
        await mount.mount();
      },
      end: async () => {
        tree.close();
        await mount.unmount();
        return lower === 'image' ? new Map([['committed', await mount.committed()]]) : new Map([['by the merged layer', offline(lowers, base)]]);
      },
      close: async () => {
        tree.close();
        await mount.close();
      },
    };
  };
}

function offline(lowers: string[], base: string): string[] {
  const lower = new DirectoryStack(lowers.map(nameFromText));
  const merged = new MergedLayer({ lower, upper: { directory: nameFromText(join(base, 'upper')), work: nameFromText(join(base, 'work')) } });
  try {
    return dumpLayer(merged);
  } finally {
    merged.close();
    lower.close();
  }
}

const same: Kind['same'] = (union, plain) => union === plain;

for (const [lower, passthrough] of [['directories', 'auto'], ['directories', 'never'], ['image', 'auto'], ['image', 'never'], ['directories', 'always']] as const) {
  // With passthrough=always who has a lower file open for reading alone goes on with that file: the README tells of it.
  const kind: Kind = { spelling: lower === 'image' ? 'aufs' : 'overlay', links: true, whiteouts: true, readers: passthrough !== 'always', length: 150, same, make: mounted(lower, passthrough) };
  test(`random sequences of operations on a mount and on a plain directory give the same, errors too, with files open and over remounts (${lower} below, passthrough ${passthrough})`, { skip: needsRootAndFuse }, async () => {
    for (const seed of seeds('UFS_MODEL_SEEDS', 3)) await compare(kind, seed);
  });
}
