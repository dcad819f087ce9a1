import { readdirSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { run } from 'node:test';

/** Finds every test file of the build, runs them, and fails where none was found or run: Node 20's own runner would call that a success. */
const root = resolve(import.meta.dirname, '..');

function testFiles(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return testFiles(path);
    return entry.name.endsWith('.test.js') ? [path] : [];
  });
}

const wanted = process.argv.slice(2);
const files = testFiles(join(root, 'test')).filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
if (files.length === 0) {
  console.error(wanted.length === 0 ? `No test file below ${join(root, 'test')}` : `No test file matches ${wanted.join(' ')}`);
  process.exit(1);
}

const counts = { passed: 0, failed: 0, skipped: 0 };
const skips = new Map<string, number>();
const failures: string[] = [];
const started = Date.now();

/** Tests that drop the kernel's caches, or count on what they hold, have the machine for themselves. */
const isAlone = (file: string): boolean => file.endsWith('.alone.test.js');

/** Runs files, so many at once, and counts. */
async function runFiles(some: string[], concurrency: number): Promise<void> {
  if (some.length === 0) return;
  const stream = run({ files: some, concurrency, timeout: 600_000 });
  stream.on('test:pass', (data) => {
    if ((data.details.type as string) === 'suite') return;
    if (data.skip !== undefined && data.skip !== false) {
      counts.skipped += 1;
      const reason = typeof data.skip === 'string' ? data.skip : 'no reason given';
      skips.set(reason, (skips.get(reason) ?? 0) + 1);
    } else counts.passed += 1;
  });
  stream.on('test:fail', (data) => {
    if ((data.details.type as string) === 'suite' && (data.details.error.cause as unknown) === 'subtestsFailed') return;
    const error = data.details.error;
    const cause = error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : String(error.cause ?? error.message);
    if (/^\d+ subtests? failed$/.test(error.message)) return;
    counts.failed += 1;
    const report = `not ok: ${data.name} (${relative(root, data.file ?? '')}, ${Math.round(data.details.duration_ms)} ms)\n${cause}`;
    failures.push(report);
    console.log(report);
  });
  stream.on('test:stderr', (data) => process.stdout.write(data.message));
  for await (const _ of stream);
}

await runFiles(files.filter((file) => !isAlone(file)), 2);
await runFiles(files.filter(isAlone), 1);

for (const [reason, count] of skips) console.log(`skipped ${count}: ${reason}`);
if (failures.length > 0) console.log(`\nAll failures once more:\n${failures.join('\n')}`);
console.log(`${files.length} files, ${Math.round((Date.now() - started) / 1000)} s`);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
