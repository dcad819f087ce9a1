import { pick, type Random } from '../model/random.ts';

/** The two files: operations are of one, or copy between them. */
export const FILES = ['a', 'b'] as const;
export type FileName = (typeof FILES)[number];

/** The descriptors a file has open. `reader` is open for reading alone, since before the file was first changed if nothing closed it. Each is opened when it is first needed. */
export const DESCRIPTORS = ['reader', 'writer', 'appender', 'direct'] as const;
export type DescriptorName = (typeof DESCRIPTORS)[number];

/** Ways of fallocate(2). */
export const ALLOCATIONS = { plain: 0, keepSize: 1, punch: 3, collapse: 8, zero: 0x10, zeroKeepSize: 0x11, insert: 0x20 } as const;
export type Allocation = keyof typeof ALLOCATIONS;

/** One step of a script, as plain data. What is written are bytes that `fill` and their places tell. Mappings stay until they are closed. */
export type Operation =
  | { do: 'read'; file: FileName; by: 'reader' | 'writer' | 'direct'; offset: number; length: number }
  | { do: 'write'; file: FileName; by: 'writer' | 'direct'; offset: number; length: number; fill: number }
  | { do: 'append'; file: FileName; length: number; fill: number }
  | { do: 'readMapping'; file: FileName; by: 'reader' | 'writer'; offset: number; length: number }
  | { do: 'writeMapping'; file: FileName; offset: number; length: number; fill: number; sync: boolean }
  | { do: 'truncate'; file: FileName; by: 'path' | 'writer'; size: number }
  | { do: 'allocate'; file: FileName; how: Allocation; offset: number; length: number }
  | { do: 'copy'; file: FileName; by: 'reader' | 'writer'; offset: number; to: FileName; toOffset: number; length: number }
  | { do: 'sync'; file: FileName; how: 'fsync' | 'fdatasync' | 'syncfs' }
  | { do: 'chmod'; file: FileName; mode: number }
  | { do: 'compare' | 'holes'; file: FileName; by: 'reader' | 'writer' }
  | { do: 'close'; file: FileName; what: DescriptorName | 'readerMapping' | 'writerMapping' }
  | { do: 'dropPages'; file: FileName }
  | { do: 'dropCaches' }
  | { do: 'remount' };

/** What a file is to begin with: whole, or with holes. */
export interface Plan {
  size: number;
  sparse: boolean;
  fill: number;
}

export const BLOCK = 4096;

/** Never 0, so that no byte looks like a hole's. */
export function pattern(offset: number, length: number, fill: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let index = 0; index < length; index += 1) bytes[index] = ((fill * 37 + (offset + index) * 7 + ((offset + index) >> 8)) % 255) + 1;
  return bytes;
}

/** What a file holds to begin with, and where there is data. */
export function contentOf({ size, sparse, fill }: Plan): { content: Buffer; data: { offset: number; length: number }[] } {
  const content = Buffer.alloc(size);
  const data: { offset: number; length: number }[] = [];
  const step = sparse ? 5 * BLOCK : Math.max(size, 1);
  for (let offset = 0; offset < size; offset += step) {
    const length = Math.min(sparse ? BLOCK : size, size - offset);
    pattern(offset, length, fill).copy(content, offset);
    data.push({ offset, length });
  }
  return { content, data };
}

export function randomPlan(next: Random, limit: number): Plan {
  return { size: pick(next, [0, 1, BLOCK, next(limit), next(limit), limit]), sparse: next(3) === 0, fill: next(255) };
}

const ACTIONS: readonly Operation['do'][] = [
  'read', 'read', 'read', 'write', 'write', 'write', 'write', 'append', 'append', 'readMapping', 'readMapping', 'readMapping', 'writeMapping', 'writeMapping', 'writeMapping',
  'truncate', 'truncate', 'allocate', 'allocate', 'copy', 'copy', 'copy', 'sync', 'chmod', 'compare', 'holes', 'close', 'close', 'dropPages',
];

/** A script of so many steps, on files of up to about `limit` bytes. `readers`: files are open for reading alone too. */
export function randomScript(next: Random, length: number, { limit, readers }: { limit: number; readers: boolean }): Operation[] {
  return Array.from({ length }, (_, index): Operation => {
    if (index % 70 === 69) return { do: 'remount' };
    if (index % 100 === 50) return { do: 'dropCaches' };
    return randomOperation(next, limit, readers);
  });
}

function randomOperation(next: Random, limit: number, readers: boolean): Operation {
  const action = pick(next, ACTIONS);
  const file = pick(next, FILES);
  const by = readers && next(2) === 0 ? 'reader' : 'writer';
  const place = (): number => {
    const anywhere = next(limit);
    return next(2) === 0 ? anywhere : Math.max(0, anywhere - (anywhere % BLOCK) + pick(next, [0, 0, 1, -1]));
  };
  const [offset, length, fill] = [place(), 1 + next(pick(next, [10, 5000, 5000, 1 + (limit >> 2)])), next(255)];
  const aligned = { offset: offset - (offset % BLOCK), length: BLOCK * (1 + (next(limit >> 2) >> 12)) };
  const direct = next(4) === 0;
  switch (action) {
    case 'read': return direct ? { do: action, file, by: 'direct', ...aligned } : { do: action, file, by, offset, length };
    case 'write': return direct ? { do: action, file, by: 'direct', ...aligned, fill } : { do: action, file, by: 'writer', offset, length, fill };
    case 'append': return { do: action, file, length: Math.min(length, 5000), fill };
    case 'readMapping': return { do: action, file, by, offset, length };
    case 'writeMapping': return { do: action, file, offset, length, fill, sync: next(4) === 0 };
    case 'truncate': return { do: action, file, by: pick(next, ['path', 'writer']), size: place() };
    case 'allocate': {
      const how = pick(next, Object.keys(ALLOCATIONS) as Allocation[]);
      return { do: action, file, how, ...(how === 'collapse' || how === 'insert' || next(2) === 0 ? aligned : { offset, length }) };
    }
    case 'copy': return { do: action, file, by, offset, to: pick(next, FILES), toOffset: place(), length };
    case 'sync': return { do: action, file, how: pick(next, ['fsync', 'fdatasync', 'syncfs']) };
    case 'chmod': return { do: action, file, mode: pick(next, [0o600, 0o644, 0o4755]) };
    case 'close': return { do: action, file, what: pick(next, [...DESCRIPTORS.filter((name) => name !== 'reader' || readers), 'readerMapping', 'writerMapping']) };
    case 'dropPages': return { do: action, file };
    default: return { do: action as 'compare', file, by };
  }
}
