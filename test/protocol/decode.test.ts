import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attributeChange, type BodyOf, decode, DECODERS, deviceMajor, deviceMinor } from '../../fs/protocol/decode.ts';
import { encodeDevice } from '../../fs/protocol/encode.ts';
import { OPCODE, opcodeName } from '../../fs/protocol/opcode.ts';
import { bytes, request } from './bytes.ts';

const FH = '07 00 00 00  02 00 00 00'; // 2 * 2^32 + 7
const fh = 2 * 2 ** 32 + 7;
const OWNER = 'ff ff ff ff  ff ff ff ff'; // a lock owner: any 64 bits
const PAD = '00 00 00 00';
const NAME = '66 6f e9 00'; // "fo\xe9": a name is bytes, not UTF-8
const name = 'fo\xe9';

/** One good request of each opcode; its hostile twin is the same without its last byte. */
const GOOD: Record<number, [Buffer, unknown]> = {
  [OPCODE.LOOKUP]: [bytes(NAME), name],
  [OPCODE.FORGET]: [bytes('03 00 00 00  00 00 00 00'), { nlookup: 3 }],
  [OPCODE.BATCH_FORGET]: [
    bytes('02 00 00 00', PAD, /* node, lookups */ FH, '01 00 00 00  00 00 00 00', '05 00 00 00  00 00 00 00', '02 00 00 00  00 00 00 00'),
    [{ nodeid: fh, nlookup: 1 }, { nodeid: 5, nlookup: 2 }],
  ],
  [OPCODE.GETATTR]: [bytes('01 00 00 00', PAD, FH), { getattr_flags: 1, fh }],
  [OPCODE.SETATTR]: [
    bytes(
      '49 00 00 00', PAD, FH, // valid MODE|SIZE|FH
      '00 10 00 00  00 00 00 00', OWNER, // size, lock_owner
      'ff ff ff ff  ff ff ff ff', '01 00 00 00  00 00 00 00', '02 00 00 00  00 00 00 00', // atime -1, mtime, ctime
      '03 00 00 00  04 00 00 00  05 00 00 00', // nanoseconds
      'ed 81 00 00', PAD, 'e8 03 00 00  e9 03 00 00', PAD, // mode 0100755, uid, gid
    ),
    { valid: 0x49, fh, size: 4096, atime: -1, mtime: 1, ctime: 2, atimensec: 3, mtimensec: 4, ctimensec: 5, mode: 0o100755, uid: 1000, gid: 1001 },
  ],
  [OPCODE.SYMLINK]: [bytes(NAME, '2f 78 00'), { name, target: '/x' }],
  [OPCODE.MKNOD]: [bytes('a4 21 00 00  03 01 00 00  12 00 00 00', PAD, NAME), { in: { mode: 0o20644, rdev: 0x103, umask: 0o22 }, name }],
  [OPCODE.MKDIR]: [bytes('ff 01 00 00  12 00 00 00', NAME), { in: { mode: 0o777, umask: 0o22 }, name }],
  [OPCODE.UNLINK]: [bytes(NAME), name],
  [OPCODE.RMDIR]: [bytes(NAME), name],
  [OPCODE.RENAME]: [bytes(FH, NAME, '62 00'), { newdir: fh, flags: 0, name, newName: 'b' }],
  [OPCODE.RENAME2]: [bytes(FH, '01 00 00 00', PAD, NAME, '62 00'), { newdir: fh, flags: 1, name, newName: 'b' }],
  [OPCODE.LINK]: [bytes(FH, NAME), { in: { oldnodeid: fh }, name }],
  [OPCODE.OPEN]: [bytes('02 00 00 00  01 00 00 00'), { flags: 2, open_flags: 1 }],
  [OPCODE.OPENDIR]: [bytes('00 00 01 00  00 00 00 00'), { flags: 0o200000, open_flags: 0 }],
  [OPCODE.READ]: [
    bytes(FH, '00 10 00 00  00 00 00 00', '00 00 10 00  02 00 00 00', OWNER, '00 80 00 00', PAD), // fh, offset, size, read_flags, owner, flags
    { fh, offset: 4096, size: 1 << 20, read_flags: 2, flags: 0x8000 },
  ],
  [OPCODE.READDIR]: [
    bytes(FH, '03 00 00 00  00 00 00 00', '00 10 00 00', PAD, OWNER, PAD, PAD), { fh, offset: 3, size: 4096, read_flags: 0, flags: 0 },
  ],
  [OPCODE.READDIRPLUS]: [
    bytes(FH, '03 00 00 00  00 00 00 00', '00 10 00 00', PAD, OWNER, PAD, PAD), { fh, offset: 3, size: 4096, read_flags: 0, flags: 0 },
  ],
  [OPCODE.WRITE]: [
    bytes(FH, '00 00 00 00  01 00 00 00', '03 00 00 00  05 00 00 00', OWNER, '01 00 00 00', PAD, '61 62 63'),
    { in: { fh, offset: 2 ** 32, size: 3, write_flags: 5, flags: 1 }, data: Buffer.from('abc') },
  ],
  [OPCODE.RELEASE]: [bytes(FH, '01 00 00 00  01 00 00 00', OWNER), { fh, flags: 1, release_flags: 1 }],
  [OPCODE.RELEASEDIR]: [bytes(FH, '01 00 00 00', PAD, OWNER), { fh, flags: 1, release_flags: 0 }],
  [OPCODE.FSYNC]: [bytes(FH, '01 00 00 00', PAD), { fh, fsync_flags: 1 }],
  [OPCODE.FSYNCDIR]: [bytes(FH, '00 00 00 00', PAD), { fh, fsync_flags: 0 }],
  [OPCODE.FLUSH]: [bytes(FH, PAD, PAD, OWNER), { fh }],
  [OPCODE.SETXATTR]: [
    bytes('02 00 00 00  01 00 00 00  01 00 00 00', PAD, NAME, '00 ff'),
    { in: { size: 2, flags: 1, setxattr_flags: 1 }, name, value: Buffer.from([0, 255]) },
  ],
  [OPCODE.GETXATTR]: [bytes('00 01 00 00', PAD, NAME), { in: { size: 256 }, name }],
  [OPCODE.LISTXATTR]: [bytes('00 01 00 00', PAD), { size: 256 }],
  [OPCODE.REMOVEXATTR]: [bytes(NAME), name],
  [OPCODE.INIT]: [
    bytes('07 00 00 00  2d 00 00 00  00 00 02 00  ff ff ff ff  ff 00 00 00', `${PAD} `.repeat(11)),
    { major: 7, minor: 45, max_readahead: 131072, flags: 0xffffffff, flags2: 0xff },
  ],
  [OPCODE.CREATE]: [bytes('42 00 00 00  a4 81 00 00  12 00 00 00  00 00 00 00', NAME), { in: { flags: 0o102, mode: 0o100644, umask: 0o22, open_flags: 0 }, name }],
  [OPCODE.TMPFILE]: [bytes('02 00 00 00  80 81 00 00  00 00 00 00  00 00 00 00'), { flags: 2, mode: 0o100600, umask: 0, open_flags: 0 }],
  [OPCODE.INTERRUPT]: [bytes('05 00 00 00  00 00 00 00'), { unique: 5 }],
  [OPCODE.IOCTL]: [
    bytes(FH, '00 00 00 00  01 66 08 80', OWNER, '02 00 00 00  08 00 00 00', '01 02'),
    { in: { fh, flags: 0, cmd: 0x80086601, in_size: 2, out_size: 8 }, argument: Buffer.from([1, 2]) },
  ],
  [OPCODE.FALLOCATE]: [
    bytes(FH, '00 10 00 00  00 00 00 00', '00 20 00 00  00 00 00 00', '03 00 00 00', PAD), { fh, offset: 4096, length: 8192, mode: 3 },
  ],
  [OPCODE.LSEEK]: [bytes(FH, 'ff ff ff ff  ff ff ff ff', '03 00 00 00', PAD), { fh, offset: -1, whence: 3 }],
  ...Object.fromEntries([OPCODE.COPY_FILE_RANGE, OPCODE.COPY_FILE_RANGE_64].map((opcode) => [opcode, [
    bytes(FH, '01 00 00 00  00 00 00 00', '09 00 00 00  00 00 00 00', FH, '02 00 00 00  00 00 00 00', '00 00 00 00  01 00 00 00', `${PAD} ${PAD}`),
    { fh_in: fh, off_in: 1, nodeid_out: 9, fh_out: fh, off_out: 2, len: 2 ** 32, flags: 0 },
  ]])),
  [OPCODE.STATX]: [bytes('01 00 00 00', PAD, FH, '00 01 00 00  ff 0f 00 00'), { getattr_flags: 1, fh, sx_flags: 0x100, sx_mask: 0xfff }],
};
const WITHOUT_BODY: number[] = [OPCODE.READLINK, OPCODE.STATFS, OPCODE.DESTROY, OPCODE.SYNCFS];

