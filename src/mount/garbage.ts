import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes worth the pause: some 50 ms, and 600 ms for each million nodes that stay. */
const ENOUGH = 48 * 1024 * 1024;
/** Nodes the kernel forgot that are worth it, at some 470 bytes each: until they are collected they count as used. */
const ENOUGH_NODES = 100_000;

/**
 * Gives memory back in a thread that waits in poll(2). V8 collects garbage when a program allocates: a server that was walked through, or whose kernel has forgotten a
 * large tree, does nothing more and would keep that memory for ever.
 */
export class Garbage {
  /** Bytes in use after the last collection. */
  #used = 0;
  /** The most nodes there were in a quiet moment since then. */
  #nodes = 0;
  #compactNext = false;

  /** Collects if that gives back much. Called in quiet moments with the nodes there are now; true where it wants to be called once more. */
  quiet(nodes: number): boolean {
    if (this.#compactNext) {
      this.#compactNext = false;
      setFlagsFromString('--compact-on-every-full-gc');
      collect();
      setFlagsFromString('--no-compact-on-every-full-gc');
      return false;
    }
    this.#nodes = Math.max(this.#nodes, nodes);
    if (getHeapStatistics().used_heap_size - this.#used < ENOUGH && this.#nodes - nodes < ENOUGH_NODES) return false;
    collect();
    const { used_heap_size: used, total_heap_size: total } = getHeapStatistics();
    this.#used = used;
    this.#nodes = nodes;
    // What stays is strewn over pages that are mostly empty. Moving it together takes as much memory again for a moment: only where there was more than that.
    this.#compactNext = total - used > Math.max(ENOUGH, used);
    return this.#compactNext;
  }
}

let collector: (() => void) | undefined;

/** V8's own function, which programs see only where they ask for it. */
function collect(): void {
  if (collector === undefined) {
    setFlagsFromString('--expose-gc');
    collector = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  collector();
}
