import { knownMode } from './mode.ts';
import { refused } from './refused.ts';

/** `--volumes-from CONTAINER[:MODE]`: whose volumes, and in what mode. Of what a mode may say, its volumes keep how they pass mounts on, and whether they were filled. */
export function parseVolumesFrom(spec: string): { id: string; mode: string } {
  if (spec === '') throw refused('volumes-from specification cannot be an empty string');
  const colon = spec.indexOf(':');
  const [id, mode] = colon === -1 ? [spec, ''] : [spec.slice(0, colon), spec.slice(colon + 1)];
  if (mode === '') return { id, mode: 'rw' };
  const words = knownMode(mode);
  if (words.propagation !== undefined || words.copy !== undefined) throw refused(`invalid mode: ${mode}`);
  return { id, mode };
}
