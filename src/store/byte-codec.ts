import type { Name } from '../../fs/name.ts';

/** Appends numbers and byte strings to a buffer that grows. Numbers are varints: 7 bits a byte, lowest first. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafe(4096);
  length = 0;

  #reserve(count: number): void {
    if (this.length + count <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.length + count));
    this.#bytes.copy(grown, 0, 0, this.length);
    this.#bytes = grown;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.length++] = value;
  }

  /** A whole number from 0 to 2^53 - 1. */
  number(value: number): void {
    this.#reserve(8);
    while (value >= 0x80) {
      this.#bytes[this.length++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#bytes[this.length++] = value;
  }

  /** A whole number of either sign, below 2^52. */
  signed(value: number): void {
    this.number(value < 0 ? -value * 2 - 1 : value * 2);
  }

  name(value: Name): void {
    this.number(value.length);
    this.#reserve(value.length);
    this.#bytes.latin1Write(value, this.length);
    this.length += value.length;
  }

  bytes(value: Buffer): void {
    this.number(value.length);
    this.raw(value);
  }

  raw(value: Buffer): void {
    this.#reserve(value.length);
    value.copy(this.#bytes, this.length);
    this.length += value.length;
  }

  hex(value: string): void {
    this.raw(Buffer.from(value, 'hex'));
  }

  /** A view, valid until the next write. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }

  /** Starts over; a buffer that has become large is let go. */
  reset(): void {
    this.length = 0;
    if (this.#bytes.length > 1 << 24) this.#bytes = Buffer.allocUnsafe(4096);
  }
}

/** Reads what ByteWriter wrote. Throws RangeError past the end. */
export class ByteReader {
  readonly #bytes: Buffer;
  offset: number;

  constructor(bytes: Buffer, offset = 0) {
    this.#bytes = bytes;
    this.offset = offset;
  }

  byte(): number {
    if (this.offset >= this.#bytes.length) throw new RangeError('past the end');
    return this.#bytes[this.offset++];
  }

  number(): number {
    let byte = this.byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let scale = 0x80; ; scale *= 0x80) {
      byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  signed(): number {
    const value = this.number();
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }

  #take(length: number): number {
    const start = this.offset;
    if (start + length > this.#bytes.length) throw new RangeError('past the end');
    this.offset = start + length;
    return start;
  }

  name(): Name {
    const start = this.#take(this.number());
    return this.#bytes.latin1Slice(start, this.offset);
  }

  /** A copy. */
  bytes(): Buffer {
    const start = this.#take(this.number());
    return Buffer.from(this.#bytes.subarray(start, this.offset));
  }

  hex(length: number): string {
    const start = this.#take(length);
    return this.#bytes.toString('hex', start, this.offset);
  }
}
