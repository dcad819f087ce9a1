import { nameToText } from '../../fs/name.ts';
import { UfsError } from '../errors.ts';
import { BLOCK, decodeBlock, decodePax, HEADER_MAX, HEADER_ONLY, invalid, mergePax, paddingOf, type Header, type PaxRecords } from './header.ts';
import { PayloadMap, sparseOf, type Segment } from './sparse.ts';

/** A member with everything the headers before it say. */
export interface ArchiveMember extends Header {
  /** Bytes that `data` gets. */
  payload: number;
  /** Of a sparse file: where they go, and its size with the holes. */
  sparse?: { realSize: number; segments: Segment[] };
}

/** Payloads up to this many bytes come in one piece. */
export const WHOLE_MAX = 1024 * 1024;

export interface MemberHandler {
  /** A member begins. True: `data` shall have its payload; false: its payload is raw bytes as the headers are. */
  member(member: ArchiveMember): boolean;
  /** The payload in order; never called where it is 0 bytes. */
  data(piece: Buffer, last: boolean): void;
  /** Every byte that `data` doesn't get, in its place between the payloads: headers, padding, what follows the end. Valid during the call. */
  raw(bytes: Buffer): void;
}

/**
 * Takes an archive apart, as Go's archive/tar does, which is what containers are made with. Bytes are pushed in pieces of any size; what is
 * kept is at most one extended header and one whole small file. Throws at what isn't an archive; after that it is of no use.
 */
export class ArchiveReader {
  readonly #handler: MemberHandler;
  #state: 'header' | 'extended' | 'map' | 'raw' | 'data' | 'end' = 'header';
  /** Bytes of the present piece (block, extended header, whole small payload) that came before the present chunk. */
  #held: Buffer[] = [];
  #heldLength = 0;
  /** Bytes still to come of the present raw run or payload. */
  #left = 0;
  /** Padding behind the payload. */
  #padding = 0;
  #zeroBlock = false;
  #extended: Header | undefined;
  #pax: PaxRecords | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;
  #sparse: { member: ArchiveMember; realSize: number; map: PayloadMap } | undefined;
  /** The payload comes in one piece. */
  #whole = true;
  #name = '';

  constructor(handler: MemberHandler) {
    this.#handler = handler;
  }

