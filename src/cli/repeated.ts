/** For an option that may be given several times: all values, in order. */
export function repeated(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}
