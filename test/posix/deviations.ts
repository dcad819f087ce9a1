import { fuseNativeDeviations } from './fuse-native-deviations.ts';

/** What mounts do otherwise than a plain file system, and why that is accepted: here and nowhere else, each told of in the README's "Differences". */
const deviations: { titles: readonly string[]; where: RegExp; reason: string }[] = [
  {
    titles: ['unlink updates the ctime of a file that has other names'], where: /(passthrough (auto|always)|fuse-native), files in (the lowest layer|a middle layer|all layers)/,
    reason: 'the other names are in a lower layer, and a file isn\'t copied up for its ctime',
  },
  {
    titles: [
      'a descriptor opened for reading before sees what is written after', 'a lock (flock) holds against another descriptor until it is closed',
      'a lock taken while the file was open for reading alone holds when it is written to', 'every reader, opened before, between or after, sees each write of every writer',
      'a mapping made while the file was open for reading alone sees what is written later', 'two mappings of a file, one for reading made before, show the same',
      'what is written to a shared mapping is read at once, and there for who opens the file after',
    ],
    where: /passthrough always, files in (the lowest layer|a middle layer|all layers)/,
    reason: 'passthrough=always: who has a lower file open read-only goes on with that file, its data and its locks',
  },
  {
    titles: ['without O_APPEND, taken back from an open file, writes go to their offset'], where: /passthrough (auto|always)/,
    reason: 'passthrough: the kernel appends to the backing file as long as it was opened so',
  },
  {
    titles: ['chattr +a lets a file grow only'], where: /passthrough (never|impossible)/,
    reason: 'a writeback cache writes pages, not what was appended: such a file can\'t be opened for writing',
  },
  {
    titles: ['a sparse file has the blocks it needs'], where: /image below.* (in (the lowest layer|a middle layer|all layers)|just copied up)/,
    reason: 'the index of a layer has sizes, and knows of no holes',
  },
  ...fuseNativeDeviations,
];

/** Why a case isn't run on a mount described so; false: it is. */
export function deviation(title: string, mount: string): string | false {
  return deviations.find(({ titles, where }) => titles.includes(title) && where.test(mount))?.reason ?? false;
}

/** Titles that are named, so that one which no case has any more is seen. */
export function namedTitles(): string[] {
  return deviations.flatMap(({ titles }) => titles);
}
