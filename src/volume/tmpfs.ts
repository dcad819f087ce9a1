import { DEFAULT_PROPAGATION, isPropagation } from './mode.ts';
import { MountPoint } from './mount-point.ts';
import { cleanPath, validateTarget } from './paths.ts';
import { quoted, refused } from './refused.ts';
import { convertTmpfsOptions } from './tmpfs-options.ts';

/** What Docker mounts a tmpfs with unless told otherwise. */
const DEFAULTS = ['noexec', 'nosuid', 'nodev', DEFAULT_PROPAGATION];

/** Words without a value, by what they decide: of each row the last one counts. The words of propagation are one more row. */
const FLAGS = [
  ['ro', 'rw'], ['suid', 'nosuid'], ['dev', 'nodev'], ['exec', 'noexec'], ['sync', 'async'], ['dirsync'], ['remount'], ['mand', 'nomand'], ['atime', 'noatime'],
  ['diratime', 'nodiratime'], ['relatime', 'norelatime'], ['strictatime', 'nostrictatime'],
];
const LIKE_PROPAGATION = ['bind', 'rbind', 'unbindable', 'runbindable'];
const VALUES = ['', 'size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol'];

/** Refuses (UFS_USAGE) a target for a tmpfs that is the root of the container, or not absolute. */
export function validateTmpfsMountDestination(target: string): void {
  validateTarget(target);
}

/** The mount point of `--tmpfs TARGET[:OPTIONS]`; its `mode` is the options. What Docker refuses, at once or when the container starts, is refused (UFS_USAGE) in its words. */
export function parseTmpfs(expression: string): MountPoint {
  const colon = expression.indexOf(':');
  const [target, mode] = colon === -1 ? [expression, ''] : [expression.slice(0, colon), expression.slice(colon + 1)];
  validateTmpfsMountDestination(target);
  const rw = !mergeTmpfsOptions(wordsOf(mode)).includes('ro');
  return new MountPoint({ type: 'tmpfs', destination: cleanPath(target), rw, mode, spec: { type: 'tmpfs', target, readOnly: !rw } });
}

/** The options a tmpfs is mounted with, as mount(8) takes them: Docker's own (noexec,nosuid,nodev,rprivate) and over them those of `--tmpfs` or `--mount`. */
export function tmpfsMountOptions(point: MountPoint): string[] {
  const options = point.mode === '' ? convertTmpfsOptions(point.spec.tmpfsOptions, point.spec.readOnly === true) : point.mode;
  return mergeTmpfsOptions([...DEFAULTS, ...wordsOf(options)]);
}

/** The options of which none is said otherwise by a later one, in their order (moby, sys/mount: MergeTmpfsOptions); one that a tmpfs doesn't have is refused (UFS_USAGE). */
export function mergeTmpfsOptions(options: readonly string[]): string[] {
  const merged: string[] = [];
  const decided = new Set<string>();
  for (const option of options.toReversed()) {
    if (option === 'defaults') continue;
    const row = rowOf(option);
    if (!decided.has(row)) merged.unshift(option);
    decided.add(row);
  }
  return merged;
}

function rowOf(option: string): string {
  const flag = FLAGS.find((words) => words.includes(option));
  if (flag !== undefined) return flag[0] as string;
  if (isPropagation(option) || LIKE_PROPAGATION.includes(option)) return 'propagation';
  const [key] = option.split('=');
  if (!option.includes('=') || !VALUES.includes(key as string)) throw refused(`invalid tmpfs option ${quoted(key as string)}`);
  return `${key}=`;
}

function wordsOf(options: string): string[] {
  return options === '' ? [] : options.split(',');
}
