import { inUnits } from '../store/size-text.ts';

/** Rows under headings, columns as wide as they need; the last column isn't padded. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) => Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd((widths[column] as number) + 2))).join('').trimEnd();
  return `${[headings, ...rows].map(line).join('\n')}\n`;
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Bytes for a person, in powers of 1000: "12.3 MB". */
export function bytes(count: number): string {
  const { size, unit } = inUnits(count);
  return `${unit === 'B' || size >= 100 ? Math.round(size) : size.toFixed(1)} ${unit}`;
}

/** An id as listings show it: the first 12 hex digits. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

/** The age of an ISO time: "3 minutes ago". */
export function age(created: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(created)) / 1000));
  if (Number.isNaN(seconds)) return 'unknown';
  for (const [name, length] of [['day', 86_400], ['hour', 3600], ['minute', 60]] as const) {
    const count = Math.floor(seconds / length);
    if (count > 0) return `${counted(count, name)} ago`;
  }
  return `${counted(seconds, 'second')} ago`;
}

/** "1 layer", "2 layers". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
