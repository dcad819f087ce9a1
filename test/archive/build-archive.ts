import { encodeHeader, paddingOf, paxRecord, writeChecksum, type HeaderFields } from '../../src/archive/header.ts';

/** One member by hand: a plain header (mode 0644, or 0755 for a directory) with its data. `patch` changes the block before its checksum is made. */
export function member(fields: Partial<HeaderFields> & { name: string; data?: Buffer | string }, patch?: (block: Buffer) => void): Buffer {
  const { data = '', ...rest } = fields;
  const bytes = Buffer.from(data as string, 'latin1');
  const header = encodeHeader({ type: '0', mode: rest.type === '5' ? 0o755 : 0o644, size: bytes.length, ...rest });
  if (patch !== undefined) {
    const block = header.subarray(header.length - 512);
    patch(block);
    writeChecksum(block);
  }
  return Buffer.concat([header, bytes, Buffer.alloc(paddingOf(bytes.length))]);
}

export const file = (name: string, data: string | Buffer = '', fields: Partial<HeaderFields> = {}): Buffer => member({ name, data, ...fields });
export const directory = (name: string, fields: Partial<HeaderFields> = {}): Buffer => member({ name, type: '5', ...fields });
export const symlink = (name: string, target: string): Buffer => member({ name, type: '2', linkName: target, mode: 0o777 });
export const link = (name: string, target: string, fields: Partial<HeaderFields> = {}): Buffer => member({ name, type: '1', linkName: target, ...fields });

/** A pax header with these records. */
export function pax(records: Record<string, string | Buffer>): Buffer {
  return extended('x', Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, Buffer.from(value as string, 'latin1')))));
}

/** An extended header of a type with this payload. */
export function extended(type: string, payload: Buffer): Buffer {
  return member({ name: 'extended', type, data: payload });
}

export const END = Buffer.alloc(1024);

export function archive(...members: Buffer[]): Buffer {
  return Buffer.concat([...members, END]);
}
