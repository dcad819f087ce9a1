import { isPropagation } from './mode.ts';
import type { Mount } from './mount.ts';
import { isLocal, validateAbsolute, validateTarget } from './paths.ts';
import { quoted, refused } from './refused.ts';
import { type SourceExists, existsOnHost } from './source-exists.ts';
import { convertTmpfsOptions } from './tmpfs-options.ts';

/** Options that only mounts of one type may have: the type, our name, and moby's in its errors. */
const OWN = [['bind', 'bindOptions', 'BindOptions'], ['volume', 'volumeOptions', 'VolumeOptions'], ['tmpfs', 'tmpfsOptions', 'TmpfsOptions']] as const;

/** Refuses a mount of Docker's API that makes no sense, or whose source doesn't exist and isn't to be made. */
export function validateMountConfig(spec: Mount, exists: SourceExists = existsOnHost): void {
  checkMount(spec, exists);
}

/** The same; without `exists`, nobody asks whether a source does. */
export function checkMount(spec: Mount, exists: SourceExists | undefined): void {
  try {
    for (const [type, options, name] of OWN) if (spec.type !== type && spec[options] !== undefined) throw refused(`field ${name} must not be specified`);
    if (!spec.target) throw refused('field Target must not be empty');
    validateTarget(spec.target);
    checkType(spec, exists);
  } catch (error) {
    throw refused(`invalid mount config for type ${quoted(spec.type)}: ${(error as Error).message}`, { cause: error });
  }
}

function checkType(spec: Mount, exists: SourceExists | undefined): void {
  switch (spec.type) {
    case 'bind':
      return checkBind(spec, exists);
    case 'volume':
      return checkSubpath(spec);
    case 'tmpfs':
      if (spec.source) throw refused('field Source must not be specified');
      convertTmpfsOptions(spec.tmpfsOptions, spec.readOnly === true);
      return;
    default:
      throw refused('mount type unknown');
  }
}

function checkBind({ source, bindOptions }: Mount, exists: SourceExists | undefined): void {
  if (!source) throw refused('field Source must not be empty');
  if (bindOptions?.propagation && !isPropagation(bindOptions.propagation)) throw refused(`invalid propagation mode: ${bindOptions.propagation}`);
  validateAbsolute(source);
  // Asked even where a missing one is made: one that can't be looked at is refused.
  if (exists !== undefined && !exists(source) && bindOptions?.createMountpoint !== true) throw refused(`bind source path does not exist: ${source}`);
}

function checkSubpath({ source, volumeOptions }: Mount): void {
  if (!volumeOptions?.subpath) return;
  if (!source) throw refused('must not set Subpath when using anonymous volumes');
  if (!isLocal(volumeOptions.subpath)) throw refused('subpath must be a relative path within the volume');
}
