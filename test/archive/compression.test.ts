import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { compressionOf, decompress, gzip } from '../../src/archive/compression.ts';
import { archive, file } from './build-archive.ts';
import { apply, chunks, collect } from './memory-content.ts';
import { needs, run } from './tools.ts';

const DATA = Buffer.concat([randomBytes(300_000), Buffer.alloc(300_000, 'abc')]);
const [FIRST, SECOND] = [DATA.subarray(0, 400_000), DATA.subarray(400_000)];

async function unpacked(bytes: Buffer, chunkSize?: number): Promise<Buffer> {
  return collect((await decompress(chunks(bytes, chunkSize))).stream);
}

function skippable(length: number): Buffer {
  const frame = Buffer.alloc(8 + length, 0x55);
  frame.writeUInt32LE(0x184d2a53, 0);
  frame.writeUInt32LE(length, 4);
  return frame;
}

const TOOLS = {
  gzip: { path: '/usr/bin/gzip', pack: (data: Buffer) => gzipSync(data) },
  zstd: { path: '/usr/bin/zstd', pack: (data: Buffer) => run('/usr/bin/zstd', ['-c', '-q', '--check'], { input: data }) },
  xz: { path: '/usr/bin/xz', pack: (data: Buffer) => run('/usr/bin/xz', ['-c', '-q', '-1'], { input: data }) },
  bzip2: { path: '/usr/bin/bzip2', pack: (data: Buffer) => run('/usr/bin/bzip2', ['-c', '-q'], { input: data }) },
} as const;

test('what has no magic number is passed on as it is, down to nothing', async () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from('x'), Buffer.from([0x1f, 0x8b]), DATA.subarray(0, 10_000)]) {
    assert.equal(compressionOf(bytes), 'none');
    assert.deepEqual(await unpacked(bytes, 3), bytes);
  }
});

for (const [name, { path, pack }] of Object.entries(TOOLS)) {
  test(`${name}: one stream, and two behind each other, in pieces of any size`, needs(path), async () => {
    const [one, two] = [pack(DATA), Buffer.concat([pack(FIRST), pack(SECOND)])];
    assert.equal(compressionOf(one), name);
    for (const chunkSize of [one.length, pack(FIRST).length, 100_001, 4096]) {
      assert.ok((await unpacked(one, chunkSize)).equals(DATA));
      assert.ok((await unpacked(two, chunkSize)).equals(DATA));
    }
  });

  test(`${name}: a stream cut anywhere in its last 64 bytes is an error`, needs(path), async () => {
    const packed = pack(DATA);
    for (const cut of name === 'gzip' ? Array.from({ length: 64 }, (_, index) => index + 1) : [1, 2, 4, 5, 9, 33, 64]) {
      await assert.rejects(unpacked(packed.subarray(0, packed.length - cut)), new RegExp(`Cannot decompress ${name}`));
    }
  });

  test(`${name}: a flipped bit is an error`, needs(path), async () => {
    const packed = Buffer.from(pack(DATA));
    packed[Math.floor(packed.length / 3)] ^= 4;
    await assert.rejects(unpacked(packed), new RegExp(`Cannot decompress ${name}`));
  });

  test(`${name}: an error of the source is reported as it is`, needs(path), async () => {
    const broken = (async function* () {
      yield pack(DATA).subarray(0, 1000);
      throw new Error('the network is down');
    })();
    await assert.rejects(collect((await decompress(broken)).stream), /^Error: the network is down$/);
  });

  test(`${name}: whoever stops reading early leaves nothing running`, needs(path), async () => {
    for await (const piece of (await decompress(chunks(pack(DATA), 1000))).stream) {
      assert.ok(piece.length > 0);
      break;
    }
  });
}

test('J02: zeros behind gzip are padding, in any piece', async () => {
  const packed = gzipSync(DATA);
  for (const zeros of [1, 511, 100_000, 3_000_000]) {
    for (const chunkSize of [packed.length, 7000, 2 ** 24]) assert.ok((await unpacked(Buffer.concat([packed, Buffer.alloc(zeros)]), chunkSize)).equals(DATA));
  }
});

