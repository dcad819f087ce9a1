/** Bytes from annotated hex: "30 00 00 00", "0d f0 …"; what isn't two hex digits is a mistake. */
export function bytes(...lines: string[]): Buffer {
  return Buffer.from(lines.join(' ').split(/\s+/).filter((word) => word !== '').map((word) => {
    if (!/^[0-9a-f]{2}$/.test(word)) throw new Error(`not a byte: ${word}`);
    return Number.parseInt(word, 16);
  }));
}

/** A whole request: a header that is true of the body, unique 0xdeadbeefbaadf00d, node 1, uid 0x3e8, gid 0x3e9, pid 77. */
export function request(opcode: number, body: Buffer, nodeid = 1): Buffer {
  const header = bytes(
    '00 00 00 00  00 00 00 00', // len, opcode
    '0d f0 ad ba  ef be ad de', // unique
    '01 00 00 00  00 00 00 00', // nodeid
    'e8 03 00 00  e9 03 00 00', // uid, gid
    '4d 00 00 00  00 00  00 00', // pid, total_extlen, padding
  );
  header.writeUInt32LE(header.length + body.length, 0);
  header.writeUInt32LE(opcode, 4);
  header.writeUInt32LE(nodeid, 16);
  return Buffer.concat([header, body]);
}
