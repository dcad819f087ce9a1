import { CommanderError } from 'commander';
import { connectToServer, runRemotely } from '../control/client.ts';
import type { Io } from '../control/io.ts';
import { type Context, RunInServer } from './context.ts';
import { ProcessContext } from './process-context.ts';
import { buildProgram } from './program.ts';
import { report } from './report.ts';

/** Milliseconds to go on trying for a store that another command has, or whose server is just starting or ending; it may be loading a large image. */
const PATIENCE = 600_000;
/** Milliseconds after which the user is told, after which trying is less hurried. */
const NOTICE = 1000;
const PAUSE = 50;

/** Runs one command line in this process, or has it run by the process that serves the store; the exit code: 0 done, 1 failed, 2 usage. */
export async function run(argv: string[], io: Io): Promise<number> {
  let told = false;
  for (const started = Date.now(); ; ) {
    const context = new ProcessContext(io, execute);
    try {
      return await execute(argv, context);
    } catch (error) {
      if (!(error instanceof RunInServer)) throw error;
      try {
        io.signal.throwIfAborted();
        const socket = await connectToServer(error.socket);
        const code = socket === undefined ? undefined : await runRemotely(socket, argv, io);
        if (code !== undefined) return code;
        const waited = Date.now() - started;
        if (waited > PATIENCE) return report(io, error.cause);
        if (waited > NOTICE && !told) {
          io.err(`ufs: ${(error.cause as Error | undefined)?.message ?? error.message}; waiting for it\n`);
          told = true;
        }
      } catch (failure) {
        return report(io, failure);
      }
    } finally {
      await context.close();
    }
    await new Promise((resolve) => setTimeout(resolve, told ? NOTICE / 2 : PAUSE));
  }
}

/** Runs a command line with what `context` gives it. RunInServer passes through. */
async function execute(argv: string[], context: Context): Promise<number> {
  try {
    await buildProgram(context, argv).parseAsync(argv, { from: 'user' });
    return context.exitCode;
  } catch (error) {
    if (error instanceof RunInServer) throw error;
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return report(context.io, error);
  }
}
