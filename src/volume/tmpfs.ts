import type { MountPoint } from './mount-point.ts';
import { refused } from './refused.ts';

/** The mount point of `--tmpfs TARGET[:OPTIONS]`; its `mode` is the options. */
export function parseTmpfs(expression: string): MountPoint {
  throw refused(`not yet: ${expression}`);
}

/** The options a tmpfs is mounted with, as mount(8) takes them: Docker's own (noexec,nosuid,nodev,rprivate) and over them those of `--tmpfs` or `--mount`. */
export function tmpfsMountOptions(point: MountPoint): string[] {
  throw refused(`not yet: ${point.destination}`);
}
