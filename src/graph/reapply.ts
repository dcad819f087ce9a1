import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RecipeWriter, replay } from '../archive/recipe.ts';
import { applyArchive } from '../archive/unpack.ts';
import type { Change, Content } from '../tree/change.ts';
import type { ContentSink, ContentSource, ContentWriter, Tree, TreeReader } from '../tree/entry.ts';

/** What a layer's archive does, read once more from its recipe and content: how an index is made anew. The store isn't touched. */
export async function reapply(recipePath: string, source: ContentSource, parent: Tree | undefined, reader: TreeReader): Promise<Change> {
  const aside = mkdtempSync(join(tmpdir(), 'ufs-reapply-'));
  try {
    const applied = await applyArchive(replay(recipePath, source), {
      sink: new DigestingSink(),
      recipe: new RecipeWriter(join(aside, 'recipe')),
      ...(parent === undefined ? {} : { lower: { tree: parent, reader } }),
    });
    return applied.root;
  } finally {
    rmSync(aside, { recursive: true });
  }
}

const ELF_MAGIC = Buffer.from('\x7fELF', 'latin1');
const ZEROS = Buffer.alloc(1 << 20);

/** Says what content would be called, and keeps none of it. */
export class DigestingSink implements ContentSink {
  put(data: Buffer): Content {
    return { digest: createHash('sha256').update(data).digest('hex'), elf: data.subarray(0, 4).equals(ELF_MAGIC) };
  }

  open(): ContentWriter {
    const hash = createHash('sha256');
    let start = Buffer.alloc(0);
    const write = (data: Buffer): void => {
      if (start.length < 4) start = Buffer.concat([start, data.subarray(0, 4 - start.length)]);
      hash.update(data);
    };
    return {
      write,
      skip: (length) => {
        for (let left = length; left > 0; left -= ZEROS.length) write(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
      },
      finish: () => ({ digest: hash.digest('hex'), elf: start.equals(ELF_MAGIC) }),
      abort: () => {},
    };
  }

  share({ content }: { content?: Content }): Content | undefined {
    return content;
  }
}