for (const opcode of Object.keys(DECODERS).map(Number)) {
  if (WITHOUT_BODY.includes(opcode)) continue;
  const title = opcodeName(opcode);
  const [body, expected] = GOOD[opcode] as [Buffer, unknown];
  test(`${title} is decoded to what its bytes say`, () => {
    const decoded = decode(request(opcode, body));
    assert.deepEqual(decoded.body, expected);
    assert.deepEqual({ ...decoded, body: 0 }, {
      opcode, uniqueLow: 0xbaadf00d, uniqueHigh: 0xdeadbeef, nodeid: 1, uid: 1000, gid: 1001, pid: 77, body: 0,
    });
  });
  test(`a ${title} that is too short is refused, at every length`, () => {
    // INIT of kernels before 7.36 is shorter and right.
    const least = opcode === OPCODE.INIT ? 16 : body.length;
    for (let length = 0; length < least; length += 1) {
      assert.throws(() => decode(request(opcode, body.subarray(0, length))), { code: 'EINVAL', message: new RegExp(`^Cannot decode ${title}: `) }, `${length} bytes`);
    }
  });
}

test('INIT of a kernel before 7.36 has no flags2', () => {
  const decoded = decode(request(OPCODE.INIT, bytes('07 00 00 00  1f 00 00 00  00 00 02 00  01 00 00 00')));
  assert.deepEqual(decoded.body, { major: 7, minor: 31, max_readahead: 131072, flags: 1, flags2: 0 });
});

