import { BLOCK, HEADER_MAX, invalid, paxInteger, type Header } from './header.ts';

/** Where data is in a sparse file; in order, without overlap. */
export interface Segment {
  offset: number;
  length: number;
}

/** A file in one of GNU tar's pax sparse formats. */
export interface SparseFile {
  /** Bytes of the file, holes and all. */
  realSize: number;
  /** undefined (format 1.0): the map is the first part of the payload. */
  segments?: Segment[];
}

/** Recognises a sparse file by its pax records, and gives the header the file's own name and size. undefined: an ordinary one. */
export function sparseOf(header: Header): SparseFile | undefined {
  if (header.pax === undefined) return undefined;
  const value = (key: string): string => header.pax?.get(`GNU.sparse.${key}`)?.latin1Slice() ?? '';
  const version = `${value('major')}.${value('minor')}`;
  const inPayload = version === '1.0';
  if (!inPayload && version !== '0.0' && version !== '0.1' && !(version === '.' && value('map') !== '')) return undefined;
  header.name = value('name') || header.name;
  const size = value('size') || value('realsize');
  const realSize = size === '' ? header.size : paxInteger('GNU.sparse.size', size);
  if (inPayload) return { realSize };
  const numbers = value('map') === '' ? [] : value('map').split(',').map((number) => paxInteger('GNU.sparse.map', number));
  if (numbers.length !== 2 * paxInteger('GNU.sparse.numblocks', value('numblocks'))) throw invalid('invalid sparse map: it isn\'t as long as it says');
  return { realSize, segments: checkSegments(numbers, realSize, header.size) };
}

/** Reads the map at the start of a format 1.0 payload, block by block. */
export class PayloadMap {
  readonly #file: SparseFile;
  readonly #payloadSize: number;
  readonly #blocks: Buffer[] = [];
  #lines = 0;
  #wanted = Infinity;

  constructor(file: SparseFile, payloadSize: number) {
    this.#file = file;
    this.#payloadSize = payloadSize;
  }

  /** Bytes of the map so far. */
  get length(): number {
    return this.#blocks.length * BLOCK;
  }

  /** The segments, once their last block has come. */
  push(block: Buffer): Segment[] | undefined {
    this.#blocks.push(Buffer.from(block));
    if (this.length > HEADER_MAX || this.length > this.#payloadSize) throw invalid('invalid sparse map: it is too long or cut off');
    for (let at = block.indexOf(0x0a); at !== -1; at = block.indexOf(0x0a, at + 1)) this.#lines++;
    if (this.#blocks.length === 1) {
      const end = block.indexOf(0x0a);
      if (end === -1) throw invalid('invalid sparse map: it has no length');
      const count = paxInteger('sparse map', block.latin1Slice(0, end));
      if (count < 0) throw invalid('invalid sparse map: its length is negative');
      this.#wanted = 2 * count + 1;
    }
    if (this.#lines < this.#wanted) return undefined;
    const lines = Buffer.concat(this.#blocks).latin1Slice().split('\n', this.#wanted);
    return checkSegments(lines.slice(1).map((line) => paxInteger('sparse map', line)), this.#file.realSize, this.#payloadSize - this.length);
  }
}

function checkSegments(numbers: number[], realSize: number, payloadSize: number): Segment[] {
  if (realSize < 0) throw invalid('invalid sparse map: the file\'s size is negative');
  const segments: Segment[] = [];
  let end = 0;
  let total = 0;
  for (let index = 0; index < numbers.length; index += 2) {
    const [offset, length] = [numbers[index], numbers[index + 1]];
    if (length < 0 || offset < end || offset + length > realSize) throw invalid('invalid sparse map: its parts overlap or leave the file');
    end = offset + length;
    total += length;
    segments.push({ offset, length });
  }
  if (total !== payloadSize) throw invalid(`invalid sparse map: it covers ${total} bytes of a payload of ${payloadSize}`);
  return segments;
}
