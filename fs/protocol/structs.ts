import { opaque, struct } from './struct.ts';

/** The structs of linux/fuse.h up to protocol 7.45, in its own spelling; padding, spares and what we only carry are opaque. */

export const fuse_in_header = struct({
  len: 'u32', opcode: 'u32', unique: opaque(8), nodeid: 'u64', uid: 'u32', gid: 'u32', pid: 'u32', total_extlen: 'u16', padding: opaque(2),
});
export const fuse_out_header = struct({ len: 'u32', error: 'i32', unique: opaque(8) });

export const fuse_attr = struct({
  ino: 'u64', size: 'u64', blocks: 'u64', atime: 'i64', mtime: 'i64', ctime: 'i64', atimensec: 'u32', mtimensec: 'u32', ctimensec: 'u32',
  mode: 'u32', nlink: 'u32', uid: 'u32', gid: 'u32', rdev: 'u32', blksize: 'u32', flags: opaque(4),
});
export const fuse_entry_out = struct({
  nodeid: 'u64', generation: 'u64', entry_valid: 'u64', attr_valid: 'u64', entry_valid_nsec: opaque(4), attr_valid_nsec: opaque(4), attr: fuse_attr,
});
export const fuse_attr_out = struct({ attr_valid: 'u64', attr_valid_nsec: opaque(4), dummy: opaque(4), attr: fuse_attr });

export const fuse_forget_in = struct({ nlookup: 'u64' });
export const fuse_forget_one = struct({ nodeid: 'u64', nlookup: 'u64' });
export const fuse_batch_forget_in = struct({ count: 'u32', dummy: opaque(4) });
export const fuse_getattr_in = struct({ getattr_flags: 'u32', dummy: opaque(4), fh: 'u64' });
export const fuse_setattr_in = struct({
  valid: 'u32', padding: opaque(4), fh: 'u64', size: 'u64', lock_owner: opaque(8), atime: 'i64', mtime: 'i64', ctime: 'i64', atimensec: 'u32',
  mtimensec: 'u32', ctimensec: 'u32', mode: 'u32', unused4: opaque(4), uid: 'u32', gid: 'u32', unused5: opaque(4),
});

export const fuse_mknod_in = struct({ mode: 'u32', rdev: 'u32', umask: 'u32', padding: opaque(4) });
export const fuse_mkdir_in = struct({ mode: 'u32', umask: 'u32' });
export const fuse_rename_in = struct({ newdir: 'u64' });
export const fuse_rename2_in = struct({ newdir: 'u64', flags: 'u32', padding: opaque(4) });
export const fuse_link_in = struct({ oldnodeid: 'u64' });

/** open_flags since 7.33. */
export const fuse_open_in = struct({ flags: 'u32', open_flags: 'u32' });
/** backing_id since 7.40 (padding before). */
export const fuse_open_out = struct({ fh: 'u64', open_flags: 'u32', backing_id: 'i32' });
export const fuse_create_in = struct({ flags: 'u32', mode: 'u32', umask: 'u32', open_flags: 'u32' });
export const fuse_release_in = struct({ fh: 'u64', flags: 'u32', release_flags: 'u32', lock_owner: opaque(8) });
export const fuse_flush_in = struct({ fh: 'u64', unused: opaque(4), padding: opaque(4), lock_owner: opaque(8) });
export const fuse_read_in = struct({
  fh: 'u64', offset: 'u64', size: 'u32', read_flags: 'u32', lock_owner: opaque(8), flags: 'u32', padding: opaque(4),
});
export const fuse_write_in = struct({
  fh: 'u64', offset: 'u64', size: 'u32', write_flags: 'u32', lock_owner: opaque(8), flags: 'u32', padding: opaque(4),
});
export const fuse_write_out = struct({ size: 'u32', padding: opaque(4) });
export const fuse_fsync_in = struct({ fh: 'u64', fsync_flags: 'u32', padding: opaque(4) });
export const fuse_fallocate_in = struct({ fh: 'u64', offset: 'u64', length: 'u64', mode: 'u32', padding: opaque(4) });
/** `offset` is a signed loff_t on both sides. */
export const fuse_lseek_in = struct({ fh: 'u64', offset: 'i64', whence: 'u32', padding: opaque(4) });
export const fuse_lseek_out = struct({ offset: 'u64' });
export const fuse_copy_file_range_in = struct({
  fh_in: 'u64', off_in: 'u64', nodeid_out: 'u64', fh_out: 'u64', off_out: 'u64', len: 'u64', flags: 'u64',
});
/** Since 7.45, the reply to COPY_FILE_RANGE_64. */
export const fuse_copy_file_range_out = struct({ bytes_copied: 'u64' });
export const fuse_ioctl_in = struct({ fh: 'u64', flags: 'u32', cmd: 'u32', arg: opaque(8), in_size: 'u32', out_size: 'u32' });
export const fuse_ioctl_out = struct({ result: 'i32', flags: 'u32', in_iovs: 'u32', out_iovs: 'u32' });

