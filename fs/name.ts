import { FsError } from './errno.ts';

declare global {
  /** Methods every Buffer has but Node's types leave out; several times faster than toString('latin1') on short names. */
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
    latin1Write(text: string, offset?: number): number;
  }
}

/**
 * A file name or path as bytes: every character is one byte (latin1). Such strings compare, sort (bytewise) and hash as the bytes do,
 * and never lose one. They become Buffers at the system call and text only where a person reads them.
 */
export type Name = string;

/** NAME_MAX of Linux, bytes. */
export const NAME_MAX = 255;

export function nameFromBytes(bytes: Uint8Array): Name {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).latin1Slice();
}

export function nameFromText(text: string): Name {
  return Buffer.from(text, 'utf8').latin1Slice();
}

export function nameToBytes(name: Name): Buffer {
  return Buffer.from(name, 'latin1');
}

/** A name for a person: UTF-8 where it is that, with control characters and stray bytes written as \xNN. */
export function nameToText(name: Name): string {
  const text = Buffer.from(name, 'latin1').toString('utf8');
  const shown = text.includes('\ufffd') ? name.replace(/[\x80-\xff]/g, escapeByte) : text;
  return shown.replace(/[\x00-\x1f\x7f]/g, escapeByte);
}

function escapeByte(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** Refuses what can't be one component of a path: empty, ".", "..", with "/" or NUL, or over NAME_MAX bytes. */
export function checkName(name: Name, action: string): void {
  if (name.length > NAME_MAX) throw new FsError('ENAMETOOLONG', `Cannot ${action} "${nameToText(name)}": over ${NAME_MAX} bytes`);
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new FsError('EINVAL', `Cannot ${action} "${nameToText(name)}": not a file name`);
  }
}

/** "dir" + "name" → "dir/name"; below the root ("") just "name". */
export function joinName(directory: Name, name: Name): Name {
  return directory === '' ? name : `${directory}/${name}`;
}
