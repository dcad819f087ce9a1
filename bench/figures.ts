import { cpus, release, totalmem } from 'node:os';

/** Seconds some work takes. */
export function seconds(work: () => void): number {
  const started = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - started) / 1e9;
}

/** Seconds by work and contender, a value a round. */
export class Figures {
  readonly #rows = new Map<string, Map<string, number[]>>();

  add(work: string, contender: string, value: number): void {
    const row = this.#rows.get(work) ?? new Map<string, number[]>();
    this.#rows.set(work, row.set(contender, [...(row.get(contender) ?? []), value]));
  }

  toJSON(): Record<string, Record<string, number[]>> {
    return Object.fromEntries([...this.#rows].map(([work, row]) => [work, Object.fromEntries(row)]));
  }

  /** A table of medians and spreads, and of the ratios of one contender to others: the first of each list that has a figure. */
  table(contenders: readonly string[], ours: string, peers: readonly (readonly [string, ...string[]])[]): string {
    const lines = [
      `| work | ${contenders.join(' | ')} | ${peers.map(([peer]) => `${ours} ÷ ${peer}`).join(' | ')} |`,
      `| --- |${' --- |'.repeat(contenders.length + peers.length)}`,
    ];
    for (const [work, row] of this.#rows) {
      const ratios = peers.map((names) => ratio(row.get(ours), names.map((name) => row.get(name)).find((values) => values !== undefined)));
      lines.push(`| ${work} | ${contenders.map((contender) => cell(row.get(contender))).join(' | ')} | ${ratios.join(' | ')} |`);
    }
    return lines.join('\n');
  }
}

/** What the figures were taken on. */
export function machine(): string {
  return `Linux ${release()}, Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

function cell(values: number[] | undefined): string {
  return values === undefined ? '' : `${median(values).toFixed(3)} (${Math.min(...values).toFixed(3)}–${Math.max(...values).toFixed(3)})`;
}

function ratio(ours: number[] | undefined, theirs: number[] | undefined): string {
  return ours === undefined || theirs === undefined ? '' : `×${(median(ours) / median(theirs)).toFixed(2)}`;
}
