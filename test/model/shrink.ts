/** The shortest part of a failing script that still fails, found by leaving out ever fewer steps at once. */
export async function shrink<T>(script: readonly T[], fails: (script: readonly T[]) => Promise<boolean>): Promise<T[]> {
  let left = [...script];
  for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < left.length; ) {
      const without = [...left.slice(0, at), ...left.slice(at + size)];
      if (without.length > 0 && (await fails(without))) left = without;
      else at += size;
    }
  }
  return left;
}
