import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S_IFDIR, S_IFREG } from '../../fs/stat.ts';
import type { LayerRecord } from '../../src/store/records.ts';
import type { Store } from '../../src/store/store.ts';
import type { Attributes, Change, NewInode } from '../../src/tree/change.ts';
import type { ContentSink } from '../../src/tree/entry.ts';

export function attributes(mode: number, size = 0): Attributes {
  return { mode, uid: 0, gid: 0, size, mtimeSec: 1, mtimeNsec: 2, rdevMajor: 0, rdevMinor: 0, xattrs: new Map() };
}

/** What a layer holds: text is a file, an object a directory, null a whiteout. */
export interface Sample {
  [name: string]: string | null | Sample;
}

export function sampleChange(sample: Sample, sink: ContentSink): Change {
  const children = new Map<string, Change>();
  for (const [name, value] of Object.entries(sample)) {
    if (value === null) children.set(name, { hides: true });
    else if (typeof value === 'string') children.set(name, { hides: false, inode: sampleFile(value, sink) });
    else children.set(name, { ...sampleChange(value, sink), inode: { attributes: attributes(S_IFDIR | 0o755) } });
  }
  return { hides: false, children };
}

export function sampleFile(text: string, sink: ContentSink): NewInode {
  const data = Buffer.from(text);
  return { attributes: attributes(S_IFREG | 0o644, data.length), content: data.length === 0 ? undefined : sink.put(data) };
}

/** Adds a layer to a store. Its recipe is the sample as JSON, its diff id the hash of that. */
export async function addLayer(store: Store, sample: Sample, parent?: LayerRecord): Promise<LayerRecord> {
  const transaction = store.beginLayer({ parent: parent?.id });
  const archive = JSON.stringify(sample);
  writeFileSync(transaction.recipePath, archive);
  return await transaction.commit({ root: sampleChange(sample, transaction.sink), diffId: sampleDiffId(sample), archiveSize: archive.length, size: archive.length });
}

export function sampleDiffId(sample: Sample): string {
  return `sha256:${createHash('sha256').update(JSON.stringify(sample)).digest('hex')}`;
}

/** All files of a layer with all below it: path → text, read through the layer. */
export function filesOf(store: Store, record: LayerRecord, read: (fd: number) => string): Record<string, string> {
  const layer = store.openLayer(record.id);
  const files: Record<string, string> = {};
  const open = [{ path: '', node: layer.root }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const { name, node } of layer.list(next.node)) {
      const path = `${next.path}/${name}`;
      if (node.object === undefined) files[path] = read(layer.open(node));
      else open.push({ path, node });
    }
  }
  layer.close();
  return files;
}

/** Runs with a path where a store may be made; removes it after. */
export async function withRoot(run: (root: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'ufs-store-'));
  try {
    await run(join(directory, 'store'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
