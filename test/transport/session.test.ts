import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FsError } from '../../fs/errno.ts';
import { OPCODE } from '../../fs/protocol/opcode.ts';
import * as structs from '../../fs/protocol/structs.ts';
import { MemoryTransport } from '../../fs/transport/memory.ts';
import { MemoryFileSystem } from '../helpers/memory-file-system.ts';
import { bytes, request } from '../protocol/bytes.ts';

const INIT = request(OPCODE.INIT, bytes('07 00 00 00  2d 00 00 00  00 00 02 00  ff ff ff ff  ff 00 00 00', '00 '.repeat(44)));
const READ = bytes('07 00 00 00 00 00 00 00', '00 '.repeat(8), '10 00 00 00', '00 '.repeat(20)); // fh 7, offset 0, size 16
const FSYNC = bytes('07 00 00 00 00 00 00 00', '00 '.repeat(8));

function named(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'latin1');
}

function started(): { fileSystem: MemoryFileSystem; transport: MemoryTransport } {
  const fileSystem = new MemoryFileSystem();
  const transport = new MemoryTransport(fileSystem);
  const [reply] = transport.request(INIT) as [Buffer];
  assert.equal(errnoOf(reply), 0);
  return { fileSystem, transport };
}

function errnoOf(reply: Buffer): number {
  assert.equal(reply.readUInt32LE(0), reply.length);
  assert.deepEqual(reply.subarray(8, 16), bytes('0d f0 ad ba  ef be ad de'));
  return 0 - reply.readInt32LE(4);
}

/** The one reply of a request, as errno and body. */
function ask(transport: MemoryTransport, opcode: number, body: Buffer, node = 1): { errno: number; body: Buffer } {
  const replies = transport.request(request(opcode, body, node));
  assert.equal(replies.length, 1, `replies to opcode ${opcode}`);
  return { errno: errnoOf(replies[0] as Buffer), body: (replies[0] as Buffer).subarray(16) };
}

const CREATE = Buffer.concat([bytes('42 00 00 00  a4 81 00 00  12 00 00 00  00 00 00 00'), named('f')]);

test('INIT attaches the file system, and requests before it are refused', () => {
  const fileSystem = new MemoryFileSystem();
  const transport = new MemoryTransport(fileSystem, { passthrough: true, writebackCache: true });
  assert.equal(ask(transport, OPCODE.STATFS, Buffer.alloc(0)).errno, 5);
  assert.equal('passthrough' in (fileSystem.kernel ?? {}), false);
  transport.request(INIT);
  assert.equal(fileSystem.kernel?.passthrough, true);
  assert.equal(fileSystem.kernel?.writebackCache, false);
});

test('a name that is absent is answered with node 0, not with ENOENT', () => {
  const { transport } = started();
  const { errno, body } = ask(transport, OPCODE.LOOKUP, named('absent'));
  assert.deepEqual([errno, body.length, body.readBigUInt64LE(0)], [0, 128, 0n]);
});

test('what no file system here does is ENOSYS, as are opcodes nobody knows', () => {
  const { transport } = started();
  for (const opcode of [OPCODE.ACCESS, OPCODE.GETLK, OPCODE.SETLK, OPCODE.SETLKW, OPCODE.BMAP, OPCODE.POLL, OPCODE.SETUPMAPPING, OPCODE.REMOVEMAPPING, 4711]) {
    assert.equal(ask(transport, opcode, Buffer.alloc(0)).errno, 38, `opcode ${opcode}`);
  }
});

test('FORGET, BATCH_FORGET and INTERRUPT have no reply, even malformed or refused', () => {
  const { transport, fileSystem } = started();
  ask(transport, OPCODE.CREATE, CREATE);
  const one = bytes('01 00 00 00  00 00 00 00');
  assert.deepEqual(transport.request(request(OPCODE.FORGET, one, 2)), []);
  assert.equal(fileSystem.nodes.get(2)?.lookups, 0);
  assert.deepEqual(transport.request(request(OPCODE.FORGET, one, 99)), []);
  assert.deepEqual(transport.request(request(OPCODE.FORGET, Buffer.alloc(3), 2)), []);
  assert.deepEqual(transport.request(request(OPCODE.BATCH_FORGET, Buffer.concat([one, bytes('02 00 00 00 00 00 00 00'), Buffer.alloc(8)]))), []);
  assert.deepEqual(transport.request(request(OPCODE.INTERRUPT, one)), []);
});

test('an errno the file system throws is what the caller gets', () => {
  const { transport, fileSystem } = started();
  assert.equal(ask(transport, OPCODE.GETATTR, Buffer.alloc(16), 99).errno, 116);
  fileSystem.statfs = () => {
    throw new FsError('EDQUOT', 'Cannot count');
  };
  assert.equal(ask(transport, OPCODE.STATFS, Buffer.alloc(0)).errno, 122);
  assert.deepEqual(transport.errors, []);
});

test('a mistake in a file system is EIO to the caller and reported', () => {
  const { transport, fileSystem } = started();
  const mistake = new TypeError('undefined is not a function');
  fileSystem.statfs = () => {
    throw mistake;
  };
  assert.equal(ask(transport, OPCODE.STATFS, Buffer.alloc(0)).errno, 5);
  assert.deepEqual(transport.errors, [mistake]);
});

test('a malformed request is answered with EINVAL', () => {
  const { transport } = started();
  assert.equal(ask(transport, OPCODE.LOOKUP, Buffer.from('abc')).errno, 22);
  assert.equal(ask(transport, OPCODE.READ, Buffer.alloc(39)).errno, 22);
});