  /** The end mark has been read: what comes now is ignored but for its bytes. */
  get ended(): boolean {
    return this.#state === 'end';
  }

  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) offset += this.#step(chunk, offset);
  }

  /** No more bytes come. */
  finish(): void {
    if (this.#state !== 'end' && (this.#state !== 'header' || this.#heldLength > 0)) {
      throw invalid(`unexpected end of the archive${this.#name === '' ? '' : ` in "${nameToText(this.#name)}"`}`);
    }
  }

  /** Bytes from here that would all go to `raw` unseen; whoever can seek may jump over them with `skip`. */
  get skippable(): number {
    return this.#state === 'raw' ? this.#left : 0;
  }

  skip(count: number): void {
    this.#take(count);
  }

  #step(chunk: Buffer, offset: number): number {
    switch (this.#state) {
      case 'header': {
        const block = this.#collect(chunk, offset, BLOCK);
        if (block.whole !== undefined) this.#header(block.whole);
        return block.used;
      }
      case 'extended': {
        const payload = this.#collect(chunk, offset, this.#left);
        if (payload.whole !== undefined) this.#extendedHeader(payload.whole);
        return payload.used;
      }
      case 'map': {
        const block = this.#collect(chunk, offset, BLOCK);
        if (block.whole !== undefined) this.#map(block.whole);
        return block.used;
      }
      case 'data':
        return this.#data(chunk, offset);
      case 'raw': {
        const count = Math.min(this.#left, chunk.length - offset);
        this.#handler.raw(chunk.subarray(offset, offset + count));
        this.#take(count);
        return count;
      }
      case 'end':
        this.#handler.raw(offset === 0 ? chunk : chunk.subarray(offset));
        return chunk.length - offset;
    }
  }

  /** Gathers `length` bytes; `whole` once they are together. What came in one chunk isn't copied. */
  #collect(chunk: Buffer, offset: number, length: number): { used: number; whole?: Buffer } {
    const used = Math.min(length - this.#heldLength, chunk.length - offset);
    const piece = chunk.subarray(offset, offset + used);
    if (this.#heldLength === 0 && used === length) return { used, whole: piece };
    // Copied, as whoever pushes may use its buffer again; tiny pieces are joined so that a slow writer can't make millions of them.
    this.#held.push(Buffer.from(piece));
    this.#heldLength += used;
    if (this.#held.length > 1000) this.#held = [Buffer.concat(this.#held)];
    if (this.#heldLength < length) return { used };
    const whole = this.#held.length === 1 ? this.#held[0] : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldLength = 0;
    return { used, whole };
  }

  #header(block: Buffer): void {
    this.#handler.raw(block);
    if (isZero(block)) {
      if (this.#zeroBlock) this.#state = 'end';
      this.#zeroBlock = true;
      return;
    }
    if (this.#zeroBlock) throw invalid('invalid tar header: one block of zeros, then more');
    const header = decodeBlock(block);
    this.#name = header.name;
    if ('xgLK'.includes(header.type)) this.#beginExtended(header);
    else this.#beginMember(header);
  }

  #beginExtended(header: Header): void {
    if (header.size < 0 || header.size > HEADER_MAX) throw invalid(`extended header too long: ${header.size} bytes, over ${HEADER_MAX}`);
    this.#extended = header;
    this.#left = header.size;
    this.#padding = paddingOf(header.size);
    if (header.size === 0) this.#extendedHeader(Buffer.alloc(0));
    else this.#state = 'extended';
  }

  #extendedHeader(payload: Buffer): void {
    if (payload.length > 0) this.#handler.raw(payload);
    const type = this.#extended?.type;
    if (type === 'x') this.#pax = decodePax(payload);
    else if (type === 'L') this.#longName = untilNul(payload);
    else if (type === 'K') this.#longLink = untilNul(payload);
    else this.#forget(); // A global header is for no member, and ends what was said for the next.
    this.#beginPadding();
  }

  #forget(): void {
    this.#pax = this.#longName = this.#longLink = undefined;
  }

  #beginMember(header: Header): void {
    if (this.#pax !== undefined) mergePax(header, this.#pax);
    header.name = this.#longName || header.name;
    header.linkName = this.#longLink || header.linkName;
    this.#forget();
    if (header.type === '\0') header.type = header.name.endsWith('/') ? '5' : '0';
    if (header.size < 0) throw invalid(`"${nameToText(header.name)}" has a negative size`);
    const headerOnly = HEADER_ONLY.includes(header.type);
    const file = sparseOf(header);
    this.#name = header.name;
    if (file !== undefined && headerOnly) throw invalid(`"${nameToText(header.name)}" is sparse but not a file`);
    const member: ArchiveMember = Object.assign(header, { payload: headerOnly ? 0 : header.size });
    this.#left = member.payload;
    this.#padding = paddingOf(member.payload);
    if (file === undefined) this.#deliver(member);
    else if (file.segments !== undefined) this.#deliver(Object.assign(member, { sparse: { realSize: file.realSize, segments: file.segments } }));
    else {
      if (member.payload < BLOCK) throw invalid(`"${nameToText(header.name)}" has no sparse map`);
      this.#sparse = { member, realSize: file.realSize, map: new PayloadMap(file, member.payload) };
      this.#state = 'map';
    }
  }

  /** Takes a block more of a sparse map that is in the payload. */
  #map(block: Buffer): void {
    this.#handler.raw(block);
    const { member, realSize, map } = this.#sparse!;
    const segments = map.push(block);
    if (segments === undefined) return;
    this.#sparse = undefined;
    member.payload -= map.length;
    this.#left = member.payload;
    this.#deliver(Object.assign(member, { sparse: { realSize, segments } }));
  }

  #deliver(member: ArchiveMember): void {
    const wanted = this.#handler.member(member);
    if (this.#left === 0) this.#beginPadding();
    else if (wanted) {
      this.#state = 'data';
      this.#whole = this.#left <= WHOLE_MAX;
    } else {
      this.#left += this.#padding;
      this.#padding = 0;
      this.#state = 'raw';
    }
  }

  #data(chunk: Buffer, offset: number): number {
    if (this.#whole) {
      const payload = this.#collect(chunk, offset, this.#left);
      if (payload.whole !== undefined) {
        this.#handler.data(payload.whole, true);
        this.#beginPadding();
      }
      return payload.used;
    }
    const count = Math.min(this.#left, chunk.length - offset);
    this.#handler.data(chunk.subarray(offset, offset + count), count === this.#left);
    this.#left -= count;
    if (this.#left === 0) this.#beginPadding();
    return count;
  }

  #beginPadding(): void {
    this.#left = this.#padding;
    this.#padding = 0;
    this.#state = this.#left > 0 ? 'raw' : 'header';
  }

  #take(count: number): void {
    this.#left -= count;
    if (this.#left === 0) this.#state = 'header';
  }
}

const ZEROS = Buffer.alloc(BLOCK);

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.equals(ZEROS);
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.latin1Slice(0, end === -1 ? bytes.length : end);
}

/** Names the member an error is about, unless it does. */
export function aboutMember(error: unknown, action: string, name: string): UfsError {
  const reason = error instanceof Error ? error.message : String(error);
  const code = error instanceof UfsError ? error.code : 'UFS_ARCHIVE_STORE';
  return new UfsError(code, `Cannot ${action} "${nameToText(name)}": ${reason}`, { cause: error });
}
