import type { Serially } from '../serializer.ts';
import { decodeEntry } from './directory-object.ts';
import type { Tree } from '../tree/entry.ts';
import type { ContentSize } from './content-size.ts';
import type { ImageTable } from './image-table.ts';
import type { IndexDatabase } from './index-database.ts';
import type { LayerId } from './layer-id.ts';
import type { LayerTable } from './layer-table.ts';
import type { ObjectReader } from './object-reader.ts';
import type { StorePaths } from './paths.ts';
import type { Pool } from './pool.ts';
import type { LayerRecord } from './records.ts';

/** Everything an open store is. The procedures of this folder work on it; `Store` is its face. */
export interface StoreState {
  readonly paths: StorePaths;
  readonly uuid: string;
  readonly index: IndexDatabase;
  readonly reader: ObjectReader;
  readonly table: LayerTable;
  readonly images: ImageTable;
  readonly pool: Pool;
  /** What the content of all layers takes; changed with these, in one batch of the index. */
  contentSize: ContentSize;
  /** The greatest number a layer or container of the store ever had. */
  lastNumber: number;
  /** Why layers are kept that nothing on disk refers to. */
  readonly uses: Map<LayerId, Map<symbol, string>>;
  /** The number of the next layer or container. */
  nextNumber: number;
  readonly log: (message: string) => void;
  /** Called before each step that makes something durable. */
  readonly step: (name: string) => void;
  /** Runs changes of the store one after another. */
  readonly serially: Serially;
}

export function treeOf(record: LayerRecord, reader: ObjectReader): Tree {
  return { root: decodeEntry(Buffer.from(record.root, 'base64')), links: reader.links(record.links) };
}

/** Keeps a layer until the function given back is called. */
export function useLayer(state: StoreState, id: LayerId, by: string): () => void {
  const uses = state.uses.get(id) ?? new Map<symbol, string>();
  const key = Symbol(by);
  state.uses.set(id, uses.set(key, by));
  return () => {
    uses.delete(key);
    if (uses.size === 0 && state.uses.get(id) === uses) state.uses.delete(id);
  };
}
