/** Numbers below what is asked for: mulberry32, the same ones for the same seed. */
export type Random = (below: number) => number;

export function random(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

export function pick<T>(next: Random, from: readonly T[]): T {
  return from[next(from.length)] as T;
}

/** The seeds of a run: those an environment variable has as "from-to", or the first of them. */
export function seeds(variable: string, count: number): number[] {
  const [from = 1, to = count] = (process.env[variable] ?? '').split('-').filter((part) => part !== '').map(Number);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
