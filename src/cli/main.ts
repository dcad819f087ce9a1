#!/usr/bin/env node
import { processIo } from '../control/io.ts';
import { run } from './run.ts';

const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => abort.abort());
// Whoever reads our output may stop, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
// Of a process in the background nobody may read the errors any more: its log has them.
process.stderr.on('error', () => {});
const code = await run(process.argv.slice(2), processIo(abort.signal));
// Once all output is out, whatever may still be open.
process.stdout.write('', () => process.exit(code));
