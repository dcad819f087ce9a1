import type { ChildProcess } from 'node:child_process';

/** What `docker run` passes on, but for those that stop a process, or that the kernel sends for a mistake of its own. */
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGALRM', 'SIGCONT'] as const;

/** Has signals for this process go to a child until the function that is returned is called; who listened to them doesn't hear them meanwhile. */
export function forwardSignals(child: ChildProcess): () => void {
  const taken = SIGNALS.map((signal) => {
    const before = process.listeners(signal);
    const forward = (): void => void child.kill(signal);
    process.removeAllListeners(signal).on(signal, forward);
    return { signal, before, forward };
  });
  return () => {
    for (const { signal, before, forward } of taken) {
      process.off(signal, forward);
      for (const listener of before) process.on(signal, listener as NodeJS.SignalsListener);
    }
  };
}
