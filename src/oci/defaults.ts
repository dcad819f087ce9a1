/** A mount of a bundle (runtime-spec, config.md). */
export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

/** What Docker lets root of a container do (moby, daemon/pkg/oci/caps/defaults.go). */
export const CAPABILITIES: readonly string[] = [
  'CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP', 'SETPCAP', 'NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE',
].map((name) => `CAP_${name}`);

/** What isn't shown to a container, and what isn't to be written to (moby, daemon/pkg/oci/defaults.go). */
export const MASKED_PATHS: readonly string[] = [
  '/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/sched_debug', '/proc/scsi', '/proc/timer_list', '/proc/timer_stats',
  '/sys/devices/virtual/powercap', '/sys/firmware',
];
export const READONLY_PATHS: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const QUIET = ['nosuid', 'noexec', 'nodev'];

/**
 * The kernel's file systems in a container. `initial`: whether it is in the first user namespace; in others the machine's /sys is shown, because only who owns the network may
 * mount a new one, and no control groups. `ttyGroup`: whether the group of terminals is mapped.
 */
export function defaultMounts({ initial, ttyGroup }: { initial: boolean; ttyGroup: boolean }): OciMount[] {
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: QUIET },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...(ttyGroup ? ['gid=5'] : [])] },
    initial ? { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...QUIET, 'ro'] } : { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', ...QUIET, 'ro'] },
    ...(initial ? [{ destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...QUIET, 'ro', 'relatime'] }] : []),
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: QUIET },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...QUIET, 'mode=1777', 'size=65536k'] },
  ];
}
