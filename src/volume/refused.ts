import { UfsError } from '../errors.ts';

/** What somebody asked for can't be had as it is written: UFS_USAGE, in moby's words. */
export function refused(words: string, options?: ErrorOptions): UfsError {
  return new UfsError('UFS_USAGE', words, options);
}

const SHORT: Record<string, string> = { '\x07': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v', '\\': '\\\\', '"': '\\"' };

/** Text in quotes as Go's %q writes it, which moby's errors do. */
export function quoted(text: string): string {
  const inside = Array.from(text, (char) => {
    if (char in SHORT) return SHORT[char] as string;
    if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(char)) return char;
    const code = char.codePointAt(0) as number;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
  return `"${inside.join('')}"`;
}
