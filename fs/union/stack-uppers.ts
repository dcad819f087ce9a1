import type { Layer } from '../layer/layer.ts';
import type { Name } from '../name.ts';
import { MergedLayer } from './merged-layer.ts';

/** A merged layer whose lower nobody else has. */
class OwningLayer extends MergedLayer {
  override close(): void {
    super.close();
    this.lower.close();
  }
}

/** Upper directories that aren't written to any more, bottom first, on a layer: one layer. Takes the layer over: closing closes it too, and so does failing. */
export function stackUppers(bottom: Layer, uppers: readonly { directory: Name; work: Name }[]): Layer {
  let top = bottom;
  try {
    for (const upper of uppers) top = new OwningLayer({ lower: top, upper }) as Layer;
    return top;
  } catch (error) {
    top.close();
    throw error;
  }
}
