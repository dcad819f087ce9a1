import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import { CheckedFile, Difference } from './fsx-file.ts';
import { contentOf, FILES, type FileName, type Operation, type Plan } from './fsx-operation.ts';

/** Seconds an operation may take: it hangs then. */
const PATIENCE = 60;

/** What the process is asked: to go to files of a directory, to do one operation, to close them all, or to open them anew and compare all. */
export type Request =
  | { ask: 'begin'; directory: string; plain: string; plans: readonly Plan[] }
  | { ask: 'do'; operation: Operation }
  | { ask: 'close' | 'compareAll' };

interface Answer {
  /** What isn't as it should be. */
  wrong: string | undefined;
}

/**
 * Another process than the one that serves the mount, which does the operations and knows what the files must hold. A process that touches a mapping of a
 * file it serves itself may wait for itself, with its address space locked.
 */
export class FsxProcess {
  #child: ChildProcess | undefined;

  /** What was wrong; `hung` is called when there is no answer, has to end the waiting, and says more about it. */
  async ask(request: Request, hung: (pid: number) => string): Promise<string | undefined> {
    this.#child ??= fork(import.meta.filename, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [], env: { ...process.env, NODE_TEST_CONTEXT: '' } });
    const child = this.#child;
    child.ref();
    child.channel?.ref();
    let timer: NodeJS.Timeout | undefined;
    try {
      const wrong = await new Promise<string | undefined>((resolve, reject) => {
        child.once('message', (answer: Answer) => resolve(answer.wrong)).once('error', reject);
        child.once('exit', (code, signal) => resolve(`the process that did it ended with ${signal ?? code}`));
        child.send(request);
        timer = setTimeout(() => {
          const more = hung(child.pid as number);
          child.kill('SIGKILL');
          resolve(`it hung for ${PATIENCE} s\n${more}`);
        }, PATIENCE * 1000);
      });
      if (child.exitCode !== null || child.signalCode !== null || child.killed) this.#child = undefined;
      return wrong;
    } finally {
      clearTimeout(timer);
      child.removeAllListeners();
      // It ends with this process, which it doesn't keep from ending.
      child.channel?.unref();
      child.unref();
    }
  }
}

let files: Record<FileName, CheckedFile> | undefined;

function answer(request: Request): void {
  if (request.ask === 'begin') {
    const { directory, plain, plans } = request;
    const [a, b] = FILES.map((name, index) => new CheckedFile(`${directory}/${name}`, contentOf(plans[index] as Plan).content, plain));
    files = { a: a as CheckedFile, b: b as CheckedFile };
    return;
  }
  const all = files as Record<FileName, CheckedFile>;
  switch (request.ask) {
    case 'close':
      for (const file of Object.values(all)) file.closeAll();
      return;
    case 'compareAll':
      for (const file of Object.values(all)) {
        file.compare('reader');
        file.holes('reader');
        file.checkSize();
        file.closeAll();
      }
      return;
    case 'do':
      perform(request.operation, all);
      for (const file of Object.values(all)) file.checkSize();
  }
}

function perform(operation: Operation, all: Record<FileName, CheckedFile>): void {
  if (operation.do === 'remount' || operation.do === 'dropCaches') return;
  const file = all[operation.file];
  switch (operation.do) {
    case 'read': return file.read(operation);
    case 'write': return file.write(operation);
    case 'append': return file.append(operation);
    case 'readMapping': return file.readMapping(operation);
    case 'writeMapping': return file.writeMapping(operation);
    case 'truncate': return file.truncate(operation);
    case 'allocate': return file.allocate(operation);
    case 'copy': return file.copy(operation, all[operation.to]);
    case 'sync': return file.sync(operation);
    case 'chmod': return fs.chmodSync(file.path, operation.mode);
    case 'compare': return file.compare(operation.by);
    case 'holes': return file.holes(operation.by);
    case 'close': return file.close(operation.what);
    case 'dropPages': return file.dropPages();
  }
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  process.on('message', (request: Request) => {
    let wrong: string | undefined;
    try {
      answer(request);
    } catch (error) {
      wrong = error instanceof Difference ? error.message : `thrown: ${(error as Error).stack}`;
      for (const file of Object.values(files ?? {})) file.closeAll();
    }
    process.send?.({ wrong } satisfies Answer);
  });
}
