const SIZE = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?) ?(?:([kmgtp])(?:i?b)?|b)?$/i;
const POWERS = 'kmgtp';

/**
 * Bytes of a size as docker's command line takes it (go-units, RAMInBytes): "64m", "1.5 GiB", "1e3", 1024-based; `undefined` where it isn't one. Not what only Go reads as numbers
 * (hexadecimal, infinity), nor what takes more than 63 bits, of which Docker makes a negative size.
 */
export function ramInBytes(text: string): number | undefined {
  const [, number, power] = SIZE.exec(text) ?? [];
  if (number === undefined || Number(number) < 0) return undefined;
  const bytes = Math.trunc(Number(number) * 1024 ** (power === undefined ? 0 : POWERS.indexOf(power.toLowerCase()) + 1));
  // Of -0, too, it makes 0.
  return bytes < 2 ** 63 ? bytes + 0 : undefined;
}
