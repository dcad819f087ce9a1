import { lstatSync, readdirSync } from 'node:fs';
import { contentDirectory } from './paths.ts';

export interface ContentFile {
  digest: string;
  path: string;
}

/** The files of a layer's own content directory; none where it has no such directory, as a borrowed layer. What isn't named by a digest is passed over. */
export function* contentFiles(layerDirectory: string): Generator<ContentFile> {
  const content = contentDirectory(layerDirectory);
  if (lstatSync(content, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  for (const prefix of namesIn(content)) {
    if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
    for (const digest of namesIn(`${content}/${prefix}`)) {
      if (/^[0-9a-f]{64}$/.test(digest)) yield { digest, path: `${content}/${prefix}/${digest}` };
    }
  }
}

export interface ContentLinks {
  links: number;
  size: number;
  /** Bytes it takes on disk. */
  allocated: number;
  inode: string;
}

export function contentLinks(path: string): ContentLinks {
  const { nlink, size, blocks, dev, ino } = lstatSync(path);
  return { links: nlink, size, allocated: blocks * 512, inode: `${dev}:${ino}` };
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
