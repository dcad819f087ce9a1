#!/usr/bin/env node
import { processIo } from '../control/io.ts';
import { run } from './run.ts';

const abort = new AbortController();
/** Milliseconds after which one more signal is taken for impatience: a shell or timeout(1) may send the first one twice. */
const PATIENCE = 1000;
let asked = Infinity;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (Date.now() - asked > PATIENCE) process.exit(1);
    asked = Math.min(asked, Date.now());
    abort.abort();
  });
}
// Whoever reads our output may stop, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`ufs: Cannot write to standard output: ${error.message}\n`, () => process.exit(1));
});
// Of a process in the background nobody may read the errors any more: its log has them.
process.stderr.on('error', () => {});
const code = await run(process.argv.slice(2), processIo(abort.signal));
// Once all output is out, whatever may still be open.
process.stdout.write('', () => process.exit(code));