test('SETXATTR without the extension has the short head', () => {
  const body = bytes('02 00 00 00  01 00 00 00', NAME, '00 ff');
  assert.deepEqual(decode(request(OPCODE.SETXATTR, body), { setxattrExt: false }).body, {
    in: { size: 2, flags: 1, setxattr_flags: 0 }, name, value: Buffer.from([0, 255]),
  });
});

test('a header that is cut off, or claims another length than was read, is refused', () => {
  const good = request(OPCODE.LOOKUP, bytes(NAME));
  for (let length = 0; length < 40; length += 1) assert.throws(() => decode(good.subarray(0, length)), { code: 'EINVAL' });
  assert.throws(() => decode(good.subarray(0, 43)), /its header says 44 bytes, 43 were read/);
  assert.throws(() => decode(Buffer.concat([good, Buffer.alloc(8)])), /its header says 44 bytes, 52 were read/);
});

test('a BATCH_FORGET that announces more than it holds is refused before anything is made of it', () => {
  assert.throws(() => decode(request(OPCODE.BATCH_FORGET, bytes('ff ff ff ff', PAD, FH, FH))), /4294967295 nodes announced in 16 bytes/);
});

test('extensions behind the body are not read as part of it', () => {
  const good = request(OPCODE.LOOKUP, Buffer.concat([bytes('66 00'), Buffer.alloc(8)]));
  good.writeUInt16LE(1, 36); // total_extlen, units of 8 bytes
  assert.equal(decode(good).body, 'f');
});

test('an opcode nobody knows is decoded as far as its header', () => {
  assert.equal(decode(request(4711, bytes('01 02 03'))).body, undefined);
});

test('SETATTR becomes a change of exactly what its valid bits name', () => {
  const values = decode(request(OPCODE.SETATTR, GOOD[OPCODE.SETATTR]?.[0] as Buffer)).body as BodyOf<typeof OPCODE.SETATTR>;
  const change = (valid: number): object => attributeChange({ ...values, valid });
  assert.deepEqual(change(0), {});
  assert.deepEqual(change(0x49), { mode: 0o755, size: 4096, handle: fh });
  assert.deepEqual(change(0x6), { uid: 1000, gid: 1001 });
  assert.deepEqual(change(0x30), { atime: { sec: -1, nsec: 3 }, mtime: { sec: 1, nsec: 4 } });
  assert.deepEqual(change(0x1b0), { atime: 'now', mtime: 'now' });
  assert.deepEqual(change(0xc00), { ctime: { sec: 2, nsec: 5 }, killPrivileges: true });
});

test('device numbers survive the 32-bit spelling', () => {
  for (const [major, minor] of [[0, 0], [1, 3], [259, 1_048_575], [4095, 256]] as const) {
    const device = encodeDevice(major, minor);
    assert.deepEqual([deviceMajor(device), deviceMinor(device)], [major, minor]);
  }
});

test('a file name over 255 bytes is too long; an xattr value\'s name or a symlink\'s target may be longer', () => {
  const long = Buffer.from(`${'x'.repeat(256)}\0`);
  assert.throws(() => decode(request(OPCODE.LOOKUP, long)), { code: 'ENAMETOOLONG' });
  assert.equal((decode(request(OPCODE.LOOKUP, long.subarray(1))).body as string).length, 255);
  assert.equal((decode(request(OPCODE.SYMLINK, Buffer.concat([bytes(NAME), long]))).body as { target: string }).target.length, 256);
});
