import { refused } from './refused.ts';
import type { TmpfsOptions } from './mount.ts';

const SUFFIXES = [['g', 2 ** 30], ['m', 2 ** 20], ['k', 2 ** 10]] as const;
const OTHERS = ['exec', 'noexec'];

/** The options of a tmpfs as mount(8) takes them (`ro,mode=700,size=1m`). */
export function convertTmpfsOptions(options: TmpfsOptions | undefined, readOnly: boolean): string {
  const words = readOnly ? ['ro'] : [];
  if (options?.mode) words.push(`mode=${options.mode.toString(8)}`);
  if (options?.sizeBytes) words.push(`size=${inSuffixes(options.sizeBytes)}`);
  for (const option of options?.options ?? []) {
    if (option.length < 1 || option.length > 2) throw refused('invalid option array length');
    if (!OTHERS.includes(option[0] as string)) throw refused(`invalid option: ${option[0]}`);
    words.push(option.join('='));
  }
  return words.join(',');
}

function inSuffixes(bytes: number): string {
  const [suffix, unit] = SUFFIXES.find(([, each]) => bytes % each === 0) ?? ['', 1];
  return `${BigInt(bytes / unit)}${suffix}`;
}
