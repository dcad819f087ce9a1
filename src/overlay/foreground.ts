import { Mounter } from '../mount/mounter.ts';
import type { MountSpec } from '../mount/spec.ts';

/** Serves a mount in this process until it is unmounted; a signal unmounts it. */
export async function serveHere(spec: MountSpec, { debug }: { debug: boolean }): Promise<void> {
  const tell = (line: string): void => void process.stderr.write(`ufs-overlay: ${line}\n`);
  const mounter = new Mounter(tell, { store: false, ...(debug ? { trace: tell } : {}) });
  const mounted = await mounter.mount(spec);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void mounter.unmount(mounted, { lazy: true }));
  await mounted.ended;
  await mounter.close();
}