test('attributes carry mode, owner and the caller\'s ids through CREATE', () => {
  const { transport } = started();
  const { errno, body } = ask(transport, OPCODE.CREATE, CREATE);
  assert.deepEqual([errno, body.length], [0, 144]);
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const entry = structs.fuse_entry_out.read(view, 0);
  assert.deepEqual([entry.nodeid, entry.attr.mode, entry.attr.uid, entry.attr.gid], [2, 0o100644, 1000, 1001]);
  assert.deepEqual(structs.fuse_open_out.read(view, 128), { fh: 7, open_flags: 2, backing_id: 0 });
});

test('a read that comes later keeps its own buffer while other requests are served', async () => {
  const { transport, fileSystem } = started();
  ask(transport, OPCODE.CREATE, CREATE);
  fileSystem.write(2, 7, 0, Buffer.from('the old content!'));
  const release: (() => void)[] = [];
  fileSystem.delay = () => new Promise((resolve) => release.push(resolve));
  assert.deepEqual(transport.request(request(OPCODE.READ, READ, 2)), []);
  assert.equal(transport.session.pending, 1);
  fileSystem.delay = undefined;
  assert.equal(ask(transport, OPCODE.READ, READ, 2).body.toString(), 'the old content!');
  transport.request(request(OPCODE.FORGET, bytes('00 '.repeat(8)), 2)); // replies of before are forgotten
  release[0]?.();
  const [late] = await transport.settled() as [Buffer];
  assert.equal(errnoOf(late), 0);
  assert.equal(late.subarray(16).toString(), 'the old content!');
  assert.equal(transport.session.pending, 0);
});

test('a promise that rejects is answered with its errno', async () => {
  const { transport, fileSystem } = started();
  fileSystem.delay = () => Promise.reject(new FsError('ENOSPC', 'Cannot sync'));
  assert.deepEqual(transport.request(request(OPCODE.FSYNC, FSYNC)), []);
  const [late] = await transport.settled() as [Buffer];
  assert.equal(errnoOf(late), 28);
});

test('GETXATTR tells the size first, gives the value into enough room, and ERANGE else', () => {
  const { transport, fileSystem } = started();
  fileSystem.setxattr({ uid: 0, gid: 0, pid: 0 }, 1, 'user.a', Buffer.from([1, 0, 255]));
  const get = (size: number) => ask(transport, OPCODE.GETXATTR, Buffer.concat([Buffer.from([size, 0, 0, 0, 0, 0, 0, 0]), named('user.a')]));
  assert.deepEqual(get(0).body, bytes('03 00 00 00  00 00 00 00'));
  assert.deepEqual(get(3).body, bytes('01 00 ff'));
  assert.equal(get(2).errno, 34);
  const list = (size: number) => ask(transport, OPCODE.LISTXATTR, Buffer.from([size, 0, 0, 0, 0, 0, 0, 0]));
  assert.equal(list(7).body.toString('latin1'), 'user.a\0');
  assert.equal(list(6).errno, 34);
});

test('READDIRPLUS counts a lookup for each entry that had room, and only for those', () => {
  const { transport, fileSystem } = started();
  for (const name of ['a', 'b', 'c']) fileSystem.mkdir({ uid: 0, gid: 0, pid: 0 }, 1, name, { mode: 0o755, umask: 0 });
  const before = [2, 3, 4].map((id) => fileSystem.nodes.get(id)?.lookups);
  const readdirplus = Buffer.concat([bytes('09 00 00 00 00 00 00 00', '00 '.repeat(8), '80 02 00 00'), Buffer.alloc(20)]); // 640 bytes: four entries of 160
  assert.equal(ask(transport, OPCODE.READDIRPLUS, readdirplus).body.length, 640);
  assert.deepEqual([2, 3, 4].map((id, index) => (fileSystem.nodes.get(id)?.lookups ?? 0) - (before[index] ?? 0)), [1, 1, 0]);
});

test('COPY_FILE_RANGE_64 answers with 64 bits, its elder with 32', () => {
  const { transport, fileSystem } = started();
  ask(transport, OPCODE.CREATE, CREATE);
  fileSystem.write(2, 7, 0, Buffer.from('abcdef'));
  const copy = bytes('00 '.repeat(16), '02 00 00 00 00 00 00 00', '00 '.repeat(8), '06 00 00 00 00 00 00 00', '06 00 00 00 00 00 00 00', '00 '.repeat(8));
  assert.deepEqual(ask(transport, OPCODE.COPY_FILE_RANGE_64, copy, 2).body, bytes('06 00 00 00 00 00 00 00'));
  assert.deepEqual(ask(transport, OPCODE.COPY_FILE_RANGE, copy, 2).body, bytes('06 00 00 00 00 00 00 00'));
  assert.equal(fileSystem.nodes.get(2)?.stat.size, 12);
});

test('notifications say what to drop; after the end none are sent and the file system is destroyed once', () => {
  const { transport, fileSystem } = started();
  void fileSystem.kernel?.invalidateNode(2, 0, -1);
  void fileSystem.kernel?.invalidateNode(2, 4096, 8192);
  fileSystem.kernel?.invalidateEntry(1, 'f');
  assert.deepEqual(transport.notifications.map((message) => message.readInt32LE(4)), [2, 2, 3]);
  assert.equal(transport.notifications[0]?.readBigInt64LE(24), -1n, 'attributes only');
  transport.session.end();
  transport.session.end();
  fileSystem.kernel?.invalidateEntry(1, 'f');
  assert.deepEqual([transport.notifications.length, fileSystem.destroyed], [3, 1]);
});