/** Without FUSE_SETXATTR_EXT only the first 8 bytes. */
export const fuse_setxattr_in_compat = struct({ size: 'u32', flags: 'u32' });
export const fuse_setxattr_in = struct({ size: 'u32', flags: 'u32', setxattr_flags: 'u32', padding: opaque(4) });
export const fuse_getxattr_in = struct({ size: 'u32', padding: opaque(4) });
export const fuse_getxattr_out = struct({ size: 'u32', padding: opaque(4) });

export const fuse_statfs_out = struct({
  blocks: 'u64', bfree: 'u64', bavail: 'u64', files: 'u64', ffree: 'u64', bsize: 'u32', namelen: 'u32', frsize: 'u32', padding: opaque(4), spare: opaque(24),
});

/** The tail before `flags2` came with 7.36; an older kernel sends these 16 bytes. */
export const fuse_init_in_compat = struct({ major: 'u32', minor: 'u32', max_readahead: 'u32', flags: 'u32' });
export const fuse_init_in = struct({ major: 'u32', minor: 'u32', max_readahead: 'u32', flags: 'u32', flags2: 'u32', unused: opaque(44) });
export const fuse_init_out = struct({
  major: 'u32', minor: 'u32', max_readahead: 'u32', flags: 'u32', max_background: 'u16', congestion_threshold: 'u16', max_write: 'u32', time_gran: 'u32',
  max_pages: 'u16', map_alignment: 'u16', flags2: 'u32', max_stack_depth: 'u32', request_timeout: 'u16', unused: opaque(22),
});
export const fuse_interrupt_in = struct({ unique: 'u64' });

export const fuse_statx_in = struct({ getattr_flags: 'u32', reserved: opaque(4), fh: 'u64', sx_flags: 'u32', sx_mask: 'u32' });
const fuse_sx_time = struct({ tv_sec: 'i64', tv_nsec: 'u32', __reserved: opaque(4) });
export const fuse_statx = struct({
  mask: 'u32', blksize: 'u32', attributes: opaque(8), nlink: 'u32', uid: 'u32', gid: 'u32', mode: 'u16', spare0: opaque(2), ino: 'u64', size: 'u64',
  blocks: 'u64', attributes_mask: opaque(8), atime: fuse_sx_time, btime: fuse_sx_time, ctime: fuse_sx_time, mtime: fuse_sx_time,
  rdev_major: 'u32', rdev_minor: 'u32', dev_major: opaque(4), dev_minor: opaque(4), spare2: opaque(112),
});
export const fuse_statx_out = struct({ attr_valid: 'u64', attr_valid_nsec: opaque(4), flags: opaque(4), spare: opaque(16), stat: fuse_statx });

export const fuse_dirent = struct({ ino: 'u64', off: 'u64', namelen: 'u32', type: 'u32' });

export const fuse_notify_inval_inode_out = struct({ ino: 'u64', off: 'i64', len: 'i64' });
export const fuse_notify_inval_entry_out = struct({ parent: 'u64', namelen: 'u32', flags: 'u32' });

/** The argument of FUSE_DEV_IOC_BACKING_OPEN. */
export const fuse_backing_map = struct({ fd: 'i32', flags: 'u32', padding: opaque(8) });
