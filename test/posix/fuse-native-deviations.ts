import { gapReason, type GapName } from '../../fs/transport/fuse-native-gaps.ts';

const kinds = ['file', 'symlink', 'fifo', 'an empty directory', 'a full directory'];

/** The cases that need what a gap of fuse-native is about. */
const casesOfGaps: Partial<Record<GapName, readonly string[]>> = {
  owner: ['what a user makes is the user\'s', 'supplementary groups count as the group'],
  times: [
    'mtimes are there to the nanosecond', 'a change of mode or owner keeps the mtime and updates the ctime', 'atime and mtime are set apart, to the nanosecond, each alone too',
    'times before 1970 and after 2038 are kept', 'times are set through a descriptor, and kept when it is closed', 'opening for writing alone keeps the mtime',
    'what happens inside a file or a sub-directory leaves the parent\'s mtime', 'chown sets each owner alone, and keeps content, times and mode',
    'setting an xattr updates the ctime and keeps the mtime',
  ],
  hardLinks: ['a lock is on the file, by whatever name, through renames'],
  names: ['names that are no UTF-8 keep their bytes', 'symlinks keep any target, to the byte, and have its length as size'],
  renameFlags: [
    'RENAME_NOREPLACE refuses a target that is there', ...kinds.flatMap((kind) => [`RENAME_EXCHANGE of ${kind} with each kind: done, and ENOENT for nothing`, `RENAME_NOREPLACE of ${kind}: EEXIST, and done where nothing is`]),
    'RENAME_EXCHANGE in a sticky directory needs the rights to both names', 'a file open for reading that was exchanged with another is changed where it is now',
    'a file open for writing that was exchanged with another is changed where it is now', 'times moved by exchange: both parents\' mtime and ctime, both files\' ctime',
  ],
  acls: [
    'an ACL lets a named user in, and shows in the group bits', 'an ACL there before is obeyed, and kept over changes of the file', 'a default ACL is inherited by what is made in the directory',
    'an ACL lets a named group in, by a supplementary group too, and refuses a named user', 'a default ACL goes down through directories, past the umask, to all that is made',
  ],
  trusted: ['trusted xattrs are neither told, shown nor set to those without rights'],
  tmpfile: [
    'a file without a name (O_TMPFILE) can be written and be given one', 'files without a name are many, each its own',
    'O_TMPFILE gives the file its maker\'s owner, the setgid directory\'s group, and takes the umask', 'O_TMPFILE: ENOENT, ENOTDIR, EINVAL read-only, EACCES, and with O_EXCL it never gets a name',
  ],
  removed: ['a removed directory that is still open makes no new names', 'a file open in a removed directory can be used as before', 'a removed directory that is open has no entries, and changes mode and times'],
  fallocate: [
    'fallocate zeroes a range, with the size kept or not',
    'fallocate lengthens, keeps the size if told, and punches holes', 'times moved by fallocate: the file\'s mtime and ctime', 'setuid, setgid and capabilities go with each way to change data',
    'an unlinked file open for writing changes mode, times, xattrs, size and data, and has no links', 'a file open for writing that another was renamed over changes all by itself',
    'a file open for writing that was renamed, with its directory too, is changed where it is now', 'a name of a file that is open by another name goes, the file stays',
  ],
  ioctl: ['chattr +a lets a file grow only', 'chattr +i forbids changes until chattr -i, and lsattr tells'],
  birth: ['a new file\'s birth time is told, and stays'],
  holes: ['SEEK_DATA and SEEK_HOLE find data and holes', 'SEEK_DATA and SEEK_HOLE find what was only just written, or put in a mapping'],
};

/** Those that need more only where copying a file up shows. */
const casesOfCopyUp = [
  'times moved by chmod: the file\'s ctime', 'times moved by chmod of a directory: its ctime', 'times moved by setting and removing xattrs: the file\'s ctime',
  'times moved by write, and by copy_file_range: the file\'s mtime and ctime', 'times moved by truncate, also to the size it has: the file\'s mtime and ctime',
  'times moved by a write of nothing, an open and a sync: none', 'times moved by link: the parent\'s mtime and ctime, the file\'s ctime',
];

/** As in deviations.ts; the reasons are those of the transport's own table. */
export const fuseNativeDeviations = [
  ...Object.entries(casesOfGaps).map(([gap, titles]) => ({ titles, where: /fuse-native/, reason: gapReason(gap as GapName) })),
  { titles: casesOfCopyUp, where: /fuse-native, files in (the lowest layer|a middle layer|all layers)/, reason: gapReason('cache') },
];
