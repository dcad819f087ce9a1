import type { Io } from '../control/io.ts';
import type { Work } from '../graph/apply.ts';
import { bytes } from './output.ts';

/** Nothing is shown for work that is done within this time, milliseconds. */
const QUIET = 1000;
const INTERVAL = 200;

/** One line on a terminal that tells how far long work is: bytes, entries, rate and, where the total is known, the time left. Never into a pipe. */
export class Progress {
  readonly #io: Io;
  readonly #action: string;
  readonly #total: number | undefined;
  readonly #started = Date.now();
  #shown = 0;

  constructor(io: Io, action: string, total?: number) {
    this.#io = io;
    this.#action = action;
    this.#total = total;
  }

  /** Shows words of the caller's own. */
  note(text: string): void {
    if (this.#due()) this.#io.err(`\r\x1b[K${this.#action}: ${text}`);
  }

  update(done: number, entries?: number): void {
    if (!this.#due()) return;
    const rate = done / ((this.#shown - this.#started) / 1000);
    const parts = [this.#total === undefined ? bytes(done) : `${bytes(done)} of ${bytes(this.#total)}`];
    if (entries !== undefined) parts.push(`${entries} files`);
    parts.push(`${bytes(rate)}/s`);
    if (this.#total !== undefined && rate > 0) parts.push(`${Math.max(0, Math.ceil((this.#total - done) / rate))} s left`);
    this.#io.err(`\r\x1b[K${this.#action}: ${parts.join(', ')}`);
  }

  #due(): boolean {
    const now = Date.now();
    if (!this.#io.terminal || now - this.#started < QUIET || now - this.#shown < INTERVAL) return false;
    this.#shown = now;
    return true;
  }

  /** Clears the line. */
  end(): void {
    if (this.#shown > 0) this.#io.err('\r\x1b[K');
    this.#shown = 0;
  }
}

/** Does long work with a line that tells how far it is; what it leaves out is said on standard error. */
export async function withProgress<Made>(io: Io, action: string, work: (how: Work) => Promise<Made>, total?: number): Promise<Made> {
  const progress = new Progress(io, action, total);
  try {
    return await work({
      signal: io.signal,
      progress: (done, entries) => progress.update(done, entries),
      warn: (message) => {
        progress.end();
        io.err(`ufs: ${message}\n`);
      },
    });
  } finally {
    progress.end();
  }
}
