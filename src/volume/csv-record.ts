import { refused } from './refused.ts';

/** The first record of comma-separated values (RFC 4180), refused in the words of the package that docker's command line reads it with (Go, encoding/csv). */
export function csvRecord(input: string): string[] {
  const text = input.replaceAll('\r\n', '\n');
  const fields: string[] = [];
  for (let at = 0; ; at += 1) {
    const { field, end } = text[at] === '"' ? quotedField(text, at) : plainField(text, at);
    fields.push(field);
    if (text[end] !== ',') return fields;
    at = end;
  }
}

function plainField(text: string, from: number): { field: string; end: number } {
  const [field] = /[^,\n]*/.exec(text.slice(from)) as RegExpExecArray;
  const quote = field.indexOf('"');
  if (quote !== -1) throw refused(`${place(text, from + quote)}: bare " in non-quoted-field`);
  return { field, end: from + field.length };
}

function quotedField(text: string, from: number): { field: string; end: number } {
  const [inside] = /(?:[^"]|"")*/.exec(text.slice(from + 1)) as RegExpExecArray;
  const quote = from + 1 + inside.length;
  if (!['"', '",', '"\n'].includes(text.slice(quote, quote + 2))) throw refused(`${place(text, quote)}: extraneous or missing " in quoted-field`);
  return { field: inside.replaceAll('""', '"'), end: quote + 1 };
}

/** Lines and columns count from 1, columns in bytes. */
function place(text: string, offset: number): string {
  const lines = text.slice(0, offset).split('\n');
  const error = `parse error on line ${lines.length}, column ${Buffer.byteLength(lines.at(-1) as string) + 1}`;
  return lines.length === 1 ? error : `record on line 1; ${error}`;
}
