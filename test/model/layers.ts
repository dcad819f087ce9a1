import * as host from 'node:fs';
import { dirname, join } from 'node:path';
import { AT_FDCWD } from '../../fs/host/constants.ts';
import { mknodAt } from '../../fs/host/make.ts';
import { S_IFCHR, S_IFIFO } from '../../fs/stat.ts';
import { xattrs } from '../posix/case.ts';
import { pick, type Random } from './random.ts';

/** What a layer says of one path. */
interface Entry {
  path: string;
  kind: 'file' | 'directory' | 'symlink' | 'fifo' | 'link' | 'whiteout' | 'opaque';
  mode: number;
  owner: number;
  /** Of a file; or where a link leads. */
  content: string;
}

export type LayerPlan = Entry[];

const NAMES = ['a', 'b', 'c', 'd'];

/** A path of up to three parts, from so few names that operations meet. */
export function randomPath(next: Random): string {
  return Array.from({ length: 1 + next(3) }, () => pick(next, NAMES)).join('/');
}

/** One to four layers, topmost first. `links`: files may have several names; in the topmost, where none can be hidden by another layer (the link count stays the layer's). */
export function planLayers(next: Random, { links, whiteouts }: { links: boolean; whiteouts: boolean }): LayerPlan[] {
  const count = 1 + next(4);
  return Array.from({ length: count }, (_, index) => planLayer(next, { links: links && index === 0, whiteouts: whiteouts && index < count - 1, lowest: index === count - 1 }));
}

function planLayer(next: Random, { links, whiteouts, lowest }: { links: boolean; whiteouts: boolean; lowest: boolean }): LayerPlan {
  const made = new Map<string, Entry>();
  const directory = (path: string): boolean => {
    if (path === '.') return true;
    const there = made.get(path);
    if (there !== undefined) return there.kind === 'directory' || there.kind === 'opaque';
    if (!directory(dirname(path))) return false;
    made.set(path, { path, kind: !lowest && next(8) === 0 ? 'opaque' : 'directory', mode: pick(next, [0o755, 0o700, 0o2775, 0o1777]), owner: next(3), content: '' });
    return true;
  };
  for (let left = 10 + next(10); left > 0; left -= 1) {
    const path = randomPath(next);
    if (made.has(path) || !directory(dirname(path))) continue;
    const files = [...made.values()].filter(({ kind }) => kind === 'file');
    const content = pick(next, ['', 'x', 'some text', 'page'.repeat(1500)]);
    const entry: Entry = { path, kind: pick(next, ['file', 'file', 'file', 'directory', 'symlink', 'fifo', 'link', 'whiteout']), mode: pick(next, [0o644, 0o600, 0o4755, 0o2711]), owner: next(3), content };
    if (entry.kind === 'directory') directory(path);
    else if (entry.kind === 'link') {
      if (links && files.length > 0) made.set(path, { ...entry, content: pick(next, files).path });
    } else if (entry.kind !== 'whiteout' || whiteouts) made.set(path, entry);
  }
  return [...made.values()];
}

/** Makes a layer in an empty directory; its marks are spelled as overlayfs or as archives of layers do. */
export function writeLayer(plan: LayerPlan, root: string, spelling: 'overlay' | 'aufs'): void {
  for (const entry of plan) {
    const at = join(root, entry.path);
    if (entry.kind === 'whiteout') {
      if (spelling === 'overlay') mknodAt(AT_FDCWD, at, S_IFCHR, 0, 0);
      else host.writeFileSync(join(dirname(at), `.wh.${entry.path.split('/').at(-1)}`), '');
      continue;
    }
    make(entry, root);
    if (entry.kind !== 'opaque') continue;
    if (spelling === 'overlay') xattrs.set(at, 'trusted.overlay.opaque', 'y');
    else host.writeFileSync(join(at, '.wh..wh..opq'), '');
  }
}

/** Makes the tree that layers, topmost first, come to, the plain way: one is put onto the other. */
export function writeMergedLayers(plans: readonly LayerPlan[], root: string): void {
  for (const plan of plans.toReversed()) {
    for (const entry of plan) {
      const at = join(root, entry.path);
      const isDirectory = entry.kind === 'directory' || entry.kind === 'opaque';
      const there = host.lstatSync(at, { throwIfNoEntry: false });
      if (there !== undefined && !(entry.kind === 'directory' && there.isDirectory())) host.rmSync(at, { recursive: true });
      if (entry.kind === 'whiteout') continue;
      if (isDirectory && host.existsSync(at)) {
        host.chownSync(at, entry.owner, entry.owner);
        host.chmodSync(at, entry.mode);
      } else make(entry, root);
    }
  }
}

function make({ path, kind, mode, owner, content }: Entry, root: string): void {
  const at = join(root, path);
  switch (kind) {
    case 'link': return host.linkSync(join(root, content), at);
    case 'symlink':
      host.symlinkSync(`nowhere/${path}`, at);
      return host.lchownSync(at, owner, owner);
    case 'fifo': mknodAt(AT_FDCWD, at, S_IFIFO | 0o600, 0, 0); break;
    case 'file': host.writeFileSync(at, content); break;
    default: host.mkdirSync(at);
  }
  host.chownSync(at, owner, owner);
  host.chmodSync(at, mode);
}
