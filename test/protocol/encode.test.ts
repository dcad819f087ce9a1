import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeReply } from '../../fs/file-system.ts';
import { DirentPacker } from '../../fs/protocol/dirent.ts';
import { invalidateEntry, invalidateInode, ReplyBuffer } from '../../fs/protocol/encode.ts';
import * as structs from '../../fs/protocol/structs.ts';
import type { Stat } from '../../fs/stat.ts';
import { bytes } from './bytes.ts';

const STAT: Stat = {
  mode: 0o100644, uid: 1, gid: 2, size: 2 ** 40 + 3, blocks: 8, blockSize: 4096, nlink: 4, ino: 2 ** 52 + 1, rdevMajor: 0, rdevMinor: 0, atimeSec: -2,
  atimeNsec: 1, mtimeSec: 3, mtimeNsec: 999_999_999, ctimeSec: 5, ctimeNsec: 6, btimeSec: 0, btimeNsec: 0,
};
const NODE: NodeReply = { id: 2 ** 33 + 5, generation: 6, stat: STAT };

test('structs have the sizes linux/fuse.h gives them', () => {
  const sizes: Partial<Record<keyof typeof structs, number>> = {
    fuse_in_header: 40, fuse_out_header: 16, fuse_attr: 88, fuse_entry_out: 128, fuse_attr_out: 104, fuse_setattr_in: 88, fuse_getattr_in: 16, fuse_mknod_in: 16,
    fuse_open_out: 16, fuse_create_in: 16, fuse_release_in: 24, fuse_flush_in: 24, fuse_read_in: 40, fuse_write_in: 40, fuse_statfs_out: 80, fuse_init_in: 64,
    fuse_init_out: 64, fuse_setxattr_in: 16, fuse_fallocate_in: 32, fuse_lseek_in: 24, fuse_copy_file_range_in: 56, fuse_ioctl_in: 32, fuse_ioctl_out: 16,
    fuse_statx_in: 24, fuse_statx: 256, fuse_statx_out: 288, fuse_dirent: 24, fuse_notify_inval_inode_out: 24, fuse_notify_inval_entry_out: 16,
  };
  for (const [name, size] of Object.entries(sizes)) assert.equal(structs[name as keyof typeof structs].size, size, name);
});

test('a written struct reads as it was, with times before 1970 and 53-bit numbers', () => {
  const reply = new ReplyBuffer(512);
  assert.equal(reply.putEntry(NODE), 128);
  const entry = structs.fuse_entry_out.read(reply.view, 16);
  assert.deepEqual([entry.nodeid, entry.generation, entry.attr.ino, entry.attr.size, entry.attr.atime, entry.attr.mtimensec], [NODE.id, 6, STAT.ino, STAT.size, -2, 999_999_999]);
});

test('a name that is absent is an entry with node 0 and a timeout', () => {
  const reply = new ReplyBuffer(512);
  reply.putEntry(undefined);
  const entry = structs.fuse_entry_out.read(reply.view, 16);
  assert.equal(entry.nodeid, 0);
  assert.ok(entry.entry_valid > 1e9);
});

test('a reply begins with its length, the negated errno and the unique as it came', () => {
  const reply = new ReplyBuffer(64);
  const length = reply.finish({ opcode: 1, uniqueLow: 0xbaadf00d, uniqueHigh: 0xdeadbeef, nodeid: 1, uid: 0, gid: 0, pid: 0, body: undefined }, 0, 2);
  assert.deepEqual(reply.bytes.subarray(0, length), bytes('10 00 00 00  fe ff ff ff', '0d f0 ad ba  ef be ad de'));
});

test('statx tells the birth time only where there is one', () => {
  const reply = new ReplyBuffer(512);
  reply.putStatx(STAT);
  assert.equal(structs.fuse_statx_out.read(reply.view, 16).stat.mask, 0x7ff);
  reply.putStatx({ ...STAT, btimeSec: 9, btimeNsec: 8 });
  const { stat } = structs.fuse_statx_out.read(reply.view, 16);
  assert.deepEqual([stat.mask, stat.btime, stat.mode], [0xfff, { tv_sec: 9, tv_nsec: 8 }, 0o100644]);
});

test('notifications have unique 0 and their code in place of the errno', () => {
  assert.deepEqual(invalidateEntry(3, 'ab'), bytes(
    '23 00 00 00  03 00 00 00', '00 00 00 00  00 00 00 00', // len 35, INVAL_ENTRY, unique
    '03 00 00 00  00 00 00 00', '02 00 00 00  00 00 00 00', '61 62 00', // parent, namelen, flags, name
  ));
  assert.deepEqual(invalidateInode(3, -1, 0), bytes(
    '28 00 00 00  02 00 00 00', '00 00 00 00  00 00 00 00', '03 00 00 00  00 00 00 00', 'ff ff ff ff  ff ff ff ff', '00 00 00 00  00 00 00 00',
  ));
});

test('directory entries are padded to 8 bytes, and one without room is not taken', () => {
  const reply = new ReplyBuffer(256);
  reply.bytes.fill(0xaa);
  const packer = new DirentPacker(reply.bytes, reply.view, 16, 64);
  const entry = { name: 'a\xe9b', ino: 2 ** 33, mode: 0o040755, offset: 1 };
  assert.equal(packer.add(entry), true);
  assert.deepEqual(reply.bytes.subarray(16, 16 + packer.length), bytes(
    '00 00 00 00  02 00 00 00', '01 00 00 00  00 00 00 00', // ino, off
    '03 00 00 00  04 00 00 00', '61 e9 62 00  00 00 00 00', // namelen, DT_DIR, name
  ));
  assert.equal(packer.add({ ...entry, name: 'x'.repeat(9) }), false, '24 + 9 bytes, padded, are over 32');
  assert.equal(packer.length, 32);
  assert.equal(packer.add({ ...entry, name: 'x'.repeat(8) }), true, '32 bytes fit exactly');
  assert.equal(packer.length, 64);
});

test('readdirplus carries the node before each name, and none for "."', () => {
  const reply = new ReplyBuffer(1024);
  const packer = new DirentPacker(reply.bytes, reply.view, 16, 400);
  assert.equal(packer.addPlus({ name: '.', ino: 1, mode: 0o040000, offset: 1 }, undefined), true);
  assert.equal(packer.addPlus({ name: 'file', ino: 5, mode: 0o100000, offset: 2 }, NODE), true);
  assert.equal(packer.addPlus({ name: 'more', ino: 6, mode: 0o100000, offset: 3 }, NODE), false);
  assert.equal(packer.length, 2 * (128 + 24 + 8));
  assert.equal(structs.fuse_entry_out.read(reply.view, 16).nodeid, 0);
  assert.equal(structs.fuse_entry_out.read(reply.view, 16 + 160).nodeid, NODE.id);
});
