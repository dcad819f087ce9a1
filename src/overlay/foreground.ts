import { Mounter } from '../mount/mounter.ts';
import type { MountSpec } from '../mount/spec.ts';

/** Serves a mount in this process until it is unmounted; a signal unmounts it. */
export async function serveHere(spec: MountSpec, { debug }: { debug: boolean }): Promise<void> {
  const tell = (line: string): void => void process.stderr.write(`ufs-overlay: ${line}\n`);
  const mounter = new Mounter(tell, { store: false, ...(debug ? { trace: tell } : {}) });
  // Whoever sees the mount may send a signal at once.
  const signal = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => signal.abort());
  try {
    const mounted = await mounter.mount(spec);
    const unmount = (): void => void mounter.unmount(mounted, { lazy: true });
    if (signal.signal.aborted) unmount();
    else signal.signal.addEventListener('abort', unmount);
    await mounted.ended;
  } finally {
    await mounter.close();
  }
}