test('J03: garbage behind gzip is an error, behind zeros too', async () => {
  const packed = gzipSync(DATA);
  for (const tail of [Buffer.from('garbage'), Buffer.concat([Buffer.alloc(100), Buffer.from('garbage')]), Buffer.concat([Buffer.alloc(500_000), packed])]) {
    for (const chunkSize of [packed.length, 7000, 2 ** 24]) await assert.rejects(unpacked(Buffer.concat([packed, tail]), chunkSize), /Cannot decompress gzip/);
  }
});

test('gzip members may be cut into pieces at any byte', async () => {
  const [one, two] = [gzipSync('first '), gzipSync('second')];
  const both = Buffer.concat([one, two]);
  for (let size = 1; size < both.length; size++) assert.equal((await unpacked(both, size)).toString(), 'first second');
});

test('J06, J12: zstd frames and skippable ones in any order are one stream', needs('/usr/bin/zstd'), async () => {
  const { pack } = TOOLS.zstd;
  const [one, two] = [pack(FIRST), pack(SECOND)];
  for (const packed of [[skippable(5), one, two], [one, skippable(100), two], [one, two, skippable(0)]]) assert.ok((await unpacked(Buffer.concat(packed))).equals(DATA));
  assert.equal((await unpacked(skippable(7))).length, 0);
});

test('J07: a zstd window over 2^27 is refused', needs('/usr/bin/zstd'), async () => {
  const packed = run('/usr/bin/zstd', ['-c', '-q', '--ultra', '--long=31', '--no-content-size'], { input: Buffer.alloc(1000) });
  // The tool chooses a small window for small data: byte 5 says it, so it is made to claim 2^31.
  const frame = Buffer.from(packed);
  assert.equal(frame[4] & 0x20, 0, 'the frame has a window descriptor');
  frame[5] = 21 << 3;
  await assert.rejects(unpacked(frame), /Cannot decompress zstd/);
});

test('J08: garbage behind zstd and xz is an error', needs('/usr/bin/zstd', '/usr/bin/xz'), async () => {
  for (const name of ['zstd', 'xz'] as const) await assert.rejects(unpacked(Buffer.concat([TOOLS[name].pack(DATA), Buffer.from('garbage')])), /Cannot decompress/);
});

test('J10: an xz dictionary of 1.5 GiB is refused', needs('/usr/bin/xz'), async () => {
  const packed = run('/usr/bin/xz', ['-c', '-q', '-T1', '--lzma2=preset=0,dict=1536KiB'], { input: DATA });
  assert.ok((await unpacked(packed)).equals(DATA));
  const large = Buffer.from(packed);
  // Block header: size, flags, filter id 0x21, its size 1, the dictionary size as an exponent, then a CRC32 that has to be made anew.
  assert.equal(large.readUInt16LE(14), 0x0121);
  large[16] = 37;
  large.writeUInt32LE(crc32(large.subarray(12, 20)), 20);
  await assert.rejects(unpacked(large), /Memory usage limit/i);
});

function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

test('J09: what is compressed twice is decompressed once, and then is no archive', async () => {
  const twice = gzipSync(gzipSync(archive(file('f'))));
  await assert.rejects(async () => apply((await decompress(chunks(twice))).stream), /checksum|unexpected end/);
});

test('J11: short garbage is no archive', async () => {
  for (const bytes of [Buffer.from('x'), Buffer.alloc(511, 'y'), Buffer.from([0x1f, 0x8b, 8, 0, 0])]) {
    await assert.rejects(async () => apply((await decompress(chunks(bytes))).stream), /unexpected end/i);
  }
});

test('gzip() makes the same bytes of the same bytes, which gunzip to them', async () => {
  const [one, two] = [await collect(gzip(chunks(DATA))), await collect(gzip(chunks(DATA, 999)))];
  assert.ok(one.equals(two));
  assert.ok((await unpacked(one)).equals(DATA));
});
