import type { Layer } from '../../fs/layer/layer.ts';
import type { Entry } from '../tree/entry.ts';

export type IndexedLayer = Layer<Entry>;
