import { MS_DIRSYNC, MS_MANDLOCK, MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME, MS_STRICTATIME, MS_SYNCHRONOUS } from '../../fs/host/constants.ts';

/** Words of mount(8) that are flags of mount(2). Their opposites are what is so without them. */
const FLAGS: Readonly<Record<string, number>> = {
  ro: MS_RDONLY, nosuid: MS_NOSUID, nodev: MS_NODEV, noexec: MS_NOEXEC, sync: MS_SYNCHRONOUS, dirsync: MS_DIRSYNC, mand: MS_MANDLOCK, noatime: MS_NOATIME, nodiratime: MS_NODIRATIME,
  relatime: MS_RELATIME, strictatime: MS_STRICTATIME,
};

/** The options of a tmpfs as mount(2) takes them: what has a value is for the file system. How mounts are passed on doesn't matter: nothing is mounted in a new one. */
export function tmpfsWords(options: readonly string[]): { flags: number; data: string } {
  return {
    flags: options.reduce((flags, word) => flags | (FLAGS[word] ?? 0), 0),
    data: options.filter((word) => word.includes('=')).join(','),
  };
}
