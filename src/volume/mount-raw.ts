import { knownMode, modeWords } from './mode.ts';
import type { Mount } from './mount.ts';
import type { MountPoint } from './mount-point.ts';
import { mountPointOf } from './mount-spec.ts';
import { refused } from './refused.ts';
import { checkMount } from './validate.ts';

/**
 * The mount point of `-v TARGET`, `-v SOURCE:TARGET` or `-v SOURCE:TARGET:MODE`: a bind where the source is an absolute path, else a volume, of the driver where one is given. One that
 * makes no sense is refused (UFS_USAGE) in moby's words (daemon/volume/mounts/linux_parser.go). Nobody asks whether a source exists: `setup` makes it.
 */
export function parseMountRaw(raw: string, volumeDriver = ''): MountPoint {
  const { mode, ...parts } = split(raw);
  const words = knownMode(mode);
  const type = parts.source.startsWith('/') ? 'bind' : 'volume';
  const spec: Mount = { type, source: parts.source, target: parts.target, readOnly: words.write === 'ro' };
  const driver = type === 'volume' && volumeDriver !== '' ? { driverConfig: { name: volumeDriver } } : undefined;
  const noCopy = words.copy === 'nocopy' ? { noCopy: true } : undefined;
  if (driver !== undefined || noCopy !== undefined) spec.volumeOptions = { ...driver, ...noCopy };
  if (words.propagation !== undefined) spec.bindOptions = { propagation: words.propagation };
  try {
    checkMount(spec, undefined);
  } catch (error) {
    throw refused(`${invalid(raw)}: ${(error as Error).message}`, { cause: error });
  }
  const point = mountPointOf(spec);
  point.mode = mode;
  return point;
}

function split(raw: string): { source: string; target: string; mode: string } {
  const parts = raw.split(':');
  const [first, second, third] = parts as [string, string?, string?];
  if (first === '' || parts.length > 3) throw refused(invalid(raw));
  if (second === undefined) return { source: '', target: first, mode: '' };
  // "/data:ro" is no anonymous volume that is read-only: that has no name, so it can't be filled either.
  if (third === undefined && modeWords(second) !== undefined) throw refused(invalid(raw));
  return { source: first, target: second, mode: third ?? '' };
}

function invalid(raw: string): string {
  return `invalid volume specification: '${raw}'`;
}
